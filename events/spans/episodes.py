"""An episode: what goes on at one member, from the first sign until all is well.

Spans are kept here until it is known which trace they belong to: a crash that ends a
reign belongs to the trace of all members, one that does not to a trace of its own.
"""

from collections.abc import Iterator

from regnal.events.spans import naming
from regnal.events.spans.commands import Answer, Attributes
from regnal.events.spans.memory import (
    MAXIMUM_MOMENTS,
    MAXIMUM_OWNERS,
    MAXIMUM_SPANS,
    Episode,
    Key,
    Linked,
    Point,
    Thread,
)
from regnal.events.spans.naming import RootName
from regnal.events.spans.span import UnixNanos
from regnal.messages.envelope import MessageId

_RANKS = {name: rank for rank, name in enumerate(naming.ROOTS)}


def grow_into(episode: Episode, what: RootName) -> None:
    """It turned out to be this as well: the graver name counts."""
    if _RANKS[what] < _RANKS[episode.what]:
        episode.what = what


def note(
    episode: Episode, name: str, at: UnixNanos, attributes: Attributes | None = None
) -> None:
    """Something happened that took no time."""
    episode.last = max(episode.last, at)
    if len(episode.moments) < MAXIMUM_MOMENTS:
        episode.moments.append(Point(name=name, at=at, attributes=attributes or {}))


def begin(episode: Episode, thread: Thread) -> None:
    """A span is under way from now on; one that has begun is not begun again."""
    if any(known.key == thread.key for known in (*episode.open, *episode.ended)):
        return
    if episode.count >= MAXIMUM_SPANS:
        episode.dropped += 1
        return
    episode.count += 1
    episode.last = max(episode.last, thread.start)
    episode.open.append(thread)


def phase(
    episode: Episode,
    name: naming.PhaseName,
    start: UnixNanos,
    attributes: Attributes,
    links: list[Linked] | None = None,
    parent: Key | None = None,
) -> None:
    """A phase begins."""
    count = episode.names.get(name, 0) + 1
    episode.names[name] = count
    key = name if count == 1 else f"{name}#{count}"
    begin(
        episode,
        Thread(
            key=key,
            name=name,
            parent=parent,
            start=start,
            attributes=attributes,
            links=links or [],
        ),
    )


def find(episode: Episode, key: Key | None) -> Thread | None:
    """The span under way of that key."""
    return next((one for one in episode.open if one.key == key), None)


def find_phase(episode: Episode, *names: naming.PhaseName) -> Thread | None:
    """The newest phase under way of one of these names."""
    return next(
        (one for one in reversed(episode.open) if not one.kind and one.name in names),
        None,
    )


def end(episode: Episode, thread: Thread, at: UnixNanos, answer: Answer) -> None:
    """It is over; what goes on within it goes on in what it was part of."""
    thread.end = max(at, thread.start)
    thread.attributes |= answer.attributes
    if answer.error:
        thread.status, thread.status_text = "error", answer.text
    for other in episode.open:
        if other.parent == thread.key:
            other.parent = thread.parent
    episode.open.remove(thread)
    episode.ended.append(thread)
    episode.last = max(episode.last, thread.end)


def end_all(episode: Episode, answer: Answer) -> None:
    """The episode is over: nothing more is heard of what is under way."""
    for thread in tuple(reversed(episode.open)):
        end(episode, thread, episode.last, answer)


def own(episode: Episode, message: MessageId, key: Key | None) -> None:
    """What this message causes belongs to that span."""
    if key is None:
        return
    episode.owners[message] = key
    while len(episode.owners) > MAXIMUM_OWNERS:
        del episode.owners[next(iter(episode.owners))]


def owner(episode: Episode, cause: MessageId | None) -> Key | None:
    """The span under way that the cause belongs to; None: what spans the episode."""
    key = episode.owners.get(cause) if cause is not None else None
    return next(iter(_under_way(episode, key)), None)


def _under_way(episode: Episode, key: Key | None) -> Iterator[Key]:
    """The span, or what it was part of, as far as they are under way."""
    parents = {one.key: one.parent for one in (*episode.ended, *episode.open)}
    is_open = {one.key for one in episode.open}
    seen: set[Key] = set()
    while key is not None and key not in seen:
        seen.add(key)
        if key in is_open:
            yield key
        key = parents.get(key)
