"""The PostgreSQL supervisor: carries out what is wanted of PostgreSQL.

It turns an intent (become primary, follow a leader, stop ...) into commands to
the operator, one at a time and in the right order.  What comes after what is in
`supervisor_transitions.TRANSITIONS`; this module takes the rows, and decides
which intent may interrupt which.
"""

from regnal.actors.step import Decider, Step
from regnal.actors.supervisor_learning import learn
from regnal.actors.supervisor_state import (
    RETRY_DIVERGENCE_AFTER,
    RETRY_SILENCE_AFTER,
    Supervisor,
    crashed_as_primary,
    upstream_of,
)
from regnal.actors.supervisor_taking import (
    changed,
    onward,
    reload_when_idle,
    row_that_fits,
    take,
)
from regnal.actors.supervisor_transitions import check
from regnal.messages.base import MemberName, Message
from regnal.messages.envelope import Envelope
from regnal.messages.frozen import replace
from regnal.messages.operations import (
    BecomePrimary,
    BootstrapCluster,
    CloneMember,
    DemotePostgres,
    FollowLeader,
    Intent,
    IntentFailed,
    IntentRefused,
    Phase,
    ReinitializeMember,
    RestartInPlace,
    StartAsPrimary,
    StopForShutdown,
)
from regnal.messages.postgres import (
    CancelOperation,
    CheckpointDone,
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
    UpstreamFollowed,
)
from regnal.messages.reasons import because
from regnal.messages.settings import ConfigurationApplied
from regnal.messages.timers import SetTimer, TimerFired

RETRY_TIMER = "supervisor:retry"
RECOVER_AGAIN_AFTER = 4
"""Answers `unknown` in a row, some eight seconds, until a crash recovery that failed is
tried again."""

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
ANSWERS: dict[type[Message], tuple[str, ...]] = {
    DatabaseInitialised: ("initialise_database",),
    PostgresStarted: ("start_postgres", "restart_postgres"),
    PostgresStopped: ("stop_postgres",),
    PostgresPromoted: ("promote_postgres",),
    UpstreamFollowed: ("follow_upstream",),
    CheckpointDone: ("checkpoint_postgres",),
    PrePromoteEnded: ("run_pre_promote",),
    DivergenceChecked: ("check_divergence",),
    PostgresRewound: ("rewind_postgres",),
    CrashRecovered: ("recover_crashed",),
    PostgresCloned: ("clone_postgres",),
    DataDirectoryRemoved: ("remove_data_directory",),
}
"""Outcomes, and kinds of the commands that they answer."""

OUTCOMES: tuple[type[Message], ...] = (
    *ANSWERS,
    PostgresReloaded,
    OperationFailed,
    OperationCancelled,
)


def strength(intent: Intent) -> int:
    """Which intent may interrupt which: only a stronger one, or FollowLeader and
    CloneMember each other with another leader.  A lease that ends waits for nothing, not
    for a fast stop either."""
    match intent:
        case DemotePostgres(mode="graceful"):
            return 4
        case DemotePostgres():
            return 6
        case StopForShutdown():
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
            if name == RETRY_TIMER and known.waits_for_upstream:
                return ask_again(supervisor, known)
            return Step(known)
        case ConfigurationApplied(postgres_changed=files_changed):
            return reload_when_idle(
                replace(known, reload_wanted=known.reload_wanted or files_changed)
            )
        case PostmasterExited() | PostgresObserved():
            return settle(supervisor, known, message)
        case _ if isinstance(message, INTENTS):
            return accept(known, message)
        case _ if not is_answer(supervisor, message):
            return Step(known)
        case OperationCancelled():
            return after_cancel(supervisor, known)
        case DivergenceChecked(verdict="upstream_not_ready" | "unknown" as verdict):
            return wait_for_upstream(known, envelope, verdict)
        case _:
            return answered(supervisor, known, message)


def accept(supervisor: Supervisor, wanted: Intent) -> Step[Supervisor]:
    """A new intent: begin, interrupt what goes on, or refuse."""
    current = supervisor.intent or supervisor.waiting
    if current == wanted:
        return Step(supervisor)
    if current is None:
        if supervisor.background is not None:
            return _interrupt(supervisor, wanted)
        return _begin_where_we_are(supervisor, wanted)
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
        silences=0,
        pre_promote_passed=False,
        rewind_failed=False,
        cancelled=False,
    )


def _may_interrupt(supervisor: Supervisor, wanted: Intent) -> bool:
    current = supervisor.intent or supervisor.waiting
    assert current is not None
    if strength(wanted) > strength(current):
        return True
    if supervisor.waiting is not None:
        return isinstance(wanted, FollowLeader) and isinstance(current, FollowLeader)
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
    given_up = _give_up(supervisor.intent or supervisor.waiting, wanted)
    if supervisor.outstanding is None and supervisor.background is None:
        # Between two looks: at an upstream that is not ready, or at PostgreSQL.
        step = _begin_where_we_are(supervisor, wanted)
        return replace(step, said=(*given_up, *step.said))
    waiting = replace(supervisor, waiting=wanted, intent=None, cancelled=True)
    if supervisor.cancelled:
        return Step(waiting, said=given_up, rule="interrupt")
    return Step(
        waiting,
        said=(CancelOperation(reason=wanted.kind), *given_up),
        rule="interrupt",
        facts={"cancelled": supervisor.outstanding or supervisor.background},
    )


def _give_up(intent: Intent | None, wanted: Intent) -> tuple[Message, ...]:
    """What becomes of an intent that a stronger one ends.  One of the same kind takes
    its place without a word: its own end would be taken for the new one's."""
    request = getattr(intent, "request", None)
    if intent is None or (intent.kind == wanted.kind and request is None):
        return ()
    reason = because("IN_PROGRESS", action=wanted.kind)
    return (IntentFailed(intent=intent.kind, reason=reason, request=request),)


def _begin_where_we_are(supervisor: Supervisor, wanted: Intent) -> Step[Supervisor]:
    """No command is under way: begin, once it is known where PostgreSQL is."""
    begun = _begin(supervisor, wanted)
    if supervisor.phase == "unknown":
        return Step(begun, said=(ObservePostgres(),), rule="look_first")
    if not supervisor.is_settled:
        between: Phase = "standby" if supervisor.running else "stopped"
        begun = replace(begun, phase=between)
    return onward(supervisor, begun, wanted)


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
    silences = known.silences + 1 if verdict == "unknown" else 0
    wait = min(RETRY_DIVERGENCE_AFTER * 2 ** max(0, silences - 1), RETRY_SILENCE_AFTER)
    at = envelope.at + wait
    return Step(
        replace(known, retry_at=at, outstanding=None, silences=min(silences, 9)),
        said=(SetTimer(name=RETRY_TIMER, at=at),),
        rule="wait_for_the_upstream",
        facts={"verdict": verdict, "upstream": upstream_of(known)},
    )


def ask_again(before: Supervisor, known: Supervisor) -> Step[Supervisor]:
    """The upstream may be able to tell by now.  Where it is our own end that nobody
    knows, since crash recovery failed, that is tried again now and then: a person may
    have mended what stood in its way."""
    assert known.intent is not None
    again = replace(known, recovered=False, verdict=None, retry_at=None, silences=0)
    if known.silences >= RECOVER_AGAIN_AFTER and crashed_as_primary(again):
        return onward(before, replace(again, phase="stopped"), known.intent)
    return Step(
        replace(known, retry_at=None, outstanding="check_divergence"),
        said=(check(known),),
        rule="ask_the_upstream_again",
    )


def is_answer(supervisor: Supervisor, outcome: Message) -> bool:
    """Whether it is what became of a command that we wait for: a reload is not waited
    for, and is queued, cancelled and answered like any other."""
    pending = (supervisor.outstanding, supervisor.background)
    match outcome:
        case OperationFailed(command=command) | OperationCancelled(command=command):
            return command in pending
        case _:
            return any(kind in pending for kind in ANSWERS.get(type(outcome), ()))


def answered(
    before: Supervisor, known: Supervisor, outcome: Message
) -> Step[Supervisor]:
    """The operator finished a command."""
    if known.waiting is not None:
        # It finished before it could be cancelled.
        return after_cancel(replace(before, phase="unknown"), known)
    row = row_that_fits(known, type(outcome))
    if row is None or known.intent is None:
        return reload_when_idle(known)
    return take(before, replace(known, outstanding=None), row, outcome)


def settle(before: Supervisor, known: Supervisor, message: Message) -> Step[Supervisor]:
    """PostgreSQL was seen: where nothing is under way, that is where we are."""
    if known.outstanding is not None or known.cancelled:
        return Step(known)
    if known.waits_for_upstream and known.has_lost_its_data:
        return give_the_lost_data_up(before, known)
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
    by_hand = known.control is not None and known.control.was_shut_down_cleanly
    crashed = (
        isinstance(message, PostmasterExited) and not message.expected and not by_hand
    )
    if crashed:
        settled = replace(settled, state="crashed")
    return Step(
        settled,
        said=(changed(before, settled),),
        rule="postmaster_exited" if crashed else "see_where_postgres_is",
    )


def give_the_lost_data_up(before: Supervisor, known: Supervisor) -> Step[Supervisor]:
    """There is nothing left to compare with the upstream (BOOT-33)."""
    assert known.intent is not None
    gone = replace(known, intent=None, retry_at=None, phase="absent")
    failed = IntentFailed(
        intent=known.intent.kind,
        reason=because("DATA_DIRECTORY_GONE"),
        request=getattr(known.intent, "request", None),
    )
    return Step(
        gone,
        said=(changed(before, gone), failed),
        rule="give_the_lost_data_up",
    )


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
