"""Which server of an etcd cluster is asked next.

The one that answered last is asked first; the others follow.  The list is the one
that etcd itself tells (its topology), and behind it what was configured, for the case
that all of the topology has moved away.
"""

import random
import threading
from collections.abc import Iterable


class Endpoints:
    """Base URLs in the order of asking; safe from any thread."""

    def __init__(self, configured: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._configured = _shuffled(configured)
        self._topology: tuple[str, ...] = ()
        self._current: str | None = None

    @property
    def current(self) -> str | None:
        """The one that answered last; None if that one has failed since."""
        with self._lock:
            return self._current

    def round(self) -> tuple[str, ...]:
        """Every known server once."""
        with self._lock:
            first = (self._current,) if self._current else ()
            return _distinct((*first, *self._topology, *self._configured))

    def configure(self, urls: Iterable[str]) -> None:
        """Replace what is configured, because names were looked up again."""
        with self._lock:
            self._configured = _shuffled(urls)

    def learn(self, urls: Iterable[str]) -> None:
        """Take the topology that etcd told; an empty one is no news."""
        with self._lock:
            topology = _distinct(urls)
            if set(topology) != set(self._topology) and topology:
                self._topology = _shuffled(topology)

    def note_answer(self, url: str) -> None:
        with self._lock:
            self._current = url

    def note_failure(self, url: str) -> None:
        """`url` goes to the end of the line."""
        with self._lock:
            if self._current == url:
                self._current = None
            for name in ("_topology", "_configured"):
                urls: tuple[str, ...] = getattr(self, name)
                if url in urls:
                    others = tuple(each for each in urls if each != url)
                    setattr(self, name, (*others, url))


def _distinct(urls: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(urls))


def _shuffled(urls: Iterable[str]) -> tuple[str, ...]:
    """So that the members of a cluster do not all use the same server."""
    distinct = _distinct(urls)
    return tuple(random.sample(distinct, len(distinct)))
