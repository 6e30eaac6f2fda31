"""The clocks of other members: ours follows them, and people hear how far they differ.

Every member shows a stamp of its hybrid clock in its key and in what it sends to
others.  What we say after we have seen one is stamped later, so that the journals
of several hosts merge in causal order.  A stamp is foreign input: one that cannot
be read, or that is wildly wrong, changes nothing.

A stamp whose count is 0 shows the wall clock of the member that made it; any other
shows that its clock follows somebody else's, and says nothing about its own.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from regnal.journal.stamps import MAXIMUM_DRIFT, Stamper, hlc_text, parse_hlc
from regnal.messages.base import Instant, MemberName, Seconds
from regnal.messages.cluster import ClusterView
from regnal.messages.envelope import HybridTime
from regnal.messages.host import ClockSkewSeen

SKEW: Seconds = 1.0
"""A difference that people should hear of; also how much it must change to be told
again.  Hosts that ask NTP differ by milliseconds."""

SKEW_PAUSE: Seconds = 60.0
"""A member's clock is told of at most this often, however it jumps."""

REQUEST_TRUST: Seconds = 60.0
"""Who sends a request need not be a member, whatever it says.  Its stamp is followed
so far beyond what the store has shown of the member that it names, and no further."""

LONGEST_STAMP = 200
"""Characters of a stamp; one with the longest name has fewer."""


@dataclass(slots=True)
class _Member:
    """What is known of the clock of a member."""

    shown: str | None = None
    """The stamp in its key, as last seen."""

    ahead: Seconds = 0.0
    """The furthest that a stamp from the store, or an answer, was ahead of us."""

    told: Seconds = 0.0
    told_at: Instant = -inf


class OtherClocks:
    """Keeps our hybrid clock behind nobody's (see `bridges.contract.HybridClock`)."""

    def __init__(self, stamper: Stamper) -> None:
        self._stamper = stamper
        self._lock = threading.Lock()
        self._members: dict[MemberName, _Member] = {}

    def learn(self, view: ClusterView) -> tuple[ClockSkewSeen, ...]:
        """Follow the stamps in the members' keys, those that have changed.

        Returns what is to be told.
        """
        with self._lock:
            self._members = {
                member.name: self._members.get(member.name) or _Member()
                for member in view.members
            }
            return tuple(self._learn(view))

    def shown(self) -> str:
        return hlc_text(self._stamper.stamp())

    def heard_in_answer(
        self, member: MemberName, text: str, elapsed: Seconds
    ) -> ClockSkewSeen | None:
        with self._lock:
            return self._vouched(member, text, elapsed)

    def heard_in_request(self, text: str) -> ClockSkewSeen | None:
        stamp = _parsed(text)
        with self._lock:
            known = self._members.get(stamp.member) if stamp is not None else None
            if stamp is None or known is None:
                return None
            trust = min(known.ahead + REQUEST_TRUST, MAXIMUM_DRIFT)
            ahead = self._stamper.observe(stamp, trust)
            return self._skew(known, stamp, ahead) if ahead <= trust else None

    def _learn(self, view: ClusterView) -> Iterator[ClockSkewSeen]:
        for member in view.members:
            known = self._members[member.name]
            if member.hlc is None or member.hlc == known.shown:
                continue
            known.shown = member.hlc
            skew = self._vouched(member.name, member.hlc)
            if skew is not None:
                yield skew

    def _vouched(
        self, member: MemberName, text: str, elapsed: Seconds | None = None
    ) -> ClockSkewSeen | None:
        """A stamp that the member itself has written.

        `elapsed`: how long ago it was made at most; None: nobody knows.
        """
        stamp = _parsed(text)
        known = self._members.get(member)
        if stamp is None or known is None or stamp.member != member:
            return None
        ahead = self._stamper.observe(stamp)
        if ahead <= MAXIMUM_DRIFT:
            known.ahead = max(known.ahead, ahead)
        return self._skew(known, stamp, ahead, elapsed)

    def _skew(
        self,
        known: _Member,
        stamp: HybridTime,
        ahead: Seconds,
        elapsed: Seconds | None = None,
    ) -> ClockSkewSeen | None:
        """What is certain of the member's wall clock, if that is news."""
        if stamp.logical or stamp.member == self._stamper.member:
            return None  # our own is of before a restart
        if elapsed is None:
            is_news = ahead > known.told + SKEW
        else:
            ahead = max(ahead, min(0.0, ahead + elapsed))
            is_news = abs(ahead - known.told) > SKEW
        now = self._stamper.clocks.boot()
        if not is_news or now < known.told_at + SKEW_PAUSE:
            return None
        known.told, known.told_at = ahead, now
        return ClockSkewSeen(member=stamp.member, ahead=round(ahead, 3))


def _parsed(text: str) -> HybridTime | None:
    """None: it is no stamp."""
    if len(text) > LONGEST_STAMP:
        return None
    try:
        return parse_hlc(text)
    except ValueError:
        return None
