"""What the manager of synchronous standbys knows."""

from dataclasses import dataclass, field
from math import inf

from regnal.actors.postmaster import Postmaster
from regnal.actors.standby_names import StandbyNames, standby_names_text
from regnal.actors.sync_choice import (
    VERSION_9_6,
    Standby,
    by_quorum,
    streaming_standbys,
    wanted_standbys,
)
from regnal.actors.sync_plan import Electors, SyncSituation
from regnal.actors.sync_silence import REPLACED_AFTER, Silence, silent_names
from regnal.messages.base import LSN, Instant, MemberName
from regnal.messages.cluster import ClusterView, SyncState
from regnal.messages.operations import Phase
from regnal.messages.postgres import PostgresStatus
from regnal.messages.settings import Settings

UNKNOWN_REVISION = ""
"""Of a key that we wrote into a store that does not say: it is awaited."""


@dataclass(frozen=True, slots=True)
class SyncManager:
    """The key, the parameter, the standbys, and what is not answered yet."""

    member: MemberName
    settings: Settings | None = None
    cluster: ClusterView | None = None
    postgres: PostgresStatus | None = None
    postmaster: Postmaster = field(default_factory=Postmaster)
    phase: Phase = "unknown"
    has_lease: bool = False

    # The key.
    key: SyncState | None = None
    """As last observed or written; None: there is none."""

    key_is_seen: bool = True
    """Whether it was observed as we wrote it: until then, views may be older."""

    key_written_at: Instant = 0.0
    key_is_doubted: bool = False
    """Whether another key was observed long after we wrote ours, and never ours."""

    key_is_stale: bool = False
    """Whether the store refused a change of it: it is not what we think."""

    read_due: bool = False
    """Whether the message just heard is a reason to read the store."""

    writing: SyncState | None = None
    """What we asked the store to write, and it has not answered."""

    deleting: bool = False
    unsettled: tuple[Electors | None, ...] = ()
    """Writes without an answer: they may have landed, or may yet, as long as the key
    has the revision that they asked for.  None: a removal."""

    # The parameter.
    value: StandbyNames | None = None
    """As in force; None: not known, or not one that we can read."""

    value_text: str | None = None
    since_lsn: LSN | None = None
    """Where the primary was when the value was in force; None: not known."""

    setting: str | None = None
    """What PostgreSQL was asked to set, and has not answered."""

    doubtful: tuple[StandbyNames, ...] = ()
    """Values that PostgreSQL could not be seen to take: it may have, or may yet."""

    looking_twice: bool = False
    """Whether another value than ours was observed, which may be an older one."""

    restore_due: bool = False
    """Whether the value is ours, so that the user's is to be restored."""

    is_found: bool = False
    """Whether the message just heard showed a value that we did not set."""

    resting: bool = False
    """Whether something failed: nothing is tried again before the next beat."""

    look_due: bool = False
    """Whether the message just heard is a reason to look at the standbys."""

    look_until: Instant = 0.0
    """Until when a member that has just started is expected to stream."""

    is_catching_up: bool = False
    """Whether a standby that was chosen is looked at until it has caught up."""

    silences: tuple[Silence, ...] = ()
    """Standbys that owed us a confirmation when PostgreSQL was last observed."""

    is_watching: bool = False
    """Whether a synchronous standby is looked at more often than once a beat, because it
    owed us a confirmation."""

    watch_due: bool = False
    """Whether the message just heard is a reason for another such look."""

    @property
    def is_primary(self) -> bool:
        """Whether it is for us to choose."""
        return (
            self.has_lease
            and self.phase == "primary"
            and self.postgres is not None
            and self.postgres.is_accepting
            and self.postgres.in_recovery is False
        )

    @property
    def is_standby(self) -> bool:
        return (
            self.phase == "standby"
            and self.postgres is not None
            and self.postgres.is_accepting
            and self.postgres.in_recovery is True
        )

    @property
    def is_waiting(self) -> bool:
        """Whether an answer must come first."""
        return (
            self.writing is not None
            or self.deleting
            or self.setting is not None
            or self.resting
            or self.looking_twice
            or (self.key is not None and self.key.revision == UNKNOWN_REVISION)
        )

    @property
    def key_is_there(self) -> bool:
        """Whether there is a key that says anything."""
        return self.key is not None and bool(self.key.leader or self.key.standbys)

    @property
    def electors(self) -> Electors | None:
        """What the key says while we lead; None: nothing of us (P-SYNC-09)."""
        return electors_of(self.key, self.member)

    @property
    def standbys(self) -> tuple[Standby, ...]:
        """Members that stream from us, and confirm what they have."""
        if self.postgres is None or self.cluster is None:
            return ()
        patience = self.settings.retry_timeout if self.settings else inf
        lost = silent_names(self.silences, patience)
        silent = silent_names(self.silences, REPLACED_AFTER)
        found = streaming_standbys(self.postgres, self.cluster, self.member, silent)
        return tuple(standby for standby in found if standby.key not in lost)

    @property
    def synchronous(self) -> frozenset[str]:
        """Who may have to acknowledge commits."""
        electors = self.electors
        return frozenset(
            (
                *(electors.names if electors else ()),
                *(self.value.names if self.value else ()),
            )
        )

    @property
    def expects_standbys(self) -> bool:
        """Whether a member runs that should stream from us, and was not seen to."""
        if self.cluster is None:
            return False
        streaming = {standby.key for standby in self.standbys}
        return any(
            member.is_running
            and member.name.lower() not in (*streaming, self.member.lower())
            and member.tags.may_be_synchronous
            and member.tags.replicatefrom in (None, self.member)
            for member in self.cluster.members
        )

    @property
    def candidates(self) -> tuple[Standby, ...]:
        """P-QUORUM-06: those of them that have all that was there when the value came
        into force, or that count already."""
        electors = self.electors
        counted = (
            *(electors.names if electors else ()),
            *(self.value.names if self.value else ()),
        )
        since = self.since_lsn
        return tuple(
            standby
            for standby in self.standbys
            if standby.key in counted
            or (since is not None and standby.flushed >= since)
        )

    def situation(self) -> SyncSituation:
        """What the plan goes by; settings and PostgreSQL must be known."""
        assert self.settings is not None
        assert self.postgres is not None
        electors = self.electors
        quorum = by_quorum(self.settings, self.postgres)
        standbys = self.standbys
        current = electors.names if electors else ()
        wanted, count = wanted_standbys(
            self.candidates if quorum else standbys,
            self.settings,
            self.postgres,
            current,
        )
        since = self.since_lsn
        return SyncSituation(
            keys=(electors, *self.unsettled),
            values=(self.value, *self.doubtful),
            wanted=tuple(sorted(name.lower() for name in wanted)),
            count=count,
            by_quorum=quorum,
            single=self.postgres.server_version < VERSION_9_6,
            strict=self.settings.synchronous_mode_strict,
            streaming=tuple(s.key for s in standbys),
            caught_up=tuple(
                s.key for s in standbys if since is not None and s.flushed >= since
            ),
            reported=tuple(s.key for s in standbys if s.is_reported),
        )


def electors_of(key: SyncState | None, leader: MemberName) -> Electors | None:
    """Whom the key of `leader` lets be promoted; None: it is not that leader's."""
    if key is None or key.leader is None or key.leader.lower() != leader.lower():
        return None
    names = {name.lower(): None for name in key.standbys}
    return Electors(tuple(sorted(names)), key.quorum)


def spelled_value(manager: SyncManager, value: StandbyNames) -> str:
    """The parameter's text, names as their members spell them."""
    if value.everybody:
        return "*"
    names = [spelled(manager, name) for name in value.names]
    return standby_names_text(names, value.count, by_quorum=value.by_quorum)


def spelled(manager: SyncManager, name: str) -> MemberName:
    """The name as its member spells it (SYNC-10)."""
    members = manager.cluster.members if manager.cluster else ()
    spellings = (
        *(member.name for member in members),
        *(manager.key.standbys if manager.key else ()),
    )
    return next((s for s in spellings if s.lower() == name), name)
