"""What goes out to other systems, and what may be in the way."""

from typing import NamedTuple


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
