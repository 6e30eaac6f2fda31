"""Old journals are read for ever; new ones are at least not fatal."""

import json
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pytest

from regnal.actors.step import Decider, Step
from regnal.journal import decoding
from regnal.journal.decoding import (
    UPCASTERS,
    Undecodable,
    envelope_of,
    state_of,
    step_of,
)
from regnal.journal.reader import Record
from regnal.messages.base import Observation
from regnal.messages.vocabulary import VOCABULARY
from tests.journal.builders import TOY, Memory


def record(**fields: Any) -> Record:
    whole = {
        "n": 7,
        "hlc": "2026-11-23T07:31:02.114901Z+3/pg1",
        "at": 1.5,
        "kind": "message",
        "id": "pg1/1/1",
        "from": "dcs",
        "type": "leader_released",
        "v": 1,
        "data": {"member": "pg1"},
        **fields,
    }
    return Record(7, whole["kind"], json.dumps(whole).encode())


class DoorOpened(Observation):
    """A message in its third shape: it began as `who`, then had one `name`."""

    kind: Literal["door_opened"] = "door_opened"
    version: ClassVar[int] = 3
    names: tuple[str, ...]


UPCASTS: dict[tuple[str, int], decoding.Upcaster] = {
    ("door_opened", 1): lambda data: {"name": data["who"]},
    ("door_opened", 2): lambda data: {"names": [data["name"]]},
}


@pytest.mark.parametrize(
    ("version", "data"),
    [(1, {"who": "pg1"}), (2, {"name": "pg1"}), (3, {"names": ["pg1"]})],
)
def test_every_old_shape_becomes_todays(
    monkeypatch: pytest.MonkeyPatch, version: int, data: dict[str, Any]
) -> None:
    monkeypatch.setattr(decoding, "VOCABULARY", {"door_opened": DoorOpened})
    old = record(type="door_opened", v=version, data=data)
    assert envelope_of(old, UPCASTS).message == DoorOpened(names=("pg1",))


def test_every_message_can_be_read_in_each_of_its_versions() -> None:
    missing = [
        (kind, version)
        for kind, word in VOCABULARY.items()
        for version in range(1, word.version)
        if (kind, version) not in UPCASTERS
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"type": "omen_seen"}, "'omen_seen' is not known to this program"),
        ({"v": 2}, "has version 2, this program knows up to 1"),
        ({"data": {"member": "pg1", "mood": "good"}}, "mood"),
        ({"data": {}}, "member"),
        ({"hlc": "noon"}, "not a hybrid time"),
        ({"from": None, "id": None, "hlc": None}, "record 7"),
    ],
)
def test_what_cannot_be_read_says_what_and_where(
    fields: dict[str, Any], why: str
) -> None:
    with pytest.raises(Undecodable, match=why):
        envelope_of(record(**fields))


def test_a_step_that_only_learned_has_neither_rule_nor_facts() -> None:
    step = step_of(record(kind="step", actor="election", heard="pg1/1/1"))
    assert step.rule is None
    assert step.facts == {}
    assert step.said == ()
    assert step.repeats == 0


def test_what_an_actor_remembers_since_is_as_it_was_before_it_was_told() -> None:
    old = record(kind="snapshot", actor="toy", state={"beat_at": 7.0})
    assert state_of(old, TOY) == Memory(beat_at=7.0)


@dataclass(frozen=True)
class Strict:
    """A state with a field that always has to be known."""

    since: float


def test_a_state_without_what_has_to_be_known_is_not_read() -> None:
    strict = Decider(
        name="toy",
        hears=(),
        state=Strict,
        initial=lambda member: Strict(0.0),
        handle=lambda state, envelope: Step(state),
    )
    with pytest.raises(Undecodable, match="differs in since"):
        state_of(record(kind="snapshot", actor="toy", state={}), strict)


@pytest.mark.parametrize("state", [{"beat_at": "soon"}, {"error": 1}, None])
def test_a_state_that_cannot_be_read_is_not_guessed(state: object) -> None:
    with pytest.raises(Undecodable):
        state_of(record(kind="snapshot", actor="election", state=state), TOY)
