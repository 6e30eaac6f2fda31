"""A simulated store (DCS): linearizable keys, leases that expire, watches."""

from collections.abc import Callable
from dataclasses import dataclass

from regnal.messages.base import LSN, Instant, JsonText, MemberName, Seconds
from regnal.messages.cluster import (
    ClusterView,
    FailoverRequest,
    FailsafeMember,
    HistoryLine,
    LeaderStatus,
    LeaderView,
    MemberView,
    Revision,
    SyncState,
)
from regnal.messages.frozen import replace
from regnal.replay.simulation.scheduler import Scheduler

Session = tuple[int, int]
"""Which daemon of a member, and which of its sessions: a later one is greater."""

FIRST: Session = (1, 0)

Watcher = Callable[[ClusterView], None]

WATCH_DELAY = (0.001, 0.01)
"""Seconds, least and most, from a change to its observation."""


@dataclass(frozen=True)
class Lock:
    """The leader key."""

    name: MemberName
    owner: MemberName
    """Whose session it is bound to: after a hand-over still the old leader's."""

    session: Session
    """Of the owner's: only that, or a later one of the same daemon, lets go of it."""

    ends_at: Instant
    ttl: Seconds
    revision: int


@dataclass(frozen=True)
class _Key:
    """A member's key."""

    view: MemberView
    ends_at: Instant
    ttl: Seconds


class SimulatedStore:
    """All keys of one cluster."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._revision = 0
        self._watchers: dict[MemberName, Watcher] = {}
        self._members: dict[MemberName, _Key] = {}
        self.is_down = False
        self._heard_at: dict[MemberName, Instant] = {}
        """When the last change reaches each watcher: a watch keeps the order."""

        self.watch_lag: Seconds = 0.0
        """What a change takes longer to be observed."""

        self.lock: Lock | None = None
        self.initialize: str | None = None
        self.config: tuple[JsonText, int] | None = None
        self.failover: FailoverRequest | None = None
        self.sync: SyncState | None = None
        self.history: tuple[HistoryLine, ...] | None = None
        self.status: LeaderStatus | None = None
        self.failsafe: tuple[FailsafeMember, ...] | None = None

    def go_down(self) -> None:
        """Answer nobody: its nodes have no leader, or no quorum."""
        self.is_down = True

    def come_back(self) -> None:
        """The new leader of its nodes does not know when leases were renewed last: all
        of them begin anew."""
        self.is_down = False
        now = self._scheduler.now
        for name, key in self._members.items():
            self._members[name] = replace(key, ends_at=now + key.ttl)
            self._scheduler.at(now + key.ttl, self.expire)
        if self.lock is not None:
            self.lock = replace(self.lock, ends_at=now + self.lock.ttl)
            self._scheduler.at(self.lock.ends_at, self.expire)

    def wipe(self) -> None:
        """Remove every key."""
        self._members.clear()
        self.lock = self.initialize = self.config = self.failover = None
        self.sync = self.history = self.status = self.failsafe = None
        self.changed()

    def delete_leader_key(self) -> None:
        """Somebody removes it by hand."""
        self.lock = None
        self.changed()

    def watch(self, member: MemberName, watcher: Watcher) -> None:
        self._watchers[member] = watcher

    def unwatch(self, member: MemberName) -> None:
        self._watchers.pop(member, None)

    def view(self) -> ClusterView:
        return ClusterView(
            initialize=self.initialize,
            leader=LeaderView(
                name=self.lock.name,
                revision=self.lock.revision,
                session=self.lock.owner,
            )
            if self.lock
            else None,
            members=tuple(self._members[name].view for name in sorted(self._members)),
            config=self.config[0] if self.config else None,
            config_revision=self.config[1] if self.config else None,
            failover=self.failover,
            sync=self.sync,
            history=self.history,
            status=self.status,
            failsafe=self.failsafe,
        )

    def touch(self, view: MemberView, ttl: Seconds) -> None:
        ends_at = self._scheduler.now + ttl
        known = self._members.get(view.name)
        self._members[view.name] = _Key(view, ends_at, ttl)
        self._prolong(view.name, ttl)
        if known is None or known.view != view:
            self.changed()

    def acquire(
        self, member: MemberName, ttl: Seconds, session: Session = FIRST
    ) -> bool:
        self.expire()
        if self.lock is not None and self.lock.name != member:
            return False
        self._take(member, ttl, session)
        self.changed()
        return True

    def renew(self, member: MemberName, ttl: Seconds, session: Session = FIRST) -> bool:
        self.expire()
        if self.lock is None or self.lock.name != member:
            return False
        if self.lock.owner != member or self.lock.session < session:
            self.lock = replace(self.lock, owner=member, session=session)
            self.changed()
        self._prolong(member, ttl)
        return True

    def release(
        self, member: MemberName, last_lsn: LSN | None, session: Session = FIRST
    ) -> bool:
        if not self._is_bound(member, session):
            return False
        self._note_position(last_lsn)
        self.lock = None
        self.changed()
        return True

    def hand_over(
        self,
        member: MemberName,
        to: MemberName,
        last_lsn: LSN,
        ttl: Seconds,
        session: Session = FIRST,
    ) -> bool:
        if not self._is_bound(member, session):
            return False
        self._note_position(last_lsn)
        self._revision += 1
        ends_at = self._scheduler.now + ttl
        self.lock = Lock(to, member, session, ends_at, ttl, self._revision)
        self._scheduler.at(self.lock.ends_at, self.expire)
        self.changed()
        return True

    def withdraw(self, member: MemberName, to: MemberName) -> bool:
        if self.lock is None or self.lock.name != to or self.lock.owner != member:
            return False
        self.lock = None
        self.changed()
        return True

    def expire(self) -> None:
        """Remove what has outlived its time."""
        if self.is_down:
            return
        now = self._scheduler.now
        gone = [name for name, key in self._members.items() if key.ends_at <= now]
        for name in gone:
            del self._members[name]
        lost = self.lock is not None and self.lock.ends_at <= now
        if lost:
            self.lock = None
        if gone or lost:
            self.changed()

    def next_revision(self) -> int:
        self._revision += 1
        return self._revision

    def matches(self, wanted: Revision | None, actual: Revision | None) -> bool:
        return wanted == actual

    def changed(self) -> None:
        """Tell every watcher, each after its own delay."""
        self._revision += 1
        view = self.view()
        for member, watcher in list(self._watchers.items()):
            due = self._scheduler.now + self._scheduler.delay(*WATCH_DELAY)
            heard_at = max(due + self.watch_lag, self._heard_at.get(member, 0.0))
            self._heard_at[member] = heard_at
            self._scheduler.at(
                heard_at,
                lambda member=member, watcher=watcher: self._tell(  # type: ignore[misc]
                    member, watcher, view
                ),
            )

    def _tell(self, member: MemberName, watcher: Watcher, view: ClusterView) -> None:
        if self._watchers.get(member) is watcher:
            watcher(view)

    def _is_bound(self, member: MemberName, session: Session) -> bool:
        """Whether the lock is this session's own: a request that is carried out late must
        not take it from a later one."""
        self.expire()
        lock = self.lock
        if lock is None or lock.name != member:
            return False
        daemon, number = lock.session
        return daemon == session[0] and number <= session[1]

    def _take(self, member: MemberName, ttl: Seconds, session: Session) -> None:
        self._revision += 1
        ends_at = self._scheduler.now + ttl
        self.lock = Lock(member, member, session, ends_at, ttl, self._revision)
        self._prolong(member, ttl)

    def _prolong(self, member: MemberName, ttl: Seconds) -> None:
        """All keys of a member are bound to one session, as in etcd, and end with it."""
        ends_at = self._scheduler.now + ttl
        key = self._members.get(member)
        if key is not None:
            self._members[member] = replace(key, ends_at=ends_at, ttl=ttl)
        if self.lock is not None and self.lock.owner == member:
            self.lock = replace(self.lock, ends_at=ends_at, ttl=ttl)
        self._scheduler.at(ends_at, self.expire)

    def _note_position(self, lsn: LSN | None) -> None:
        if lsn is None:
            return
        status = self.status or LeaderStatus(optime=0)
        self.status = status.model_copy(update={"optime": lsn})
