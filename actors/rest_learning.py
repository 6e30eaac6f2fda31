"""How the `rest` actor learns from messages; nothing is decided here."""

from regnal.actors import own_member
from regnal.actors.rest_state import Rest
from regnal.messages.base import Instant, Message
from regnal.messages.cluster import (
    ClusterObserved,
    KeyRefused,
    KeyWritten,
    StoreAnswered,
    StoreUnreachable,
)
from regnal.messages.envelope import Envelope
from regnal.messages.fencing import (
    DisableWatchdog,
    FencingJudged,
    WatchdogActivated,
    WatchdogFailed,
)
from regnal.messages.frozen import replace
from regnal.messages.lease import (
    LeaderAcquired,
    LeaderHandedOver,
    LeaderReleased,
    LeaderRenewed,
    LeaseRefused,
    LeaseUnconfirmed,
)
from regnal.messages.probes import FailsafeAnswered
from regnal.messages.settings import ConfigurationApplied
from regnal.messages.timers import SetTimer

HEARTBEAT = "heartbeat"
"""Election sets this timer whenever its heart beats: it thinks."""

STORE_SAID = (
    ClusterObserved,
    StoreAnswered,
    KeyWritten,
    KeyRefused,
    LeaderAcquired,
    LeaderRenewed,
    LeaderReleased,
    LeaderHandedOver,
    LeaseRefused,
)
"""Whatever the store answers, it has answered (P-REST-01)."""


def learn(rest: Rest, envelope: Envelope[Message]) -> Rest:
    """The state after `envelope`, before any rule looks at it."""
    message = envelope.message
    own = own_member.learn(rest.own, message)
    if own is not rest.own:
        rest = replace(rest, own=own)
    if isinstance(message, STORE_SAID):
        rest = replace(rest, dcs_last_seen=envelope.wall_us // 1_000_000)
    rest = _learn_of_lease(rest, message, envelope.at)
    match message:
        case ClusterObserved(view=view):
            return replace(rest, view=view, store_known=True, store_silent=False)
        case StoreAnswered():
            known = rest.view is not None
            return replace(rest, store_known=known, store_silent=False)
        case StoreUnreachable():
            return replace(rest, store_silent=True)
        case SetTimer() if is_heartbeat(message):
            return replace(rest, heartbeat_at=envelope.at)
        case FencingJudged(verdict=verdict):
            return replace(rest, watchdog_failed=verdict == "failed")
        case WatchdogActivated(timeout=timeout):
            return replace(rest, device_timeout=timeout)
        case WatchdogFailed() | DisableWatchdog():
            return replace(rest, device_timeout=None)
        case ConfigurationApplied():
            # A daemon that has just started is alive (P-REST-07).
            return replace(rest, heartbeat_at=rest.heartbeat_at or envelope.at)
        case _:
            return rest


def is_heartbeat(message: Message) -> bool:
    return isinstance(message, SetTimer) and message.name == HEARTBEAT


def _learn_of_lease(rest: Rest, message: Message, now: Instant) -> Rest:
    match message:
        case (
            LeaderAcquired(member=member, valid_until=until)
            | LeaderRenewed(member=member, valid_until=until)
        ):
            ours = member == rest.member
            # P-FSAFE-07: the store has spoken, and failsafe mode is over.
            return replace(
                rest,
                lease_until=max(until, rest.lease_until) if ours else 0.0,
                failsafe_active=False,
            )
        case LeaderReleased() | LeaderHandedOver() | LeaseRefused():
            return replace(rest, lease_until=0.0)
        case LeaseUnconfirmed(action=action) if action not in ("acquire", "renew"):
            # We have let go of it, whether or not the store knows.
            return replace(rest, lease_until=0.0)
        case FailsafeAnswered(votes=votes, asked_at=asked_at):
            return _learn_votes(
                rest, all(vote.accepted for vote in votes), asked_at, now
            )
        case _:
            return rest


def _learn_votes(rest: Rest, agreed: bool, asked_at: Instant, now: Instant) -> Rest:
    """P-FSAFE-01: all members together prolong a lease that has not ended."""
    settings = rest.settings
    if not agreed or settings is None or not settings.failsafe_mode:
        return replace(rest, failsafe_active=False)
    if not rest.leads(now):
        return rest
    until = asked_at + settings.ttl
    return replace(
        rest,
        lease_until=max(rest.lease_until, until),
        failsafe_active=True,
        failsafe_until=until,
    )
