"""What every store (DCS) promises: the keys of one cluster, read, watched, changed.

A method has three ways to end: it returns the store's yes or no, or it raises
`StoreUnavailable` because no answer came before `deadline` - and then what was asked
may or may not have happened.  Until then it keeps trying by itself, on every
endpoint, whatever can be tried again.

All methods are safe from several threads at once.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from regnal.messages.base import Instant, JsonText, MemberName, Seconds
from regnal.messages.cluster import (
    ClusterView,
    FailsafeMember,
    HistoryLine,
    LeaderStatus,
    Revision,
)


class StoreUnavailable(Exception):
    """No answer in time: what was asked may or may not have happened."""


class StoreDenied(StoreUnavailable):
    """The store answers but rejects us (credentials, permissions): trying again
    helps only after a person has changed something."""


class StoreMisconfigured(Exception):
    """The section of the store is wrong: names the option and the remedy."""


class LeaseAnswer(NamedTuple):
    """What the store said of the leader key."""

    granted: bool
    holder: MemberName | None
    """Who has the key now; None: nobody, or the store did not say."""

    asked_at: Instant
    """When the request that was answered was sent: from here on counts the ttl."""


class KeyAnswer(NamedTuple):
    """What the store said of another key."""

    written: bool
    """True if the key now is as it was wanted, whoever wrote it."""

    revision: Revision | None = None
    """None: not known, or there is no key any more."""


class FailoverDraft(NamedTuple):
    """What is to be written into `failover`; all None clears it."""

    leader: MemberName | None
    candidate: MemberName | None
    scheduled_at: str | None


class SyncDraft(NamedTuple):
    """What is to be written into `sync`; a leader of None is the empty state."""

    leader: MemberName | None
    standbys: tuple[MemberName, ...]
    quorum: int


class Store(Protocol):
    """The keys of one cluster in one store."""

    @property
    def has_sessions(self) -> bool:
        """Whether a member key lives as long as a session that `renew_leader` and
        `touch_member` prolong, so that an unchanged key need not be sent again."""
        ...

    def connect(self, deadline: Instant) -> None:
        """Try the first contact.

        Raises StoreDenied if the credentials are rejected (a daemon should then
        end), StoreUnavailable if nobody answers (it should go on: all methods
        connect by themselves).
        """
        ...

    def read(self, deadline: Instant, consistent: bool = False) -> ClusterView:
        """All keys.  `consistent`: as of now, confirmed by the store's majority;
        else what the watch knows is enough, if the watch is alive."""
        ...

    def watch(self, report: Callable[[ClusterView], None]) -> None:
        """Report the view now and at every change, from this thread, for ever.

        Returns after `close`.  Raises StoreUnavailable when the connection is
        lost; the caller then calls again, and gets a new first view.
        """
        ...

    def touch_member(
        self, member: MemberName, document: JsonText, ttl: Seconds, deadline: Instant
    ) -> KeyAnswer:
        """Make `members/<member>` hold `document` for `ttl` from now."""
        ...

    def acquire_leader(
        self, member: MemberName, ttl: Seconds, deadline: Instant
    ) -> LeaseAnswer:
        """Put `member` into the leader key if it is free or has that name already."""
        ...

    def renew_leader(
        self, member: MemberName, ttl: Seconds, deadline: Instant
    ) -> LeaseAnswer:
        """Prolong the leader key if it has our name; never creates it."""
        ...

    def release_leader(
        self, member: MemberName, status: LeaderStatus | None, deadline: Instant
    ) -> None:
        """Delete the leader key if it has our name, `status` written first (only in
        that case, where the store can).  Carried out late, it must not take the lock
        from a later session of this member (where the store can)."""
        ...

    def hand_over_leader(
        self,
        member: MemberName,
        to: MemberName,
        status: LeaderStatus,
        ttl: Seconds,
        deadline: Instant,
    ) -> LeaseAnswer:
        """Replace our name in the leader key by `to`, and write `status`, in one.

        Granted: the key says `to`, still bound to our session, so that it expires
        if `to` does not take it.  Carried out late: as `release_leader`.
        """
        ...

    def withdraw_hand_over(
        self, member: MemberName, to: MemberName, deadline: Instant
    ) -> LeaseAnswer:
        """Delete the leader key if it still is as our hand-over to `to` left it."""
        ...

    def take_initialize(self, value: str, deadline: Instant) -> KeyAnswer:
        """Create `initialize` with `value`, only if there is none.

        Raises StoreUnavailable also if it cannot be told whether it was us.
        """
        ...

    def confirm_initialize(self, value: str, deadline: Instant) -> KeyAnswer:
        """Replace an empty `initialize` by `value` (or find it done already)."""
        ...

    def cancel_initialize(self, deadline: Instant) -> KeyAnswer:
        """Delete `initialize`, only if it is empty."""
        ...

    def write_config(
        self, document: JsonText, if_revision: Revision | None, deadline: Instant
    ) -> KeyAnswer:
        """`if_revision` "absent": only if there is no key; None: whatever is there."""
        ...

    def write_failover(
        self, draft: FailoverDraft, if_revision: Revision | None, deadline: Instant
    ) -> KeyAnswer:
        """`if_revision` None: whatever is there."""
        ...

    def write_sync(
        self, draft: SyncDraft, if_revision: Revision | None, deadline: Instant
    ) -> KeyAnswer:
        """`if_revision` None: only if there is no key."""
        ...

    def delete_sync(self, if_revision: Revision | None, deadline: Instant) -> KeyAnswer:
        """`if_revision` None: whatever is there.  No key is as good as deleted."""
        ...

    def write_history(
        self, lines: tuple[HistoryLine, ...], deadline: Instant
    ) -> KeyAnswer: ...

    def write_status(
        self, status: LeaderStatus, position_too: bool, deadline: Instant
    ) -> KeyAnswer:
        """`position_too`: write `optime/leader` as well, for members before 2.1."""
        ...

    def write_failsafe(
        self, members: tuple[FailsafeMember, ...], deadline: Instant
    ) -> KeyAnswer: ...

    def delete_cluster(self, deadline: Instant) -> None:
        """Remove every key of the cluster."""
        ...

    def close(self) -> None:
        """End `watch` and whatever waits; safe from any thread, more than once."""
        ...
