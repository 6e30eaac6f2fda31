"""Coalescing: an idle member says the same things every heartbeat; once is enough.

A routine record like one that is in the chain already is *held* in memory, in
place of the like one that was held before.  As soon as anything else is to be
written, what is held is written first: the last of each run, in the order in
which it happened, with the number of those it stands for.

What makes this safe for replay: deciders remember of a run of like messages the
last only (messages/base.py); the steps of an actor stay in order; and a step is
never in a segment without the message that it heard.  Where that message was
replaced by a newer one, or is in the segment before, it is written (again) in
front of the step, marked `recalled`.
"""

from collections import OrderedDict
from dataclasses import dataclass

from regnal.journal.encoding import Body, Likeness, step_likeness
from regnal.journal.entries import Entry, Group, MessageEntry, StepEntry
from regnal.messages.envelope import MessageId

MAXIMUM_HELD = 512
"""Entries; an idle member has some dozens of kinds of them."""

MAXIMUM_KNOWN = 8192
"""Likenesses; one that was forgotten is written in full once more."""

MAXIMUM_RECENT = 1024
"""Messages that a step may yet have heard; one that was forgotten is encoded, and
written, again."""


@dataclass(slots=True)
class Held:
    """The last of a run of like entries."""

    entry: MessageEntry | StepEntry
    likeness: Likeness
    repeats: int
    """How many like entries before it are not in the chain."""

    recalled: MessageEntry | None
    """The message that the step heard, where that is not in the chain: it may be
    held itself, or have been replaced since."""


class Coalescer:
    """Decides which entries wait.  Touches no file."""

    def __init__(self) -> None:
        self._known: OrderedDict[Likeness, None] = OrderedDict()
        self._held: OrderedDict[Likeness, Held] = OrderedDict()
        self._recent: OrderedDict[MessageId, MessageEntry] = OrderedDict()

    @property
    def held(self) -> tuple[Held, ...]:
        """In the order in which they happened."""
        return tuple(self._held.values())

    def hold(self, entry: Entry) -> Held | None:
        """Hold the entry if it may wait; None: it must be written now."""
        if not isinstance(entry, MessageEntry | StepEntry):
            return None
        own = self._remember(entry)
        if own is None:
            return None
        if own not in self._known:
            self._known[own] = None
            _shorten(self._known, MAXIMUM_KNOWN)
            return None
        before = self._held.pop(own, None)
        if before is None and len(self._held) >= MAXIMUM_HELD:
            return None
        repeats = 0 if before is None else before.repeats + 1
        held = Held(entry, own, repeats, self._unwritten_heard(entry))
        self._held[own] = held
        return held

    def release(self) -> list[Group]:
        """What was held, to be written now."""
        groups = [self._group(held.entry, held.repeats) for held in self.held]
        self._held.clear()
        return groups

    def group(self, entry: Entry) -> Group:
        """The entry, to be written now, after what was held."""
        return self._group(entry, 0)

    def begin_segment(self) -> None:
        """A segment stands for itself: all that its steps heard is in it."""
        self._known.clear()
        for message in self._recent.values():
            message.is_written = False

    def _remember(self, entry: MessageEntry | StepEntry) -> Likeness | None:
        if isinstance(entry, MessageEntry):
            self._remember_message(entry)
            return entry.likeness
        for message in entry.said:
            self._remember_message(message)
        heard = self._recent.get(entry.heard)
        return step_likeness(
            entry.actor,
            entry.rule,
            heard.likeness if heard is not None else None,
            (message.likeness for message in entry.said),
        )

    def _remember_message(self, entry: MessageEntry) -> None:
        self._recent[entry.id] = entry
        _shorten(self._recent, MAXIMUM_RECENT)

    def _unwritten_heard(self, entry: MessageEntry | StepEntry) -> MessageEntry | None:
        if isinstance(entry, MessageEntry):
            return None
        heard = self._recent.get(entry.heard)
        return None if heard is None or heard.is_written else heard

    def _group(self, entry: Entry, repeats: int) -> Group:
        bodies: list[Body] = []
        match entry:
            case MessageEntry():
                entry.is_written = True
            case StepEntry():
                bodies.extend(self._recalled(entry))
                for message in entry.said:
                    message.is_written = True
        first, *rest = entry.bodies
        bodies.append(b'%b,"repeats":%d' % (first, repeats) if repeats else first)
        bodies.extend(rest)
        return Group(bodies, entry)

    def _recalled(self, entry: StepEntry) -> list[Body]:
        heard = self._recent.get(entry.heard)
        if heard is not None:
            if heard.is_written:
                return []
            heard.is_written = True
            return [recalled(heard.body)]
        return [recalled(entry.heard_again())]


def recalled(body: Body) -> Body:
    """Mark a message that is written only because a step heard it."""
    return b'%b,"recalled":true' % body


def _shorten(
    mapping: OrderedDict[bytes, None] | OrderedDict[str, MessageEntry], limit: int
) -> None:
    if len(mapping) > limit:
        mapping.popitem(last=False)
