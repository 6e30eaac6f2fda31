"""What a rule of election is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from regnal.actors.election_state import Election
from regnal.messages.base import Instant, Message

Rule = Callable[[Election, Instant], "Conclusion | None"]
"""None: the rule does not apply, the next one is asked."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a rule that applies has to say."""

    state: Election
    said: tuple[Message, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
