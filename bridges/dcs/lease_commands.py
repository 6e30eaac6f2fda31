"""Commands on the leader key: from the order to the outcome.

The lease counts from before the request was sent, by a clock that goes on during
suspend: so it ends here no later than in the store.
"""

from typing import assert_never

from regnal.bridges.contract import Clock
from regnal.bridges.dcs.contract import LeaseAnswer, Store, StoreUnavailable
from regnal.messages.base import LSN, Seconds
from regnal.messages.cluster import ClusterView, LeaderStatus
from regnal.messages.lease import (
    AcquireLeader,
    HandOverLeader,
    LeaderAcquired,
    LeaderHandedOver,
    LeaderReleased,
    LeaderRenewed,
    LeaseAction,
    LeaseCommand,
    LeaseOutcome,
    LeaseRefused,
    LeaseUnconfirmed,
    ReleaseLeader,
    RenewLeader,
    WithdrawHandOver,
)


def perform_lease_command(
    store: Store, command: LeaseCommand, view: ClusterView | None, clock: Clock
) -> LeaseOutcome:
    """`view`: the last one observed; the slots in its status are carried over."""
    action = action_of(command)
    if clock() >= command.deadline:
        return LeaseUnconfirmed(action=action, error="the deadline passed in the queue")
    try:
        match command:
            case AcquireLeader(member=member, ttl=ttl, deadline=deadline):
                answer = store.acquire_leader(member, ttl, deadline)
                return _granted(command, answer, ttl, clock)
            case RenewLeader(member=member, ttl=ttl, deadline=deadline):
                answer = store.renew_leader(member, ttl, deadline)
                return _granted(command, answer, ttl, clock)
            case ReleaseLeader(member=member, last_lsn=lsn, deadline=deadline):
                status = None if lsn is None else status_at(lsn, view)
                store.release_leader(member, status, deadline)
                return LeaderReleased(member=member)
            case HandOverLeader(member=member, to=to, ttl=ttl, deadline=deadline):
                status = status_at(command.last_lsn, view)
                answer = store.hand_over_leader(member, to, status, ttl, deadline)
                if answer.granted:
                    return LeaderHandedOver(to=to)
                return LeaseRefused(action=action, holder=answer.holder)
            case WithdrawHandOver(member=member, to=to, deadline=deadline):
                answer = store.withdraw_hand_over(member, to, deadline)
                if answer.granted:
                    return LeaderReleased(member=member)
                return LeaseRefused(action=action, holder=answer.holder)
            case _:
                assert_never(command)
    except StoreUnavailable as error:
        return LeaseUnconfirmed(action=action, error=str(error))


def action_of(command: LeaseCommand) -> LeaseAction:
    match command:
        case AcquireLeader():
            return "acquire"
        case RenewLeader():
            return "renew"
        case ReleaseLeader():
            return "release"
        case HandOverLeader():
            return "hand_over"
        case WithdrawHandOver():
            return "withdraw"
        case _:
            assert_never(command)


def status_at(lsn: LSN, view: ClusterView | None) -> LeaderStatus:
    """The last known status, with another position."""
    known = view.status if view and view.status else LeaderStatus(optime=0)
    return known.model_copy(update={"optime": lsn})


def _granted(
    command: AcquireLeader | RenewLeader,
    answer: LeaseAnswer,
    ttl: Seconds,
    clock: Clock,
) -> LeaseOutcome:
    action = action_of(command)
    if not answer.granted:
        return LeaseRefused(action=action, holder=answer.holder)
    valid_until = answer.asked_at + ttl
    if clock() >= valid_until:
        return LeaseUnconfirmed(
            action=action, error="the answer came when the lease had ended"
        )
    if isinstance(command, AcquireLeader):
        return LeaderAcquired(member=command.member, valid_until=valid_until)
    return LeaderRenewed(member=command.member, valid_until=valid_until)
