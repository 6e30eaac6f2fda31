"""What the PostgreSQL supervisor knows, and the conditions that its table uses."""

from dataclasses import dataclass
from typing import Literal

from regnal.actors.postmaster import Postmaster
from regnal.messages.base import Command, Instant, MemberName
from regnal.messages.operations import (
    BecomePrimary,
    CloneMember,
    DemotePostgres,
    FollowLeader,
    Intent,
    Phase,
    ReinitializeMember,
    StartAsPrimary,
)
from regnal.messages.postgres import ControlData, Upstream
from regnal.messages.reasons import Reason
from regnal.messages.settings import Settings

SETTLED: tuple[Phase, ...] = ("absent", "stopped", "primary", "standby")
RETRY_DIVERGENCE_AFTER = 0.5
"""Seconds until an upstream that was not ready is asked again."""

RETRY_SILENCE_AFTER = 5.0
"""Seconds, at most, until one that did not answer is asked again: longer each time."""

LONG_CHECKPOINT = 1.0
"""Seconds.  After a longer checkpoint a second one is due before the stop, for
what was written meanwhile."""


@dataclass(frozen=True, slots=True)
class Supervisor:
    """PostgreSQL of this member, and what is being done with it."""

    member: MemberName
    settings: Settings | None = None
    phase: Phase = "unknown"
    state: str = "stopped"
    """The published state (docs/contracts.md 1.1)."""

    intent: Intent | None = None
    """What is being carried out."""

    waiting: Intent | None = None
    """What is carried out when the operator has let go of the command before."""

    outstanding: str | None = None
    """`kind` of the command that the operator has not answered."""

    cancelled: bool = False
    """Whether the outstanding command was cancelled."""

    background: str | None = None
    """`kind` of an outstanding command that no intent waits for."""

    running: bool = False
    """Whether there is a postmaster."""

    started_pid: int | None = None
    """Of the last postmaster that was started or seen; None: none, or it ended."""

    former_pid: int | None = None
    """Of the one before."""

    role: Literal["primary", "standby"] | None = None
    """Of the running postmaster, or of the last one."""

    control: ControlData | None = None
    """Of the stopped data directory."""

    data: Literal["missing", "empty", "valid", "invalid", "unreadable"] = "missing"
    server_version: int = 0

    verdict: Literal["can_follow", "diverged"] | None = None
    """Of the divergence check for the present intent."""

    checked_timeline: int = 0
    checked_lsn: int = 0
    recovered: bool = False
    """Whether single-user recovery was tried since the last start."""

    rewind_failed: bool = False
    failure: Reason | None = None
    """Why the present intent fails once the clean-up is done."""

    reload_wanted: bool = False
    checkpoints: int = 0
    """Finished before the present graceful stop."""

    pre_promote_passed: bool = False
    silences: int = 0
    """How often in a row the upstream did not answer."""

    retry_at: Instant | None = None

    @property
    def postmaster(self) -> Postmaster:
        """In two fields above: so snapshots from before there was the other are read."""
        return Postmaster(self.started_pid, self.former_pid)

    @property
    def is_settled(self) -> bool:
        return self.phase in SETTLED

    @property
    def waits_for_upstream(self) -> bool:
        """Whether the upstream could not tell yet and is to be asked again."""
        return (
            self.phase == "checking"
            and self.outstanding is None
            and self.intent is not None
        )

    @property
    def has_lost_its_data(self) -> bool:
        """Whether somebody removed the data directory, and nothing runs any more."""
        return not self.running and self.data in ("missing", "empty")

    @property
    def may_rewind(self) -> bool:
        """pg_rewind is switched on, possible here and has not failed yet."""
        return (
            self.settings is not None
            and self.settings.use_pg_rewind
            and not self.rewind_failed
            and self.control is not None
            and self.control.can_rewind
        )

    @property
    def may_rebuild(self) -> bool:
        """Whether a diverged data directory may be removed and cloned anew."""
        if self.settings is None:
            return False
        if self.rewind_failed:
            return self.settings.remove_data_directory_on_rewind_failure
        return self.settings.remove_data_directory_on_diverged_timelines


# Conditions: each is named in the printed table.


def is_running(supervisor: Supervisor) -> bool:
    return supervisor.running


def is_not_running(supervisor: Supervisor) -> bool:
    return not supervisor.running


def graceful(supervisor: Supervisor) -> bool:
    """The stop may take its time: clients first, nothing lost."""
    intent = supervisor.intent
    return not (isinstance(intent, DemotePostgres) and intent.mode != "graceful")


def hook_is_due(supervisor: Supervisor) -> bool:
    """pre_promote is configured and has not been run for this promotion."""
    return (
        supervisor.settings is not None
        and supervisor.settings.callbacks.pre_promote
        and not supervisor.pre_promote_passed
    )


def crashed_as_primary(supervisor: Supervisor) -> bool:
    """The data directory belongs to a primary that did not stop cleanly, and a
    clean stop is needed: to rewind it, or because nobody else leads."""
    control = supervisor.control
    if control is None or supervisor.recovered:
        return False
    if control.state not in ("in production", "shutting down", "in crash recovery"):
        return False
    return supervisor.may_rewind or upstream_of(supervisor) is None


def must_check_divergence(supervisor: Supervisor) -> bool:
    """Our history may differ from the upstream's, and we have not looked yet."""
    intent = supervisor.intent
    return (
        isinstance(intent, FollowLeader)
        and intent.upstream is not None
        and intent.check_divergence
        and supervisor.verdict is None
    )


def diverged(supervisor: Supervisor) -> bool:
    return supervisor.verdict == "diverged"


def diverged_and_rewindable(supervisor: Supervisor) -> bool:
    return diverged(supervisor) and supervisor.may_rewind


def diverged_and_rebuildable(supervisor: Supervisor) -> bool:
    return diverged(supervisor) and supervisor.may_rebuild


def has_failed(supervisor: Supervisor) -> bool:
    return supervisor.failure is not None


def promotion_may_go_on(supervisor: Supervisor) -> bool:
    """The order to promote was given, and may still be followed: only a PostgreSQL that
    does not run surely takes no writes once the lease is given back (law 1)."""
    asked = supervisor.outstanding == "promote_postgres"
    failure = supervisor.failure
    return asked and (failure is None or failure.code not in NEVER_BEGAN)


NEVER_BEGAN = ("LEASE_ENDING",)
"""Reasons for which an order was not even given to PostgreSQL."""


def primary_may_yet_start(supervisor: Supervisor) -> bool:
    """It did not accept connections in time, and goes on starting: when it is through,
    another may lead (law 1)."""
    failure = supervisor.failure
    return (
        isinstance(supervisor.intent, StartAsPrimary)
        and failure is not None
        and failure.code == "START_TIMEOUT"
    )


def checkpoint_was_long(supervisor: Supervisor) -> bool:
    """It took so long that a second one shortens the stop."""
    return supervisor.checkpoints < 0


def started_as_primary(supervisor: Supervisor) -> bool:
    return supervisor.role == "primary"


def started_as_standby(supervisor: Supervisor) -> bool:
    return supervisor.role == "standby"


def hook_passed(supervisor: Supervisor) -> bool:
    return supervisor.pre_promote_passed


def can_follow(supervisor: Supervisor) -> bool:
    return supervisor.verdict == "can_follow"


def upstream_of(supervisor: Supervisor) -> Upstream | None:
    """Whom the present intent wants to follow."""
    match supervisor.intent:
        case FollowLeader(upstream=upstream) | CloneMember(upstream=upstream):
            return upstream
        case ReinitializeMember(source=source):
            return source
        case _:
            return None


def source_of(supervisor: Supervisor) -> Upstream | None:
    """Whom the present intent wants to clone from."""
    match supervisor.intent:
        case CloneMember(source=source):
            return source
        case ReinitializeMember(source=source):
            return source
        case FollowLeader(upstream=upstream):
            return upstream
        case _:
            return None


def is_promotion(supervisor: Supervisor) -> bool:
    return isinstance(supervisor.intent, BecomePrimary)


Commands = tuple[Command, ...]
