"""`replace` of `messages/frozen.py` is `dataclasses.replace`, only faster."""

import dataclasses
from dataclasses import FrozenInstanceError, dataclass, field
from typing import Any

import pytest

from regnal.actors.cast import DECIDERS
from regnal.actors.step import Decider
from regnal.messages.frozen import replace


@dataclass(frozen=True, slots=True)
class Slotted:
    name: str
    rows: tuple[int, ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Heir(Slotted):
    more: int = 0


@dataclass(frozen=True)
class Open:
    name: str
    number: int = 3


@pytest.mark.parametrize(
    ("value", "changes"),
    [
        (Slotted("a"), {}),
        (Slotted("a"), {"rows": (1, 2)}),
        (Heir("a", (1,), 2), {"name": "b", "more": 5}),
        (Open("a"), {"number": 4}),
    ],
)
def test_makes_what_dataclasses_replace_makes(
    value: Any, changes: dict[str, Any]
) -> None:
    before = dataclasses.replace(value)

    other = replace(value, **changes)

    assert other == dataclasses.replace(value, **changes)
    assert type(other) is type(value)
    assert value == before
    assert (other is value) == (other == value)


@pytest.mark.parametrize("value", [Slotted("a"), Open("a")])
def test_refuses_a_field_that_is_none(value: Any) -> None:
    with pytest.raises(TypeError, match="has no field 'colour'"):
        replace(value, colour="red")


def test_the_other_is_frozen_too() -> None:
    other = replace(Slotted("a"), name="b")

    with pytest.raises(FrozenInstanceError):
        other.name = "c"  # type: ignore[misc]


@pytest.mark.parametrize("decider", DECIDERS, ids=lambda decider: decider.name)
def test_the_states_of_all_deciders_can_be_replaced(decider: Decider[Any]) -> None:
    """All fields of each are in its `__init__`, and nothing happens after it."""
    assert not hasattr(decider.state, "__post_init__")
    assert all(one.init for one in dataclasses.fields(decider.state))
    state = decider.initial("alpha")

    assert replace(state) == state
