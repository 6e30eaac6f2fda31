"""The PostgreSQL supervisor: carries out what is wanted of PostgreSQL.

It turns an intent (become primary, follow a leader, stop ...) into commands to
the operator, one at a time and in the right order.  What comes after what is in
`supervisor_transitions.TRANSITIONS`; this module takes the rows, and decides
which intent may interrupt which.
"""

from dataclasses import replace

from regnal.actors.step import Decider, Step
from regnal.actors.supervisor_learning import learn
from regnal.actors.supervisor_state import (
    RETRY_DIVERGENCE_AFTER,
    Supervisor,
    upstream_of,
)
from regnal.actors.supervisor_transitions import TRANSITIONS, Transition, check
from regnal.messages.base import Command, MemberName, Message
from regnal.messages.envelope import Envelope
from regnal.messages.operations import (
    BecomePrimary,
    BootstrapCluster,
    CloneMember,
    DemotePostgres,
    FollowLeader,
    Intent,
    IntentFailed,
    IntentFulfilled,
    IntentRefused,
    Phase,
    PhaseChanged,
    ReinitializeMember,
    RestartInPlace,
    StartAsPrimary,
    StopForShutdown,
)
from regnal.messages.postgres import (
    CancelOperation,
    CheckpointDone,
    CheckpointPostgres,
    CrashRecovered,
    DatabaseInitialised,
    DataDirectoryRemoved,
    DivergenceChecked,
    ObservePostgres,
    OperationCancelled,
    OperationFailed,
    PostgresCloned,
    PostgresObserved,
    PostgresPromoted,
    PostgresReloaded,
    PostgresRewound,
    PostgresStarted,
    PostgresStopped,
    PostmasterExited,
    PrePromoteEnded,
    ReloadPostgres,
    UpstreamFollowed,
)
from regnal.messages.reasons import because
from regnal.messages.settings import ConfigurationApplied
from regnal.messages.timers import SetTimer, TimerFired

RETRY_TIMER = "supervisor:retry"
INTENTS = (
    BecomePrimary,
    FollowLeader,
    DemotePostgres,
    BootstrapCluster,
    CloneMember,
    StartAsPrimary,
    StopForShutdown,
    RestartInPlace,
    ReinitializeMember,
)
OUTCOMES = (
    DatabaseInitialised,
    PostgresStarted,
    PostgresStopped,
    PostgresPromoted,
    UpstreamFollowed,
    PostgresReloaded,
    CheckpointDone,
    PrePromoteEnded,
    DivergenceChecked,
    PostgresRewound,
    CrashRecovered,
    PostgresCloned,
    DataDirectoryRemoved,
    OperationFailed,
    OperationCancelled,
)
MAX_TURNS = 6
"""Transitions without a command in a row; more would be a loop in the table."""


def strength(intent: Intent) -> int:
    """Which intent may interrupt which: only a stronger one, or FollowLeader and
    CloneMember each other with another leader."""
    match intent:
        case StopForShutdown():
            return 6
        case DemotePostgres(mode="graceful"):
            return 4
        case DemotePostgres():
            return 5
        case BootstrapCluster() | BecomePrimary():
            return 3
        case ReinitializeMember(force=force):
            return 3 if force else 2
        case StartAsPrimary() | RestartInPlace():
            return 2
        case FollowLeader() | CloneMember():
            return 1


def handle(supervisor: Supervisor, envelope: Envelope[Message]) -> Step[Supervisor]:
    """One message; see the table."""
    message = envelope.message
    known = learn(supervisor, message)
    match message:
        case TimerFired(name=name):
            if name == RETRY_TIMER and known.phase == "checking":
                return Step(
                    replace(known, retry_at=None, outstanding="check_divergence"),
                    said=(check(known),),
                    rule="ask_the_upstream_again",
                )
            return Step(known)
        case ConfigurationApplied(postgres_changed=changed):
            return reload_when_idle(
                replace(known, reload_wanted=known.reload_wanted or changed)
            )
        case PostmasterExited() | PostgresObserved():
            return settle(supervisor, known, message)
        case OperationCancelled():
            return after_cancel(supervisor, known)
        case _ if isinstance(message, INTENTS):
            return accept(known, message)
        case DivergenceChecked(verdict="upstream_not_ready" | "unknown" as verdict):
            return wait_for_upstream(known, envelope, verdict)
        case _ if isinstance(message, OUTCOMES):
            return answered(supervisor, known, message)
        case _:
            return Step(known)


def accept(supervisor: Supervisor, wanted: Intent) -> Step[Supervisor]:
    """A new intent: begin, interrupt what goes on, or refuse."""
    current = supervisor.intent
    if current == wanted:
        return Step(supervisor)
    if current is None:
        fresh = replace(_begin(supervisor, wanted), intent=wanted)
        if supervisor.phase == "unknown":
            return Step(fresh, said=(ObservePostgres(),), rule="look_first")
        if supervisor.background is not None:
            return _interrupt(replace(supervisor, intent=None), wanted)
        return onward(supervisor, fresh, wanted)
    if not _may_interrupt(supervisor, wanted):
        return Step(
            supervisor,
            said=(
                IntentRefused(
                    intent=wanted.kind,
                    reason=because("IN_PROGRESS", action=current.kind),
                    request=getattr(wanted, "request", None),
                ),
            ),
            rule="refuse_while_busy",
            facts={"busy_with": current.kind, "phase": supervisor.phase},
        )
    return _interrupt(supervisor, wanted)


def _begin(supervisor: Supervisor, wanted: Intent) -> Supervisor:
    return replace(
        supervisor,
        intent=wanted,
        waiting=None,
        verdict=None,
        failure=None,
        checkpoints=0,
        pre_promote_passed=False,
        rewind_failed=False,
        cancelled=False,
    )


def _may_interrupt(supervisor: Supervisor, wanted: Intent) -> bool:
    current = supervisor.intent
    assert current is not None
    if strength(wanted) > strength(current):
        return True
    if isinstance(wanted, FollowLeader) and isinstance(current, FollowLeader):
        # A rewind that is cut short leaves a directory that nothing can use.
        return wanted.upstream != current.upstream and supervisor.phase in (
            "checking",
            "following",
            "starting",
        )
    return False


def _interrupt(supervisor: Supervisor, wanted: Intent) -> Step[Supervisor]:
    """Cancel the command under way; `wanted` comes when the operator let go."""
    waiting = replace(supervisor, waiting=wanted, cancelled=True)
    if supervisor.outstanding is None and supervisor.background is None:
        # Between two looks at an upstream that is not ready.
        settled: Phase = "standby" if supervisor.running else "stopped"
        begun = _begin(replace(supervisor, phase=settled), wanted)
        return onward(supervisor, begun, wanted)
    if supervisor.cancelled:
        return Step(waiting, rule="interrupt")
    said: list[Message] = [CancelOperation(reason=wanted.kind)]
    if supervisor.intent is not None:
        said.append(
            IntentFailed(
                intent=supervisor.intent.kind,
                reason=because("IN_PROGRESS", action=wanted.kind),
                request=getattr(supervisor.intent, "request", None),
            )
        )
    return Step(
        replace(waiting, intent=None),
        said=tuple(said),
        rule="interrupt",
        facts={"cancelled": supervisor.outstanding or supervisor.background},
    )


def after_cancel(before: Supervisor, known: Supervisor) -> Step[Supervisor]:
    """The operator let go: take up what was waiting, once we know where we are."""
    wanted = known.waiting
    free = replace(known, outstanding=None, background=None, cancelled=False)
    if wanted is None:
        return Step(replace(free, phase="unknown"), said=(ObservePostgres(),))
    begun = _begin(free, wanted)
    if isinstance(wanted, DemotePostgres) and wanted.mode != "graceful":
        # No time to look: a stop of what does not run is harmless.
        return onward(before, replace(begun, phase="primary"), wanted)
    if before.phase in ("primary", "standby"):
        return onward(before, begun, wanted)
    return Step(
        replace(begun, phase="unknown"),
        said=(ObservePostgres(),),
        rule="look_first",
    )


def wait_for_upstream(
    known: Supervisor, envelope: Envelope[Message], verdict: str
) -> Step[Supervisor]:
    """The upstream cannot tell yet whether we diverged: ask again shortly."""
    if known.waiting is not None:
        return after_cancel(known, known)
    at = envelope.at + RETRY_DIVERGENCE_AFTER
    return Step(
        replace(known, retry_at=at, outstanding=None),
        said=(SetTimer(name=RETRY_TIMER, at=at),),
        rule="wait_for_the_upstream",
        facts={"verdict": verdict, "upstream": upstream_of(known)},
    )


def answered(
    before: Supervisor, known: Supervisor, outcome: Message
) -> Step[Supervisor]:
    """The operator finished a command."""
    if known.waiting is not None:
        # It finished before it could be cancelled.
        return after_cancel(replace(before, phase="unknown"), known)
    row = _row(known, type(outcome))
    if row is None or known.intent is None:
        return reload_when_idle(known)
    return _take(before, replace(known, outstanding=None), row, outcome)


def settle(before: Supervisor, known: Supervisor, message: Message) -> Step[Supervisor]:
    """PostgreSQL was seen: where nothing is under way, that is where we are."""
    if known.outstanding is not None or known.cancelled:
        return Step(known)
    if known.phase not in ("unknown", "absent", "stopped", "primary", "standby"):
        return Step(known)
    if not known.running:
        phase = "stopped" if known.data in ("valid", "unreadable") else "absent"
    elif known.role is None:
        return Step(known)
    else:
        phase = known.role
    settled = replace(known, phase=phase)  # type: ignore[arg-type]
    if known.phase == "unknown" and known.intent is not None:
        return onward(before, settled, known.intent)
    if settled.phase == before.phase and settled.state == before.state:
        return Step(settled)
    crashed = isinstance(message, PostmasterExited) and not message.expected
    if crashed:
        settled = replace(settled, state="crashed")
    return Step(
        settled,
        said=(_changed(before, settled),),
        rule="postmaster_exited" if crashed else "see_where_postgres_is",
    )


def onward(
    before: Supervisor, supervisor: Supervisor, intent: Intent
) -> Step[Supervisor]:
    """Begin, or go on with, `intent` in the phase that was reached."""
    row = _row(supervisor, type(intent))
    if row is None:
        failed = replace(supervisor, intent=None)
        return Step(
            failed,
            said=(
                *_announce(before, failed),
                IntentRefused(
                    intent=intent.kind,
                    reason=because("NOT_READY", what=f"not in {supervisor.phase}"),
                    request=getattr(intent, "request", None),
                ),
            ),
            rule="refuse_in_this_phase",
        )
    return _take(before, supervisor, row, intent)


def _take(
    before: Supervisor, supervisor: Supervisor, row: Transition, heard: Message
) -> Step[Supervisor]:
    """Take `row`, and further rows until a command is said or the intent ends."""
    taken: list[str] = []
    for _ in range(MAX_TURNS):
        intent = supervisor.intent
        assert intent is not None
        taken.append(f"{supervisor.phase} > {row.to} on {row.on.__name__}")
        reached = replace(supervisor, phase=_actual(supervisor, row))
        if row.say is not None:
            command = row.say(reached)
            return _speak(before, reached, (command,), taken)
        if row.done or row.failed:
            return _end(before, reached, intent, row, taken)
        following = _row(reached, type(intent))
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
    kind = commands[0].model_fields["kind"].default
    state = STATE_TEXTS.get(supervisor.phase, supervisor.state)
    busy = replace(supervisor, outstanding=kind, state=state)
    return Step(
        busy,
        said=(*_announce(before, busy), *commands),
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
    said: list[Message] = [*_announce(before, ended), end]
    if isinstance(intent, BecomePrimary) and not row.failed:
        # Others may rewind only after this checkpoint (RWD-07).
        timeout = ended.settings.primary_start_timeout if ended.settings else 0
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


def _row(supervisor: Supervisor, on: type[Message]) -> Transition | None:
    for row in TRANSITIONS:
        fits = row.on is on and supervisor.phase in row.phases
        if fits and (row.when is None or row.when(supervisor)):
            return row
    return None


def _announce(before: Supervisor, now: Supervisor) -> tuple[Message, ...]:
    if before.phase == now.phase and before.state == now.state:
        return ()
    return (_changed(before, now),)


def _changed(before: Supervisor, now: Supervisor) -> PhaseChanged:
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


def initial(member: MemberName) -> Supervisor:
    return Supervisor(member=member)


POSTGRES_SUPERVISOR = Decider(
    name="postgres_supervisor",
    hears=(
        *INTENTS,
        *OUTCOMES,
        ConfigurationApplied,
        PostgresObserved,
        PostmasterExited,
        TimerFired,
    ),
    state=Supervisor,
    initial=initial,
    handle=handle,
)
