"""Leases: which ended because nobody renewed them, and when they would end now."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from regnal.messages.base import Instant, Message, Seconds
from regnal.messages.envelope import Envelope
from regnal.messages.lease import LeaderAcquired, LeaderRenewed


class Lease(NamedTuple):
    """Of the leader key, as it was granted last; by the clock of its holder."""

    granted: Instant
    until_then: Instant
    until_now: Instant

    incarnation: int
    """Of the daemon that held it."""


def ended_leases(
    grants: Iterable[Envelope[Message]], longer: Seconds
) -> Iterator[Lease]:
    """In order; `longer`: how much longer a lease is now.

    One that was given up or handed over did not end by itself.  The last one ended after
    the recording, if at all.
    """
    last: Lease | None = None
    for envelope in grants:
        if last is not None and envelope.at > last.until_then:
            yield last
        last = None
        match envelope.message:
            case LeaderAcquired(valid_until=until) | LeaderRenewed(valid_until=until):
                incarnation = int(envelope.id.rsplit("/", 2)[1])
                last = Lease(envelope.at, until, until + longer, incarnation)
    if last is not None:
        yield last
