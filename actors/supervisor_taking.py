"""How the PostgreSQL supervisor takes the rows of its table."""

from regnal.actors.step import Step
from regnal.actors.supervisor_state import Supervisor
from regnal.actors.supervisor_transitions import TRANSITIONS, Transition
from regnal.messages.base import Command, Message
from regnal.messages.frozen import replace
from regnal.messages.operations import (
    BecomePrimary,
    Intent,
    IntentFailed,
    IntentFulfilled,
    IntentRefused,
    Phase,
    PhaseChanged,
)
from regnal.messages.postgres import CheckpointPostgres, ReloadPostgres
from regnal.messages.reasons import because

MAX_TURNS = 6
"""Transitions without a command in a row; more would be a loop in the table."""


def onward(
    before: Supervisor, supervisor: Supervisor, intent: Intent
) -> Step[Supervisor]:
    """Begin, or go on with, `intent` in the phase that was reached."""
    row = row_that_fits(supervisor, type(intent))
    if row is None:
        failed = replace(supervisor, intent=None)
        return Step(
            failed,
            said=(
                *announce(before, failed),
                IntentRefused(
                    intent=intent.kind,
                    reason=because("NOT_READY", what=f"not in {supervisor.phase}"),
                    request=getattr(intent, "request", None),
                ),
            ),
            rule="refuse_in_this_phase",
        )
    return take(before, supervisor, row, intent)


def take(
    before: Supervisor, supervisor: Supervisor, row: Transition, heard: Message
) -> Step[Supervisor]:
    """Take `row`, and further rows until a command is said or the intent ends."""
    taken: list[str] = []
    for _ in range(MAX_TURNS):
        intent = supervisor.intent
        assert intent is not None
        taken.append(row.taken_from(supervisor.phase))
        reached = replace(supervisor, phase=_actual(supervisor, row))
        if row.say is not None:
            command = row.say(reached)
            return _speak(before, reached, (command,), taken)
        if row.done or row.failed:
            return _end(before, reached, intent, row, taken)
        following = row_that_fits(reached, type(intent))
        if following is None:
            return onward(before, reached, intent)
        supervisor, row = reached, following
    raise AssertionError(f"the table loops: {taken}")


def _actual(supervisor: Supervisor, row: Transition) -> Phase:
    """The row's phase, unless PostgreSQL ended meanwhile."""
    if row.to in ("primary", "standby") and not supervisor.running:
        return "stopped"
    return row.to


def _speak(
    before: Supervisor,
    supervisor: Supervisor,
    commands: tuple[Command, ...],
    taken: list[str],
) -> Step[Supervisor]:
    kind = type(commands[0]).model_fields["kind"].default
    state = STATE_TEXTS.get(supervisor.phase, supervisor.state)
    busy = replace(supervisor, outstanding=kind, state=state)
    return Step(
        busy,
        said=(*announce(before, busy), *commands),
        rule="take_transition",
        facts={"transitions": tuple(taken)},
    )


def _end(
    before: Supervisor,
    reached: Supervisor,
    intent: Intent,
    row: Transition,
    taken: list[str],
) -> Step[Supervisor]:
    request = getattr(intent, "request", None)
    ended = replace(reached, intent=None, outstanding=None)
    end: Message
    if row.failed:
        reason = reached.failure or because("DIVERGED", timeline=0, lsn="unknown")
        ended = replace(ended, failure=None)
        end = IntentFailed(intent=intent.kind, reason=reason, request=request)
    else:
        ended = replace(ended, state=SETTLED_TEXTS.get(ended.phase, ended.state))
        end = IntentFulfilled(intent=intent.kind, request=request)
    said: list[Message] = [*announce(before, ended), end]
    if isinstance(intent, BecomePrimary) and not row.failed:
        # Others may rewind only after this checkpoint (RWD-07).
        timeout = ended.settings.start_timeout if ended.settings else 0
        said.append(CheckpointPostgres(timeout=timeout))
        ended = replace(ended, background="checkpoint_postgres")
    reloading = reload_when_idle(ended)
    return Step(
        reloading.state,
        said=(*said, *reloading.said),
        rule="intent_failed" if row.failed else "intent_fulfilled",
        facts={"transitions": tuple(taken)},
    )


def reload_when_idle(supervisor: Supervisor) -> Step[Supervisor]:
    """Changed settings reach PostgreSQL as soon as nothing else is under way."""
    if (
        not supervisor.reload_wanted
        or supervisor.intent is not None
        or supervisor.phase not in ("primary", "standby")
    ):
        return Step(supervisor)
    return Step(
        replace(supervisor, reload_wanted=False),
        said=(ReloadPostgres(),),
        rule="reload_changed_configuration",
    )


def row_that_fits(supervisor: Supervisor, on: type[Message]) -> Transition | None:
    for row in TRANSITIONS:
        fits = row.on is on and supervisor.phase in row.phases
        if fits and (row.when is None or row.when(supervisor)):
            return row
    return None


def announce(before: Supervisor, now: Supervisor) -> tuple[Message, ...]:
    if before.phase == now.phase and before.state == now.state:
        return ()
    return (changed(before, now),)


def changed(before: Supervisor, now: Supervisor) -> PhaseChanged:
    return PhaseChanged(
        phase=now.phase,
        previous=before.phase,
        state=now.state,
        intent=now.intent.kind if now.intent else None,
        control=None if now.running else now.control,
    )


STATE_TEXTS = {
    "bootstrapping": "initializing new cluster",
    "cloning": "creating replica",
    "starting": "starting",
    "restarting": "restarting",
    "stopping": "stopping",
}
SETTLED_TEXTS = {
    "primary": "running",
    "standby": "running",
    "stopped": "stopped",
    "absent": "stopped",
}
