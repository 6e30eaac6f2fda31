"""What goes out to other systems, and what may be in the way."""

from typing import NamedTuple

from regnal.messages.base import Seconds


class Outgoing(NamedTuple):
    """One message for a broker."""

    subject: str
    payload: bytes
    id: str
    """No other message has it: whoever receives it twice may drop one."""


class NotSent(Exception):
    """Nobody took it, or only a part; the text says why, and what to do about it.

    What was not sent is sent again, whole.
    """

    def __init__(self, why: str, after: Seconds = 0.0) -> None:
        """`after`: for so long the receiver does not want to be asked again."""
        super().__init__(why)
        self.after = after


class PartlyTaken(Exception):
    """The receiver refuses a part for good, perhaps all of it; the text says why.

    Nothing is sent again: it would be refused again, and the rest come twice.
    """

    def __init__(self, why: str, *, taken: int, refused: int) -> None:
        super().__init__(why)
        self.taken = taken
        self.refused = refused
