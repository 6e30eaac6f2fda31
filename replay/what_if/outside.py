"""Outside: what one member hears now, in place of what its bridges said then.

An order that is paired with a recorded one keeps that one's answer, but a lease of
another ttl ends at another moment, and no answer counts after the order's own deadline.
"""

from collections import OrderedDict
from typing import Any

from regnal.messages.base import Instant, MemberName, Message, Outcome, Seconds
from regnal.messages.cluster import (
    ClusterObserved,
    ClusterView,
)
from regnal.messages.envelope import Envelope, MessageId
from regnal.messages.fencing import (
    GuardArmed,
    GuardFailed,
    GuardStarted,
    WatchdogActivated,
    WatchdogFailed,
    WatchdogFound,
)
from regnal.messages.frozen import replace
from regnal.messages.lease import (
    AcquireLeader,
    LeaderAcquired,
    LeaderRenewed,
    LeaseUnconfirmed,
    RenewLeader,
)
from regnal.messages.postgres import PostgresObserved, PostgresStatus
from regnal.messages.probes import PeersProbed
from regnal.messages.settings import ConfigurationApplied, Settings
from regnal.messages.timers import TimerFired
from regnal.replay.evidence.evidence import Moment
from regnal.replay.what_if.changes import Changes
from regnal.replay.what_if.clockwork import Clockwork, Due
from regnal.replay.what_if.words import Pair
from regnal.replay.what_if.world import World

MAXIMUM_REMEMBERED = 4096
"""Messages of which is kept what is heard now in their place: all hear them soon."""


class Outside:
    """Of one member."""

    def __init__(
        self,
        member: MemberName,
        changes: Changes,
        world: World,
        clockwork: Clockwork,
    ) -> None:
        self.then: Settings | None = None
        self.now: Settings | None = None
        """Settings, as they were and as they are; None: not known yet."""

        self.warnings: dict[str, None] = {}
        """What the configuration had to be corrected in; in order."""

        self.view: ClusterView | None = None
        self.status: PostgresStatus | None = None
        """The last that was observed, as it was recorded."""

        self.watchdog: WatchdogActivated | WatchdogFound | WatchdogFailed | None = None
        """The last answer of the device; None: it was not asked."""

        self.guard: GuardArmed | GuardFailed | None = None
        """The last that was heard of the guard; None: nothing was."""

        self.offset: Seconds = 0.0
        """To be added to an instant of this member's clock, to have a moment."""

        self._member = member
        self._changes = changes
        self._world = world
        self._clockwork = clockwork
        self._heard: OrderedDict[MessageId, Envelope[Message] | None] = OrderedDict()
        self._unsaid: OrderedDict[MessageId, None] = OrderedDict()
        self._deadlines: dict[MessageId, Instant] = {}
        self._longer: dict[MessageId, Seconds] = {}

    def clear(self) -> None:
        """The run begins anew."""
        for remembered in (self._heard, self._unsaid, self._deadlines, self._longer):
            remembered.clear()

    def configured(self, recorded: ConfigurationApplied) -> ConfigurationApplied:
        """With the changes.  Raises ConfigurationError."""
        applied, warnings = self._changes.applied(self._member, recorded)
        self.warnings |= dict.fromkeys(warnings)
        self.then, self.now = recorded.settings, applied.settings
        if self.now.tags != self.then.tags:
            self._world.tags[self._member] = self.now.tags
        return applied

    def moment(self, at: Instant) -> Moment:
        return at + self.offset

    def note(self, message: Message, moment: Moment) -> None:
        """What was said then, whether or not it is heard now."""
        match message:
            case ClusterObserved(view=view):
                self.view = view
                self._world.note(view, moment)
            case PostgresObserved(status=status):
                self.status = status
                self._world.note_status(self._member, status, moment)
            case PeersProbed(peers=peers):
                self._world.note_peers(peers, moment)
            case WatchdogActivated() | WatchdogFound() | WatchdogFailed():
                self.watchdog = message
            case GuardArmed() | GuardFailed():
                self.guard = message
            case GuardStarted(pid=pid):
                self.guard = GuardArmed(guard_pid=pid)

    def heard(
        self, envelope: Envelope[Message], moment: Moment
    ) -> Envelope[Message] | None:
        """What is heard now in its place; None: nothing.  Several actors hear it."""
        if envelope.id not in self._heard:
            self._heard[envelope.id] = self._hears(envelope, moment)
            _forget(self._heard)
        return self._heard[envelope.id]

    def is_due(self, due: Due) -> bool:
        """Whether what was expected still comes: no silence where an answer came."""
        if not isinstance(due.message, LeaseUnconfirmed):
            return True
        return self._deadlines.get(due.cause or "") != _ANSWERED

    def replaces(self, pair: Pair) -> None:
        """An order differs from the recorded one, whose answer it gets."""
        then, now = pair.then, pair.now
        if not isinstance(now, AcquireLeader | RenewLeader):
            return
        assert isinstance(then, AcquireLeader | RenewLeader)
        self._longer[pair.recorded.id] = now.ttl - then.ttl
        if now.deadline < then.deadline:
            self._deadlines[pair.recorded.id] = now.deadline
            silence = LeaseUnconfirmed(
                action="acquire" if isinstance(now, AcquireLeader) else "renew",
                error="no answer by the deadline",
            )
            self._clockwork.expect(Due(now.deadline, "dcs", silence, pair.recorded.id))

    def misses(self, order: Envelope[Message]) -> None:
        """A recorded order is not given now: its answer is none of ours."""
        self._unsaid[order.id] = None
        _forget(self._unsaid)

    def gives(self, order: Envelope[Message]) -> None:
        """It is given after all."""
        self._unsaid.pop(order.id, None)

    def _hears(
        self, envelope: Envelope[Message], moment: Moment
    ) -> Envelope[Message] | None:
        message, cause = envelope.message, envelope.cause or ""
        if isinstance(message, Outcome) and cause in self._unsaid:
            return None
        if cause in self._deadlines:
            if self._deadlines[cause] < envelope.at:
                return None  # too late: it is known already that none came
            self._deadlines[cause] = _ANSWERED
        match message:
            case TimerFired():
                return envelope if self._clockwork.fires(message) else None
            case ConfigurationApplied():
                return replace(envelope, message=self.configured(message))
            case LeaderAcquired(valid_until=until) | LeaderRenewed(valid_until=until):
                longer = self._longer.pop(cause, self._usually_longer)
                until += longer
                self._world.leases[self._member] = self.moment(until)
                if not longer:
                    return envelope
                granted = message.model_copy(update={"valid_until": until})
                return replace(envelope, message=granted)
            case _:
                seen = self._world.seen(message, self._member, moment)
                return envelope if seen is message else replace(envelope, message=seen)

    @property
    def _usually_longer(self) -> Seconds:
        """How much longer a lease is now, where nobody says which order was answered."""
        if self.then is None or self.now is None:
            return 0.0
        return self.now.ttl - self.then.ttl


_ANSWERED: Instant = float("inf")


def _forget(remembered: OrderedDict[MessageId, Any]) -> None:
    if len(remembered) > MAXIMUM_REMEMBERED:
        remembered.popitem(last=False)
