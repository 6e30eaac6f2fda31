"""Hearing: which actor heard which message, in which order, and what it did then.

    hearing = Hearing(DECIDERS)
    for item in scan(directory, with_held=True):
        for event in hearing.take(item): ...
    for event in hearing.finish(): ...

Every actor hears the messages of its classes in the order of the journal, as the bus of
the daemon gave them to it.  That it has heard one is known from its next step, its next
failure or its next snapshot; until then the message waits.  Nothing is decided here.

After damage, a gap or a quiet stretch of which parts were left out, what an actor heard
is *doubtful* until its next snapshot.
"""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from regnal.actors.step import Decider
from regnal.journal.chain_check import Damage
from regnal.journal.decoding import StepTaken, Undecodable, envelope_of, step_of
from regnal.journal.encoding import kind_of
from regnal.journal.entries import number_of
from regnal.journal.places import RecordNumber
from regnal.journal.reader import Record
from regnal.messages.base import MemberName, Message
from regnal.messages.daemon import ActorFailed, ObservationSuperseded
from regnal.messages.envelope import Envelope, MessageId, PartName
from regnal.messages.vocabulary import VOCABULARY

MAXIMUM_WAITING = 100_000
"""Messages that an actor has not been seen to hear.  A segment has fewer, and the next
one begins with a snapshot; where there are more the oldest are given up."""

_MAKES_DOUBTFUL = frozenset({"quiet", "gap", "tail_cut"})
"""Kinds of records behind which others are missing."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A step, as the journal has it."""

    record: RecordNumber
    taken: StepTaken
    said: tuple[Envelope[Message] | None, ...]
    """What it said, in its order; None: that record is not there, or not readable."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The actor could not handle the message, and went on from its last state."""

    record: RecordNumber
    failure: ActorFailed


class Began(NamedTuple):
    """The daemon started, or the journal begins in the middle of its life."""

    member: MemberName
    record: RecordNumber
    is_opened: bool
    """Whether it started here: then every actor is in its initial state."""


class Heard(NamedTuple):
    """An actor heard a message."""

    actor: PartName
    envelope: Envelope[Message]
    record: RecordNumber
    """Of the message."""

    recorded: Recorded | Failed | None
    """None: it only learned; that is not recorded."""

    is_doubtful: bool


class Stood(NamedTuple):
    """A snapshot of an actor that has heard all it was given so far."""

    actor: PartName
    record: Record
    is_doubtful: bool
    """Whether something may be missing between the snapshot before and this one."""


class Unusable(NamedTuple):
    """Something that could not be used; what is left is."""

    record: RecordNumber
    """0: nobody knows."""

    text: str


class Passed(NamedTuple):
    """A recorded step is passed over: a snapshot after it was written before it, as
    that of a quiet stretch is, or it is not known where the actor stood."""

    actor: PartName
    record: RecordNumber
    """Of the step."""


Event: TypeAlias = Began | Heard | Stood | Passed | Unusable


class Waiting(NamedTuple):
    envelope: Envelope[Message]
    record: RecordNumber


@dataclass(slots=True)
class _Mailbox:
    """Of one actor."""

    waiting: deque[Waiting] = field(default_factory=deque)
    """Messages that it has not been seen to hear yet."""

    taken: int = 0
    """Number of the last message that was put in."""

    heard: int = 0
    """Number of the last message that it is known to have heard."""

    is_doubtful: bool = False
    is_seen: bool = False
    """Whether the recorded daemon had this actor: one that came into the cast later
    has no snapshots and takes no steps."""


@dataclass(slots=True)
class _Pending:
    """A step whose words are still to come: they follow it in the journal."""

    heard: Waiting
    recorded: Recorded
    said: dict[MessageId, Envelope[Message] | None]
    is_doubtful: bool


class Hearing:
    """Takes the records of one member's journal in their order."""

    def __init__(self, deciders: Sequence[Decider[Any]]) -> None:
        self._hears = {decider.name: decider.hears for decider in deciders}
        self._hearers: dict[str, tuple[PartName, ...]] = {
            kind: tuple(n for n, words in self._hears.items() if issubclass(w, words))
            for kind, w in VOCABULARY.items()
        }
        self._mailboxes: dict[PartName, _Mailbox] = {}
        self._life = ""
        """`member/incarnation`, with which the ids of its messages begin; empty: the
        next one tells."""

        self._pending: _Pending | None = None
        self._strangers: set[str] = set()

    def waiting(self, actor: PartName) -> Sequence[Waiting]:
        """What the actor has been given, and has not been seen to hear yet."""
        box = self._mailboxes.get(actor)
        return () if box is None else tuple(box.waiting)

    def last_heard(self, actor: PartName) -> MessageId | None:
        """The last message that the actor is known to have heard."""
        box = self._mailboxes.get(actor)
        if box is None or not box.heard or not self._life:
            return None
        return f"{self._life}/{box.heard}"

    def is_seen(self, actor: PartName) -> bool:
        """Whether the daemon of the journal has this actor, as far as it is read."""
        box = self._mailboxes.get(actor)
        return box is not None and box.is_seen

    def is_doubtful(self, actor: PartName) -> bool:
        """Whether something may be missing since the actor's last snapshot."""
        box = self._mailboxes.get(actor)
        return box is not None and box.is_doubtful

    def take(self, item: Record | Damage) -> Iterator[Event]:
        """One record, or the damage met in its place."""
        if isinstance(item, Damage):
            yield from self._end_step()
            if item.is_serious:
                self._doubt()
            yield Unusable(item.first, str(item))
            return
        try:
            match item.kind:
                case "message":
                    yield from self._take_message(item)
                case "step":
                    yield from self._end_step()
                    yield from self._take_step(item)
                case "snapshot":
                    yield from self._end_step()
                    yield from self._take_snapshot(item)
                case "start":
                    yield from self._end_step()
                    yield from self._take_start(item)
                case kind if kind in _MAKES_DOUBTFUL:
                    yield from self._end_step()
                    self._doubt()
        except Undecodable as error:
            self._doubt()
            yield Unusable(item.n, str(error))

    def finish(self) -> Iterator[Event]:
        """The journal ends; what waits was not heard, or only learned."""
        yield from self._end_step()

    def _doubt(self) -> None:
        for box in self._mailboxes.values():
            box.is_doubtful = True

    def _begin(
        self, member: str, record: Record, *, life: str, is_opened: bool
    ) -> Iterator[Event]:
        self._life = life
        self._mailboxes = {name: _Mailbox() for name in self._hears}
        yield Began(MemberName(member), record.n, is_opened)

    def _take_start(self, record: Record) -> Iterator[Event]:
        member, incarnation = record.fields["member"], record.fields["incarnation"]
        life = f"{member}/{incarnation}"
        is_opened = record.fields["why"] == "opened"
        if is_opened or life != self._life:
            yield from self._begin(member, record, life=life, is_opened=is_opened)
            return
        for box in self._mailboxes.values():
            if not box.is_seen:
                box.waiting.clear()

    def _is_of(self, identifier: MessageId, record: Record) -> Iterator[Event]:
        """Whether this life goes on; if not the start of another one was lost."""
        life = identifier.rpartition("/")[0]
        if life == self._life:
            return
        if not self._life and self._mailboxes:
            self._life = life
            return
        member = life.rpartition("/")[0]
        yield from self._begin(member, record, life=life, is_opened=False)
        yield Unusable(record.n, f"record {record.n}: the start of {life} is not here")

    def _take_message(self, record: Record) -> Iterator[Event]:
        pending = self._pending
        identifier = record.fields["id"]
        is_awaited = pending is not None and identifier in pending.said
        if not is_awaited:
            yield from self._end_step()
        hearers = self._hearers.get(record.fields["type"], ())
        is_about_hearing = record.fields["type"] in _ABOUT_HEARING
        if not (is_awaited or hearers or is_about_hearing) and self._is_known(record):
            return
        envelope = envelope_of(record)
        yield from self._is_of(envelope.id, record)
        match envelope.message:
            case ObservationSuperseded(actor=actor, skipped=skipped):
                self._skip(actor, skipped)
            case ActorFailed() as failure:
                yield from self._take_failure(record, failure)
        self._deliver(Waiting(envelope, record.n), hearers)
        if is_awaited and pending is not None:
            pending.said[identifier] = envelope
            if None not in pending.said.values():
                yield from self._end_step()

    def _is_known(self, record: Record) -> bool:
        """Whether the kind is; of others nobody can say who heard them."""
        return record.fields["type"] in VOCABULARY

    def _deliver(self, message: Waiting, hearers: Sequence[PartName]) -> None:
        number = number_of(message.envelope.id)
        for name in hearers:
            box = self._mailboxes[name]
            # A segment repeats what was on its way when it began.
            if number <= box.taken:
                continue
            box.taken = number
            box.waiting.append(message)
            if len(box.waiting) > MAXIMUM_WAITING:
                box.waiting.popleft()
                box.is_doubtful = True

    def _skip(self, actor: PartName, skipped: MessageId) -> None:
        box = self._mailboxes.get(actor)
        if box is not None:
            box.waiting = deque(w for w in box.waiting if w.envelope.id != skipped)

    def _take_snapshot(self, record: Record) -> Iterator[Event]:
        """Where an actor stands: what it heard up to there need not be in the
        journal, for a quiet member leaves repetitions out."""
        actor, heard = record.fields["actor"], record.fields.get("heard")
        if actor not in self._hears:
            yield from self._tell_stranger(actor, record)
            return
        number = _number(heard, record)
        if heard is not None:
            yield from self._is_of(heard, record)
        box = self._mailboxes.get(actor)
        if box is None or (heard is None and box.heard):
            # It has heard nothing: the start of its daemon is not here.
            member = record.fields["hlc"].rpartition("/")[2]
            yield from self._begin(member, record, life="", is_opened=False)
            box = self._mailboxes[actor]
        if number < box.heard:
            return
        if not box.is_doubtful:
            yield from self._up_to(actor, box, number)
        box.waiting = deque(w for w in box.waiting if number_of(w.envelope.id) > number)
        box.heard, box.taken = number, max(box.taken, number)
        was_doubtful, box.is_doubtful, box.is_seen = box.is_doubtful, False, True
        yield Stood(actor, record, was_doubtful)

    def _take_step(self, record: Record) -> Iterator[Event]:
        taken = step_of(record)
        if taken.actor not in self._hears:
            yield from self._tell_stranger(taken.actor, record)
            return
        yield from self._is_of(taken.heard, record)
        box = self._mailboxes[taken.actor]
        box.is_seen = True
        heard = yield from self._hear(taken.actor, taken.heard, record)
        if heard is None:
            yield Passed(taken.actor, record.n)
            return
        recorded = Recorded(record.n, taken, ())
        said: dict[MessageId, Envelope[Message] | None] = dict.fromkeys(taken.said)
        self._pending = _Pending(heard, recorded, said, box.is_doubtful)
        if not said:
            yield from self._end_step()

    def _end_step(self) -> Iterator[Event]:
        """Its words are all there, or do not come."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        taken = pending.recorded.taken
        recorded = Recorded(
            pending.recorded.record, taken, tuple(pending.said.values())
        )
        yield Heard(taken.actor, *pending.heard, recorded, pending.is_doubtful)

    def _take_failure(self, record: Record, failure: ActorFailed) -> Iterator[Event]:
        if failure.actor not in self._hears:
            return
        heard = yield from self._hear(failure.actor, failure.heard, record)
        if heard is not None:
            box = self._mailboxes[failure.actor]
            failed = Failed(record.n, failure)
            yield Heard(failure.actor, *heard, failed, box.is_doubtful)

    def _hear(
        self, actor: PartName, identifier: MessageId, record: Record
    ) -> Generator[Event, None, Waiting | None]:
        """The message that an actor was seen to hear, after those that it must have
        heard before.  None: it is known already, or not in the journal."""
        box = self._mailboxes[actor]
        number = _number(identifier, record)
        if number <= box.heard:
            return None
        yield from self._up_to(actor, box, number - 1)
        box.heard, box.taken = number, max(box.taken, number)
        if box.waiting and box.waiting[0].envelope.id == identifier:
            return box.waiting.popleft()
        box.is_doubtful = True
        text = f"record {record.n}: {actor} heard {identifier}, which is not here"
        yield Unusable(record.n, text)
        return None

    def _up_to(self, actor: PartName, box: _Mailbox, number: int) -> Iterator[Event]:
        """Messages up to this number of which the actor only learned."""
        while box.waiting and number_of(box.waiting[0].envelope.id) <= number:
            yield Heard(actor, *box.waiting.popleft(), None, box.is_doubtful)

    def _tell_stranger(self, actor: str, record: Record) -> Iterator[Event]:
        if actor not in self._strangers and len(self._strangers) < _MAXIMUM_STRANGERS:
            self._strangers.add(actor)
            text = f"record {record.n}: this program has no actor {actor[:_SHOWN]!r}"
            yield Unusable(record.n, text)


_ABOUT_HEARING = frozenset({kind_of(ObservationSuperseded), kind_of(ActorFailed)})

_MAXIMUM_STRANGERS = 100
"""Actors that are told of; a forged journal can have any number."""

_SHOWN = 40


def _number(identifier: MessageId | None, record: Record) -> int:
    """Of the message; 0: none.  Raises Undecodable."""
    if identifier is None:
        return 0
    try:
        return number_of(identifier)
    except (ValueError, AttributeError) as error:
        raise Undecodable(f"record {record.n}: {error}") from error
