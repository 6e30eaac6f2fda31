"""Snapshots: the state of every actor, at the beginning of each segment.

So that reading back does not start at the beginning of time.  A snapshot is an
optimisation, never an authority: replay from the one before must give the same.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

from regnal.actors.step import Decider
from regnal.journal.encoding import Body, plain_body
from regnal.journal.entries import StepEntry
from regnal.messages.base import Instant, MemberName


class Snapshots:
    """The state of each actor at the end of the chain."""

    def __init__(self, member: MemberName, deciders: Sequence[Decider[Any]]) -> None:
        self._adapters = {d.name: TypeAdapter[Any](d.state) for d in deciders}
        self._states: dict[str, object] = {d.name: d.initial(member) for d in deciders}

    def note(self, entry: StepEntry) -> None:
        """Remember the state that the step ended in."""
        self._states[entry.actor] = entry.state

    def bodies(self, hlc: str, at: Instant) -> Iterator[Body]:
        """A record for each actor that was given with its class of state."""
        for actor, adapter in self._adapters.items():
            record: dict[str, object] = {
                "hlc": hlc,
                "at": at,
                "kind": "snapshot",
                "actor": actor,
            }
            try:
                record["state"] = adapter.dump_python(self._states[actor], mode="json")
            except PydanticSerializationError as error:
                record["error"] = str(error)
            yield plain_body(record)
