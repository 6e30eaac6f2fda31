"""This member as it shows itself to others: how its state and role are learned.

Nothing is decided here.  `role` and `state` have the words of docs/contracts.md 1.
"""

from dataclasses import dataclass, field
from typing import Literal

from regnal.actors.postmaster import Postmaster, heard_of
from regnal.messages.base import JsonText, MemberName, Message, Timeline
from regnal.messages.daemon import ShutdownRequested
from regnal.messages.frozen import replace
from regnal.messages.incidents import LeadershipAllowed, LeadershipBarred
from regnal.messages.lease import (
    LeaderAcquired,
    LeaderHandedOver,
    LeaderReleased,
    LeaderRenewed,
    LeaseRefused,
)
from regnal.messages.operations import (
    DemotePostgres,
    IntentFailed,
    IntentFulfilled,
    IntentRefused,
    Phase,
    PhaseChanged,
    RestartInPlace,
)
from regnal.messages.postgres import (
    CheckpointDone,
    PostgresCloned,
    PostgresObserved,
    PostgresPromoted,
    PostgresStarted,
    PostgresStatus,
    PostmasterExited,
)
from regnal.messages.requests import ScheduledRestartChanged
from regnal.messages.settings import ConfigurationApplied, Settings

OWN_MEMBER_HEARS: tuple[type[Message], ...] = (
    ConfigurationApplied,
    PostgresObserved,
    PostmasterExited,
    PostgresCloned,
    PostgresStarted,
    PostgresPromoted,
    CheckpointDone,
    PhaseChanged,
    DemotePostgres,
    RestartInPlace,
    IntentFulfilled,
    IntentFailed,
    IntentRefused,
    LeaderAcquired,
    LeaderRenewed,
    LeaderReleased,
    LeaderHandedOver,
    LeaseRefused,
    ScheduledRestartChanged,
    LeadershipBarred,
    LeadershipAllowed,
    ShutdownRequested,
)

_WITHOUT_DATA: tuple[Phase, ...] = ("absent", "cloning", "bootstrapping", "removing")
_RUNNING: tuple[Phase, ...] = (
    "unknown",
    "primary",
    "checkpointing",
    "stopping",
    "restarting",
    "promoting",
)


@dataclass(frozen=True, slots=True)
class OwnMember:
    """PostgreSQL of this member, its lease, and what a person said of it."""

    member: MemberName
    settings: Settings | None = None
    postgres: PostgresStatus | None = None
    postmaster: Postmaster = field(default_factory=Postmaster)
    phase: Phase = "unknown"
    state: str | None = None
    """As the supervisor calls it; None: it has not said yet."""

    server: Literal["primary", "standby"] | None = None
    """What the server is, or was before it stopped; None: not known."""

    has_lease: bool = False
    demoting: bool = False
    """Whether we were told to stop accepting writes and have not started since."""

    checkpoint_due: Timeline | None = None
    """Until a checkpoint on this timeline is done nobody may rewind from us."""

    scheduled_restart: JsonText | None = None
    barred: bool = False
    """Whether policy forbids that it becomes primary."""

    leaving: bool = False
    """Whether PostgreSQL is about to be stopped or restarted on purpose."""

    @property
    def is_known(self) -> bool:
        """Whether there is anything to show."""
        return self.settings is not None and self.postgres is not None

    @property
    def has_data(self) -> bool:
        return self.postgres is not None and self.postgres.data_directory == "valid"

    @property
    def role(self) -> str:
        if self.phase == "promoting" and self.server != "primary":
            return "promoted"
        if self.phase in _WITHOUT_DATA:
            return "uninitialized"
        if self.server is None:
            # Valid data whose server does not tell yet: no primary as far as we know.
            return "replica" if self.has_data else "uninitialized"
        if self.server == "primary":
            lost = not self.has_lease and self.phase not in _RUNNING
            return "demoted" if self.demoting or lost else "primary"
        assert self.settings is not None
        leads = self.has_lease and self.settings.is_standby_cluster
        return "standby_leader" if leads else "replica"

    @property
    def shown_state(self) -> str:
        """The state, from what is observed while the supervisor has said nothing."""
        if self.state is not None:
            return self.state
        match self.postgres.process if self.postgres else "absent":
            case "accepting" | "unresponsive":
                return "running"
            case "starting":
                return "starting"
            case _:
                return "stopped"


def learn(own: OwnMember, message: Message) -> OwnMember:
    """The member after hearing `message`."""
    match message:
        case ConfigurationApplied(settings=settings):
            return replace(own, settings=settings)
        case LeaderAcquired(member=member) | LeaderRenewed(member=member):
            return replace(own, has_lease=member == own.member)
        case LeaderReleased() | LeaderHandedOver() | LeaseRefused():
            return replace(own, has_lease=False)
        case DemotePostgres():
            return replace(own, demoting=own.server == "primary")
        case RestartInPlace() | ShutdownRequested():
            paused = own.settings is not None and own.settings.paused
            return replace(own, leaving=not paused)
        case IntentFulfilled(intent="restart_in_place"):
            return replace(own, leaving=False)
        case IntentFailed(intent=intent) | IntentRefused(intent=intent):
            return replace(
                own,
                demoting=own.demoting and intent != "demote_postgres",
                leaving=own.leaving and intent != "restart_in_place",
            )
        case ScheduledRestartChanged(document=document):
            return replace(own, scheduled_restart=document)
        case LeadershipBarred():
            return replace(own, barred=True)
        case LeadershipAllowed():
            return replace(own, barred=False)
        case _:
            return _learn_of_postgres(own, message)


def _learn_of_postgres(own: OwnMember, message: Message) -> OwnMember:
    if own.postmaster.is_late(message):
        return own
    postmaster = heard_of(own.postmaster, message)
    if postmaster is not own.postmaster:
        own = replace(own, postmaster=postmaster)
    match message:
        case PostgresObserved(status=status):
            return _observed(own, status)
        case PhaseChanged():
            return _changed(own, message)
        case PostmasterExited(expected=False):
            return replace(
                own, state="crashed", postgres=_updated(own, process="absent")
            )
        case PostgresStarted(role=role):
            return replace(own, server=role, demoting=False, state="running")
        case PostgresCloned():
            # The copy has the pg_control of a primary; it will be none.
            return replace(own, server="standby", demoting=False)
        case PostgresPromoted(timeline=timeline, lsn=lsn):
            return replace(
                own,
                server="primary",
                demoting=False,
                checkpoint_due=timeline,
                postgres=_updated(
                    own,
                    in_recovery=False,
                    timeline=timeline,
                    write_lsn=lsn,
                    receiver=None,
                ),
            )
        case CheckpointDone(timeline=timeline):
            due = own.checkpoint_due
            done = due is not None and timeline >= due
            return replace(own, checkpoint_due=None if done else due)
        case _:
            return own


def _observed(own: OwnMember, status: PostgresStatus) -> OwnMember:
    if own.server == "primary" and own.phase == "promoting" and status.in_recovery:
        # It was asked before the promotion ended.
        return own
    server = own.server
    if status.process != "absent" and status.in_recovery is not None:
        server = "standby" if status.in_recovery else "primary"
    elif server is None and status.control is not None:
        server = "standby" if "recovery" in status.control.state else "primary"
        if status.control.state == "in crash recovery":
            server = "primary"
    return replace(own, postgres=status, server=server)


def _changed(own: OwnMember, changed: PhaseChanged) -> OwnMember:
    server = own.server
    if changed.phase in ("primary", "standby"):
        server = "primary" if changed.phase == "primary" else "standby"
    settled = changed.phase in ("standby", "absent")
    again = changed.phase == "primary" and changed.intent != "demote_postgres"
    return replace(
        own,
        phase=changed.phase,
        state=changed.state,
        server=server,
        demoting=own.demoting and not settled and not again,
        checkpoint_due=own.checkpoint_due if server == "primary" else None,
        postgres=_updated(own, process="absent")
        if changed.phase == "stopped"
        else own.postgres,
    )


def _updated(own: OwnMember, **fields: object) -> PostgresStatus | None:
    if own.postgres is None:
        return None
    return own.postgres.model_copy(update=fields)
