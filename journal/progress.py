"""Progress of long work, for whoever waits: a bar on a terminal, or nothing."""

from typing import Protocol


class Progress(Protocol):
    """Told now and then, from one thread at a time."""

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """`what` is being done, and so much of it; total None: nobody knows.

        The same `what` goes on; another one ends it.
        """
        ...


def unheard(what: str, done: int, total: int | None) -> None:
    """Nobody waits."""
