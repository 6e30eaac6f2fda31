"""How long one server of an etcd cluster is waited for before the next one is asked.

Pure arithmetic.  A server gets an equal share of the time left, one share being kept
back, so that a silent server never uses up the deadline of all.  That alone would make
a store useless that answers slowly: no share would be long enough, although the
deadline is.  So a server gets at least twice as long as answers have lately taken; and
if nobody answered at all, twice as long as before, since all may be slow.  What the
others need to refuse or to answer at once is always left to them.
"""

from dataclasses import dataclass

from regnal.messages.base import Seconds

LEAST_SHARE: Seconds = 0.2
"""A server gets at least so long, as long as the deadline allows."""

ALLOWANCE = 2.0
"""Times the usual length of an answer, that an answer may take."""


@dataclass(slots=True)
class TimeShares:
    """Safe from any thread: it holds one number, and any of the last ones will do."""

    usual: Seconds = 0.0
    """How long an answer takes; after silence, how long it takes at least."""

    def share(self, remaining: Seconds, servers_left: int) -> Seconds:
        """For the next of so many servers that are still to be asked."""
        share = max(LEAST_SHARE, _equal(remaining, servers_left))
        others = LEAST_SHARE * (servers_left - 1)
        patient = min(ALLOWANCE * self.usual, remaining - others)
        return min(remaining, max(share, patient))

    def note_answer(self, took: Seconds) -> None:
        self.usual = took

    def note_silence(self, within: Seconds, servers: int) -> None:
        """None of so many servers answered within this time."""
        self.usual = max(self.usual, _equal(within, servers))


def _equal(remaining: Seconds, servers_left: int) -> Seconds:
    return remaining / (servers_left + 1)
