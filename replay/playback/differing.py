"""What differs between two values as JSON has them, field by field."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticSerializationError

from regnal.actors.step import Decider
from regnal.journal.decoding import adapter_of
from regnal.journal.encoding import json_bytes, plain

NOT_THERE = "(not there)"
"""Stands for a field or an element that only the other side has."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A field that is not as it was recorded."""

    path: str
    """`view.members[2].timeline`; empty: the whole value."""

    recorded: Any
    replayed: Any


def changes(recorded: Any, replayed: Any, path: str = "") -> Iterator[Changed]:
    """From the one to the other, both of them JSON."""
    if recorded == replayed:
        return
    if isinstance(recorded, Mapping) and isinstance(replayed, Mapping):
        for name in (*recorded, *(name for name in replayed if name not in recorded)):
            yield from changes(
                recorded.get(name, NOT_THERE),
                replayed.get(name, NOT_THERE),
                f"{path}.{name}" if path else str(name),
            )
    elif isinstance(recorded, list) and isinstance(replayed, list):
        for index in range(max(len(recorded), len(replayed))):
            yield from changes(
                recorded[index] if index < len(recorded) else NOT_THERE,
                replayed[index] if index < len(replayed) else NOT_THERE,
                f"{path}[{index}]",
            )
    else:
        yield Changed(path, recorded, replayed)


def as_json(value: object) -> Any:
    """The value as the journal would have it."""
    return json.loads(json_bytes(plain(value)))


def state_json(decider: Decider[Any], state: Any) -> Any:
    """A state, as a snapshot has it."""
    try:
        dumped = adapter_of(decider.state).dump_python(state, mode="json")
        return json.loads(json_bytes(dumped))
    except PydanticSerializationError:
        return as_json(state)


def state_changes(
    decider: Decider[Any], written: Mapping[str, Any], recorded: Any, replayed: Any
) -> tuple[Changed, ...]:
    """Between a recorded state and ours.  What an actor remembers only since is not in
    the state as it was `written`, and no difference."""
    if recorded == replayed:
        return ()
    found = changes(state_json(decider, recorded), state_json(decider, replayed))
    return tuple(one for one in found if _is_in(written, one))


def _is_in(written: Any, changed: Changed) -> bool:
    """Whether the field was written, or is an entry that came or went."""
    if NOT_THERE in (changed.recorded, changed.replayed):
        return True
    value = written
    for name in changed.path.replace("[", ".[").split("."):
        if name.startswith("[") and isinstance(value, list):
            value = value[int(name[1:-1])]
        elif isinstance(value, Mapping) and name in value:
            value = value[name]
        else:
            return False
    return True
