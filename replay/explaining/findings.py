"""What a rule of the explanation found: a cause, what shows it, and what is missing."""

from dataclasses import dataclass, field
from typing import Any

from regnal.messages.base import Seconds
from regnal.replay.evidence.evidence import Happening


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause, as far as the journals prove it."""

    code: str
    """Of `causes.CAUSES`."""

    facts: dict[str, Any] = field(default_factory=dict)
    """What shows it, in numbers and names."""

    shown_by: tuple[Happening, ...] = ()
    note: str = ""
    """A sentence more, such as what the kernel says of a stall."""

    missing: tuple[str, ...] = ()
    """What would be needed to be sure, or to know more."""

    alternatives: tuple[str, ...] = ()
    """Codes that the journals do not exclude."""

    lasted: Seconds = 0.0
    """Of a hindrance: for how long it kept others from taking over, where that is known."""
