"""Slicing: a stretch of a journal as a journal of its own, small enough to keep.

It begins with the states of all actors and with what was on its way to them, as every
segment does, and goes on with the records of the stretch under their own numbers.  The
chain is made anew, for what is a secret is masked.
"""

import re
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from pydantic_core import from_json

from regnal.actors.step import Decider
from regnal.journal.encoding import NO_HASH, Body, line, message_body, plain_body
from regnal.journal.ledger import Head
from regnal.journal.places import RecordNumber, segment_path, segments
from regnal.journal.reader import Record, Window, scan
from regnal.messages.masking import MASK, SECRET_NAME, masked_text
from regnal.replay.playback.differing import state_json
from regnal.replay.playback.player import Player

WHY = "slice"
"""Of the first start in it: the daemon went on, the stretch begins here."""

_IN_JSON = re.compile(
    rf'("[^"\\]*(?:{SECRET_NAME.pattern})[^"\\]*"\s*:\s*)"(?:[^"\\]|\\.)*"',
    re.IGNORECASE,
)
"""Values of such names in a text that is JSON itself."""

_HEAD_ROOM = 200
"""Numbers before the stretch for its head; nearer to the beginning of a journal the
stretch begins there."""

_MAXIMUM_RECALLED = 150


def slice_journal(
    directory: Path,
    stretch: range,
    target: Path,
    deciders: Sequence[Decider[Any]],
) -> int:
    """Write the records whose numbers are in `stretch` into the new directory `target`.

    Returns how many records of the stretch there were.  Raises OSError.
    """
    if stretch.start <= _HEAD_ROOM:
        stretch = range(1, stretch.stop)
    target.mkdir(parents=True)
    player = Player(deciders)
    begun: Record | None = None
    before: Record | None = None
    count = 0
    with _Writer(target) as writer:
        after = _segment_before(directory, stretch.start)
        for item in scan(directory, Window(after=after), with_held=True):
            if isinstance(item, Record) and item.n >= stretch.stop:
                break
            if isinstance(item, Record) and item.n >= stretch.start:
                if not count and begun is not None and before is not None:
                    deque(player.finish(), maxlen=0)
                    head = _head(begun, before, player, deciders)
                    writer.begin(item.n, list(head))
                writer.write(item)
                count += 1
                continue
            deque(player.take(item), maxlen=0)
            if isinstance(item, Record):
                before = item
                begun = item if item.kind == "start" else begun
    return count


def masked_record(value: Any) -> Any:
    """A copy without secrets; the same text becomes the same everywhere, so that what
    an actor passed on still is what it heard."""
    if isinstance(value, dict):
        return {
            name: MASK
            if isinstance(inner, str) and inner and SECRET_NAME.search(name)
            else masked_record(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [masked_record(inner) for inner in value]
    if isinstance(value, str):
        return masked_text(_IN_JSON.sub(rf'\g<1>"{MASK}"', value))
    return value


class _Writer:
    """The segments of the slice."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._head = Head(0, NO_HASH)
        self._file: BinaryIO | None = None

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def begin(self, first: RecordNumber, bodies: Sequence[Body]) -> None:
        """Write these before the first record of the stretch."""
        number = first - len(bodies)
        for body in bodies:
            self._put(number, body, is_start=number == first - len(bodies))
            number += 1

    def write(self, record: Record) -> None:
        fields = masked_record(record.fields)
        is_start = record.kind == "start"
        if is_start:
            fields["previous"] = self._head.hash
        self._put(record.n, _body(fields), is_start=is_start)

    def _put(self, number: RecordNumber, body: Body, *, is_start: bool) -> None:
        if self._file is None or is_start:
            if self._file is not None:
                self._file.close()
            self._file = segment_path(self._target, number).open("xb")
        text, own = line(number, body, self._head.hash)
        self._head = Head(number, own)
        self._file.write(text)


def _head(
    begun: Record, before: Record, player: Player, deciders: Sequence[Decider[Any]]
) -> Iterator[Body]:
    """Who it is, where every actor stands, and what is on its way."""
    stamp = {"hlc": before.fields["hlc"], "at": before.fields["at"]}
    start = {**begun.fields, **stamp, "why": WHY, "previous": NO_HASH}
    yield _body(masked_record(start))
    recalled: dict[RecordNumber, Body] = {}
    for decider in deciders:
        name = decider.name
        if not player.hearing.is_seen(name) or name not in player.states:
            continue
        snapshot = {**stamp, "kind": "snapshot", "actor": name}
        heard = player.hearing.last_heard(name)
        if heard is not None:
            snapshot["heard"] = heard
        snapshot["state"] = state_json(decider, player.states[name])
        yield plain_body(masked_record(snapshot))
        for waiting in player.hearing.waiting(name):
            body = message_body(waiting.envelope)
            fields = masked_record(from_json(b"{%b}" % body))
            recalled[waiting.record] = _body({**fields, "recalled": True})
    # Of more the oldest are given up: there are not that many unless an actor is stuck.
    for _, body in sorted(recalled.items())[-_MAXIMUM_RECALLED:]:
        yield body


def _body(fields: dict[str, Any]) -> Body:
    return plain_body(
        {name: value for name, value in fields.items() if name not in ("n", "hash")}
    )


def _segment_before(directory: Path, first: RecordNumber) -> RecordNumber:
    """The record after which to read, to know where the actors stood before `first`."""
    earlier = [one.first for one in segments(directory) if one.first < first]
    return max(earlier, default=1) - 1
