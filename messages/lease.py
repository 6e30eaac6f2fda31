"""The leader lease: one key in the store, with a time to live.

The member whose name is in the key may run PostgreSQL as primary.
Nobody else may.
"""

from typing import ClassVar, Literal

from regnal.messages.base import LSN, Command, Instant, MemberName, Outcome, Seconds

LeaseAction = Literal["acquire", "renew", "release", "hand_over", "withdraw"]


class AcquireLeader(Command):
    """Take the lease if the key is free, or carries our name already."""

    kind: Literal["acquire_leader"] = "acquire_leader"
    decides_who_writes: ClassVar[bool] = True
    member: MemberName
    ttl: Seconds
    deadline: Instant


class RenewLeader(Command):
    """Prolong our lease; refused if the key does not carry our name any more."""

    kind: Literal["renew_leader"] = "renew_leader"
    routine: ClassVar[bool] = True
    volatile_fields: ClassVar[frozenset[str]] = frozenset({"deadline"})
    member: MemberName
    ttl: Seconds
    deadline: Instant
    """When the bridge must stop trying, on whatever endpoint."""


class ReleaseLeader(Command):
    """Give the lease up, only if it is ours."""

    kind: Literal["release_leader"] = "release_leader"
    decides_who_writes: ClassVar[bool] = True
    member: MemberName
    last_lsn: LSN | None
    """Written to `status` first, so that the race knows how far we were.  None:
    not known."""

    deadline: Instant


class HandOverLeader(Command):
    """Write another name into the leader key in place of ours, atomically."""

    kind: Literal["hand_over_leader"] = "hand_over_leader"
    decides_who_writes: ClassVar[bool] = True
    member: MemberName
    to: MemberName
    last_lsn: LSN
    """Position of our shutdown checkpoint: what `to` must have."""

    ttl: Seconds
    deadline: Instant


class WithdrawHandOver(Command):
    """Delete the leader key if it still is as our hand-over left it: with `to` in
    it, and bound to our session.  `to` has then not taken it, and cannot have.

    Answered by `LeaderReleased` (deleted) or `LeaseRefused` (it was taken).
    """

    kind: Literal["withdraw_hand_over"] = "withdraw_hand_over"
    decides_who_writes: ClassVar[bool] = True
    member: MemberName
    to: MemberName
    deadline: Instant


class LeaderAcquired(Outcome):
    """The lease is ours until `valid_until`, which is no later than the store thinks."""

    kind: Literal["leader_acquired"] = "leader_acquired"
    member: MemberName
    valid_until: Instant


class LeaderRenewed(Outcome):
    kind: Literal["leader_renewed"] = "leader_renewed"
    routine: ClassVar[bool] = True
    volatile_fields: ClassVar[frozenset[str]] = frozenset({"valid_until"})
    member: MemberName
    valid_until: Instant


class LeaderReleased(Outcome):
    """The key does not carry our name any more."""

    kind: Literal["leader_released"] = "leader_released"
    member: MemberName


class LeaderHandedOver(Outcome):
    kind: Literal["leader_handed_over"] = "leader_handed_over"
    to: MemberName


class LeaseRefused(Outcome):
    """A definite no: the key is somebody else's, or gone when we renewed it."""

    kind: Literal["lease_refused"] = "lease_refused"
    action: LeaseAction
    holder: MemberName | None
    """None: nobody, or the store did not say."""


class LeaseUnconfirmed(Outcome):
    """No answer: what we asked for may or may not have happened."""

    kind: Literal["lease_unconfirmed"] = "lease_unconfirmed"
    action: LeaseAction
    error: str


LeaseCommand = (
    AcquireLeader | RenewLeader | ReleaseLeader | HandOverLeader | WithdrawHandOver
)
LeaseOutcome = (
    LeaderAcquired
    | LeaderRenewed
    | LeaderReleased
    | LeaderHandedOver
    | LeaseRefused
    | LeaseUnconfirmed
)
