"""Coalescing: an idle member says the same things every heartbeat; once is enough.

Routine records (messages/base.py) are *held* in memory.  As soon as anything else
is to be written, what is held is written first, all of it, and nothing was saved.
But where a quiet stretch lasts, like records are thinned out to the last of each,
with the number of those it stands for; and then the states of all actors are
written with them, so that replay is exact from there on.  Replay between those
that are left would not be: a rule that looks at the clock would find the lease of
an hour ago.

A message that an actor has yet to hear is never left out.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from regnal.journal.audience import Audience
from regnal.journal.encoding import Body, Likeness, step_likeness
from regnal.journal.entries import Entry, Group, MessageEntry, StepEntry, size_of
from regnal.messages.base import Bytes
from regnal.messages.envelope import MessageId

MAXIMUM_RECENT = 1024
"""Messages whose likeness is remembered for the steps that will hear them."""


@dataclass(slots=True)
class Held:
    """A routine entry, the last of its kind or not."""

    entry: MessageEntry | StepEntry
    likeness: Likeness
    repeats: int = 0
    """How many like entries before it were left out."""

    @property
    def bodies(self) -> list[Body]:
        first, *rest = self.entry.bodies
        return (
            [b'%b,"repeats":%d' % (first, self.repeats), *rest]
            if self.repeats
            else [first, *rest]
        )


class Coalescer:
    """Decides which entries wait, and which are left out.  Touches no file."""

    def __init__(self, audience: Audience, quiet_bytes: Bytes) -> None:
        """More than `quiet_bytes` is thinned out; what then still is far more is
        written: it is not quiet."""
        self.omitted = 0
        """Entries that were left out of what is held."""

        self.size: Bytes = 0
        """Of what is held."""

        self._audience = audience
        self._held: list[Held] = []
        self._quiet_bytes = quiet_bytes
        self._thin_out_at = quiet_bytes
        self._recent: OrderedDict[MessageId, Likeness | None] = OrderedDict()

    @property
    def held(self) -> list[Held]:
        """In the order in which they happened."""
        return self._held

    def hold(self, entry: Entry) -> Held | None:
        """Hold the entry if it may wait; None: it must be written now."""
        if not isinstance(entry, MessageEntry | StepEntry):
            return None
        likeness = self._likeness(entry)
        if likeness is None:
            return None
        held = Held(entry, likeness)
        self._held.append(held)
        self.size += size_of(entry)
        return held

    @property
    def is_quiet(self) -> bool:
        """Whether thinning out helps; else what is held should be written."""
        return self.size <= 4 * self._quiet_bytes

    @property
    def is_too_much(self) -> bool:
        """Whether so much is held that something should be left out."""
        return self.size > self._thin_out_at

    def thin_out(self) -> None:
        """Leave out what was repeated since, and heard by all."""
        last: dict[Likeness, Held] = {}
        heard: set[MessageId] = set()
        kept: list[Held] = []
        for held in reversed(self._held):
            newer = last.setdefault(held.likeness, held)
            if newer is not held and self._may_be_left_out(held.entry, heard):
                newer.repeats += 1 + held.repeats
                self.omitted += 1
                self.size -= size_of(held.entry)
                continue
            if isinstance(held.entry, StepEntry):
                heard.add(held.entry.heard)
            kept.append(held)
        kept.reverse()
        self._held = kept
        self._thin_out_at = self.size + self._quiet_bytes

    def release(self) -> list[Group]:
        """What is held, to be written now."""
        groups = [group(held.entry, held.bodies) for held in self._held]
        self._held = []
        self._thin_out_at = self._quiet_bytes
        self.omitted = self.size = 0
        return groups

    def _may_be_left_out(self, entry: Entry, heard: set[MessageId]) -> bool:
        # What a kept step heard is kept with it, for the reader.
        return all(
            message.id not in heard and self._audience.has_heard(message)
            for message in entry.messages
        )

    def _likeness(self, entry: MessageEntry | StepEntry) -> Likeness | None:
        for message in entry.messages:
            self._recent[message.id] = message.likeness
            if len(self._recent) > MAXIMUM_RECENT:
                self._recent.popitem(last=False)
        if isinstance(entry, MessageEntry):
            return entry.likeness
        return step_likeness(
            entry.actor,
            entry.rule,
            self._recent.get(entry.heard),
            (message.likeness for message in entry.messages),
        )


def group(entry: Entry, bodies: Iterable[Body] | None = None) -> Group:
    """The entry as it is written."""
    for message in entry.messages:
        message.is_written = True
    return Group(list(entry.bodies if bodies is None else bodies), entry)


def recalled(message: MessageEntry) -> Body:
    """A message that is in the segment before, for those who have yet to hear it."""
    return b'%b,"recalled":true' % message.body
