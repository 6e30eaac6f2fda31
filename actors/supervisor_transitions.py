"""The transition table of the PostgreSQL supervisor.

A row: in one of these phases, on this message (or while this intent is being
carried out), if the condition holds, go to that phase and say these commands.
Without commands the intent is looked at again in the new phase; `done` ends it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from regnal.actors import supervisor_state as when
from regnal.actors.supervisor_state import (
    Supervisor,
    source_of,
    upstream_of,
)
from regnal.messages.base import Command, Message
from regnal.messages.operations import (
    BecomePrimary,
    BootstrapCluster,
    CloneMember,
    DemotePostgres,
    FollowLeader,
    Phase,
    ReinitializeMember,
    RestartInPlace,
    StartAsPrimary,
    StopForShutdown,
)
from regnal.messages.postgres import (
    CheckDivergence,
    CheckpointDone,
    CheckpointPostgres,
    ClonePostgres,
    CrashRecovered,
    DatabaseInitialised,
    DataDirectoryRemoved,
    DivergenceChecked,
    FollowUpstream,
    InitialiseDatabase,
    OperationFailed,
    PostgresCloned,
    PostgresPromoted,
    PostgresRewound,
    PostgresStarted,
    PostgresStopped,
    PrePromoteEnded,
    PromotePostgres,
    RecoverCrashed,
    RemoveDataDirectory,
    RestartPostgres,
    RewindPostgres,
    RunPrePromote,
    StartPostgres,
    StopPostgres,
    UpstreamFollowed,
)
from regnal.messages.settings import Settings

Condition = Callable[[Supervisor], bool]
Order = Callable[[Supervisor], Command]


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the table."""

    phases: tuple[Phase, ...]
    on: type[Message]
    """A message that was heard, or the class of the intent being carried out."""

    to: Phase
    when: Condition | None = None
    say: Order | None = None
    done: bool = False
    """The intent is fulfilled."""

    failed: bool = False
    """The intent has failed, for the reason that was noted."""

    def taken_from(self, phase: Phase) -> str:
        """The step from `phase`, as the journal has it."""
        condition = f" [{self.when.__name__}]" if self.when is not None else ""
        return f"{phase} > {self.to} on {self.on.__name__}{condition}"


def _settings(supervisor: Supervisor) -> Settings:
    assert supervisor.settings is not None  # nothing is wanted before they are known
    return supervisor.settings


def initialise(supervisor: Supervisor) -> Command:
    return InitialiseDatabase()


def start_primary(supervisor: Supervisor) -> Command:
    intent = supervisor.intent
    timeout = _settings(supervisor).start_timeout
    not_after = None
    if isinstance(intent, StartAsPrimary):
        timeout, not_after = intent.timeout, intent.not_after
    return StartPostgres(
        role="primary", upstream=None, timeout=timeout, not_after=not_after
    )


def start_standby(supervisor: Supervisor) -> Command:
    return StartPostgres(
        role="standby",
        upstream=upstream_of(supervisor),
        timeout=_settings(supervisor).start_timeout,
    )


def stop_fast(supervisor: Supervisor) -> Command:
    settings = _settings(supervisor)
    limited = settings.is_synchronous and settings.primary_stop_timeout > 0
    return StopPostgres(
        mode="fast",
        checkpoint_first=False,
        timeout=settings.pg_ctl_timeout,
        kill_after=settings.primary_stop_timeout if limited else None,
    )


def stop_immediately(supervisor: Supervisor) -> Command:
    settings = _settings(supervisor)
    # Whatever is left of the lease margin after this kills it for good.
    return StopPostgres(
        mode="immediate",
        checkpoint_first=False,
        timeout=settings.pg_ctl_timeout,
        kill_after=settings.lease_margin / 2,
    )


def checkpoint(supervisor: Supervisor) -> Command:
    return CheckpointPostgres(timeout=_settings(supervisor).pg_ctl_timeout)


def run_hook(supervisor: Supervisor) -> Command:
    return RunPrePromote()


def promote(supervisor: Supervisor) -> Command:
    intent = supervisor.intent
    return PromotePostgres(
        timeout=_settings(supervisor).pg_ctl_timeout,
        not_after=intent.not_after if isinstance(intent, BecomePrimary) else None,
    )


def follow(supervisor: Supervisor) -> Command:
    return FollowUpstream(
        upstream=upstream_of(supervisor),
        timeout=_settings(supervisor).pg_ctl_timeout,
    )


def check(supervisor: Supervisor) -> Command:
    upstream = upstream_of(supervisor)
    assert upstream is not None
    return CheckDivergence(
        upstream=upstream, timeout=_settings(supervisor).retry_timeout
    )


def recover(supervisor: Supervisor) -> Command:
    return RecoverCrashed(timeout=_settings(supervisor).start_timeout)


def rewind(supervisor: Supervisor) -> Command:
    upstream = upstream_of(supervisor)
    assert upstream is not None
    return RewindPostgres(upstream=upstream, timeout=REWIND_TIMEOUT)


REWIND_TIMEOUT = 86400.0
"""Seconds.  A rewind is only ended by a stronger intent; this bounds a hung one."""


def clone(supervisor: Supervisor) -> Command:
    return ClonePostgres(
        source=source_of(supervisor),
        remote=_settings(supervisor).is_standby_cluster
        and (upstream_of(supervisor) is None or _is_remote(supervisor)),
    )


def _is_remote(supervisor: Supervisor) -> bool:
    source = source_of(supervisor)
    return source is not None and source.member is None


def remove(supervisor: Supervisor) -> Command:
    return RemoveDataDirectory(move_aside=False)


def move_aside(supervisor: Supervisor) -> Command:
    return RemoveDataDirectory(move_aside=True)


def restart(supervisor: Supervisor) -> Command:
    intent = supervisor.intent
    assert isinstance(intent, RestartInPlace)
    return RestartPostgres(
        role=supervisor.role or "standby", upstream=None, timeout=intent.timeout
    )


_RUNNING: tuple[Phase, ...] = ("primary", "standby")

TRANSITIONS: tuple[Transition, ...] = (
    # A new cluster.
    Transition(
        ("stopped",),
        BootstrapCluster,
        "removing",
        when=when.has_failed,
        say=move_aside,
    ),
    Transition(
        ("absent",), BootstrapCluster, "absent", when=when.has_failed, failed=True
    ),
    Transition(("absent",), BootstrapCluster, "bootstrapping", say=initialise),
    Transition(("bootstrapping",), DatabaseInitialised, "primary", done=True),
    Transition(("bootstrapping",), OperationFailed, "stopping", say=stop_immediately),
    # A new member.
    Transition(("absent",), CloneMember, "cloning", say=clone),
    Transition(("stopped",), CloneMember, "starting", say=start_standby),
    Transition(_RUNNING, CloneMember, "standby", done=True),
    Transition(("cloning",), PostgresCloned, "stopped"),
    Transition(("cloning",), OperationFailed, "absent", failed=True),
    # The primary starts again.
    Transition(
        ("stopped",), StartAsPrimary, "stopped", when=when.has_failed, failed=True
    ),
    Transition(("stopped",), StartAsPrimary, "starting", say=start_primary),
    Transition(("primary",), StartAsPrimary, "primary", done=True),
    # Promotion.
    Transition(
        ("standby",), BecomePrimary, "promoting", when=when.hook_is_due, say=run_hook
    ),
    Transition(("standby",), BecomePrimary, "promoting", say=promote),
    Transition(("primary",), BecomePrimary, "primary", done=True),
    Transition(
        ("promoting",),
        PrePromoteEnded,
        "promoting",
        when=when.hook_passed,
        say=promote,
    ),
    Transition(("promoting",), PrePromoteEnded, "standby", failed=True),
    Transition(("promoting",), PostgresPromoted, "primary", done=True),
    # PostgreSQL may yet follow the order, when nobody thinks of it any more.
    Transition(
        ("promoting",),
        OperationFailed,
        "stopping",
        when=when.promotion_may_go_on,
        say=stop_immediately,
    ),
    Transition(("promoting",), OperationFailed, "standby", failed=True),
    Transition(
        ("stopped",), BecomePrimary, "stopped", when=when.has_failed, failed=True
    ),
    # Demotion and shutdown.
    Transition(
        ("primary",),
        DemotePostgres,
        "checkpointing",
        when=when.graceful,
        say=checkpoint,
    ),
    Transition(("primary",), DemotePostgres, "stopping", say=stop_immediately),
    Transition(("standby",), DemotePostgres, "standby", done=True),
    Transition(("stopped",), DemotePostgres, "stopped", done=True),
    Transition(("absent",), DemotePostgres, "absent", done=True),
    Transition(("primary",), StopForShutdown, "checkpointing", say=checkpoint),
    Transition(("standby",), StopForShutdown, "stopping", say=stop_fast),
    Transition(("stopped",), StopForShutdown, "stopped", done=True),
    Transition(("absent",), StopForShutdown, "absent", done=True),
    Transition(
        ("checkpointing",),
        CheckpointDone,
        "checkpointing",
        when=when.checkpoint_was_long,
        say=checkpoint,
    ),
    Transition(("checkpointing",), CheckpointDone, "stopping", say=stop_fast),
    Transition(("checkpointing",), OperationFailed, "stopping", say=stop_fast),
    Transition(("stopping",), PostgresStopped, "stopped"),
    Transition(("stopping",), OperationFailed, "stopping", say=stop_immediately),
    # Restart in place.
    Transition(_RUNNING, RestartInPlace, "restarting", say=restart),
    Transition(("stopped",), RestartInPlace, "stopped", failed=True),
    Transition(
        ("restarting",),
        PostgresStarted,
        "primary",
        when=when.started_as_primary,
        done=True,
    ),
    Transition(("restarting",), PostgresStarted, "standby", done=True),
    Transition(("restarting",), OperationFailed, "stopped", failed=True),
    # Rebuilding this member.
    Transition(_RUNNING, ReinitializeMember, "stopping", say=stop_fast),
    Transition(
        ("stopped",),
        ReinitializeMember,
        "starting",
        when=when.can_follow,
        say=start_standby,
    ),
    Transition(("stopped",), ReinitializeMember, "removing", say=remove),
    Transition(
        ("absent",), ReinitializeMember, "absent", when=when.has_failed, failed=True
    ),
    Transition(("absent",), ReinitializeMember, "cloning", say=clone),
    Transition(("removing",), DataDirectoryRemoved, "absent"),
    Transition(("removing",), OperationFailed, "stopped", failed=True),
    # Following a leader: a running standby.
    Transition(("primary",), FollowLeader, "stopping", say=stop_fast),
    Transition(
        ("standby",),
        FollowLeader,
        "checking",
        when=when.must_check_divergence,
        say=check,
    ),
    Transition(
        ("standby",), FollowLeader, "stopping", when=when.diverged, say=stop_fast
    ),
    Transition(("standby",), FollowLeader, "following", say=follow),
    Transition(("following",), UpstreamFollowed, "standby", done=True),
    Transition(("following",), OperationFailed, "standby", failed=True),
    Transition(("checking",), DivergenceChecked, "standby", when=when.is_running),
    Transition(("checking",), DivergenceChecked, "stopped"),
    Transition(
        ("checking",), OperationFailed, "standby", when=when.is_running, failed=True
    ),
    Transition(("checking",), OperationFailed, "stopped", failed=True),
    # Following a leader: a stopped member, perhaps a former primary.
    Transition(
        ("stopped",),
        FollowLeader,
        "recovering",
        when=when.crashed_as_primary,
        say=recover,
    ),
    Transition(
        ("stopped",),
        FollowLeader,
        "checking",
        when=when.must_check_divergence,
        say=check,
    ),
    Transition(
        ("stopped",),
        FollowLeader,
        "rewinding",
        when=when.diverged_and_rewindable,
        say=rewind,
    ),
    Transition(
        ("stopped",),
        FollowLeader,
        "removing",
        when=when.diverged_and_rebuildable,
        say=remove,
    ),
    Transition(("stopped",), FollowLeader, "stopped", when=when.diverged, failed=True),
    Transition(("stopped",), FollowLeader, "starting", say=start_standby),
    Transition(("absent",), FollowLeader, "cloning", say=clone),
    Transition(("recovering",), CrashRecovered, "stopped"),
    Transition(("recovering",), OperationFailed, "stopped"),
    Transition(("rewinding",), PostgresRewound, "stopped"),
    Transition(("rewinding",), OperationFailed, "stopped"),
    # Starting.
    Transition(
        ("starting",),
        PostgresStarted,
        "primary",
        when=when.started_as_primary,
        done=True,
    ),
    Transition(("starting",), PostgresStarted, "standby", done=True),
    Transition(
        ("starting",),
        OperationFailed,
        "stopping",
        when=when.primary_may_yet_start,
        say=stop_immediately,
    ),
    Transition(("starting",), OperationFailed, "stopped", failed=True),
)
"""Read from top to bottom; the first row that fits is taken."""
