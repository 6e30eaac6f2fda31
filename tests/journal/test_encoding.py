"""What is written can be read, for every word of the vocabulary and any fact."""

import math
from dataclasses import dataclass
from typing import NamedTuple, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic_core import from_json

from regnal.actors.step import Step
from regnal.journal.decoding import envelope_of, step_of
from regnal.journal.encoding import (
    NO_HASH,
    chain,
    likeness,
    line,
    message_body,
    plain,
    step_body,
)
from regnal.journal.reader import Record
from regnal.messages.base import Message
from regnal.messages.daemon import ActorFailed
from regnal.messages.envelope import Envelope, HybridTime
from regnal.messages.lease import LeaderRenewed
from regnal.messages.probes import ProbeTarget
from regnal.messages.timers import TimerFired
from regnal.messages.vocabulary import VOCABULARY
from tests.examples import examples
from tests.journal.words import messages, models

HLC = HybridTime(1_795_000_000_123_456, 3, "pg1")


def envelope(
    message: Message, *, number: int = 1, at: float = 1.5, trace: str | None = None
) -> Envelope[Message]:
    return Envelope(
        id=f"pg1/1/{number}",
        hlc=HLC,
        at=at,
        said_by="dcs",
        cause=None,
        trace=trace,
        message=message,
    )


def read_back(body: bytes) -> Record:
    text, _ = line(1, body, NO_HASH)
    return Record(1, from_json(text)["kind"], text)


@pytest.mark.parametrize("kind", sorted(VOCABULARY))
@given(data=st.data())
@examples(8)
def test_every_message_comes_back_as_it_was(kind: str, data: st.DataObject) -> None:
    said = envelope(data.draw(models(VOCABULARY[kind])), trace="pg1/1/1")
    assert envelope_of(read_back(message_body(said))) == said


@given(messages(), st.integers(1, 10**12))
def test_a_line_is_one_line_and_hashed_with_the_one_before(
    message: Message, number: int
) -> None:
    previous = chain(NO_HASH, b"the record before")
    text, own = line(number, message_body(envelope(message)), previous)
    covered, _, rest = text.rpartition(b',"hash":')
    assert text.count(b"\n") == 1
    assert rest == b'"%b"}\n' % own.encode()
    assert own == chain(previous, covered)
    assert from_json(text)["n"] == number


class Candidate(NamedTuple):
    member: str
    lag: int | None


@dataclass(frozen=True)
class Position:
    lsn: int
    candidates: tuple[Candidate, ...]


def test_facts_of_any_shape_become_objects_with_names() -> None:
    facts = {
        "best": Candidate("pg2", None),
        "position": Position(7, (Candidate("pg3", 5),)),
        "target": ProbeTarget(name="pg2", api_url="http://pg2"),
        "since": -math.inf,
        3: frozenset({"b", "a"}),
    }
    step = Step("state", rule="choose", facts=facts)  # type: ignore[arg-type]  # a key that is no text
    body = step_body("election", "pg1/1/7", step, (), HLC, 2.5)
    assert step_of(read_back(body)).facts == {
        "best": {"member": "pg2", "lag": None},
        "position": {"lsn": 7, "candidates": [{"member": "pg3", "lag": 5}]},
        "target": {
            "name": "pg2",
            "api_url": "http://pg2",
            "within": None,
            "conn_url": None,
        },
        "since": "-Infinity",
        "3": ["a", "b"],
    }


def test_a_fact_that_json_cannot_hold_does_not_stop_the_journal() -> None:
    facts = {"odd": {"deep": object()}, "torn": "half \ud800 a character"}
    body = step_body("election", "pg1/1/7", Step(0, facts=facts), (), HLC, 2.5)
    found = step_of(read_back(body)).facts
    assert found["odd"]["deep"].startswith("<object object")
    assert found["torn"] == "half \\ud800 a character"


def test_text_that_is_not_unicode_does_not_stop_the_journal() -> None:
    message = ActorFailed(
        actor="rest", heard="pg1/1/1", error="\udcff", traceback="", failures=1
    )
    found = envelope_of(read_back(message_body(envelope(message)))).message
    assert found == message.model_copy(update={"error": "\\udcff"})
    assert likeness(envelope(message)) is None


@given(st.recursive(st.integers() | st.text(), lambda x: st.lists(x).map(tuple)))
def test_plain_keeps_what_is_plain(value: object) -> None:
    assert from_json(_json(plain(value))) == _json_like(value)


def _json(value: object) -> bytes:
    body = step_body("a", "b", Step(0, facts={"x": value}), (), HLC, 0.0)
    return body.partition(b'"facts":{"x":')[2].removesuffix(b"}")


def _json_like(value: object) -> object:
    return [_json_like(one) for one in value] if isinstance(value, tuple) else value


def test_routine_messages_are_alike_but_for_their_volatile_fields() -> None:
    one = envelope(LeaderRenewed(member="pg1", valid_until=10.0))
    later = envelope(LeaderRenewed(member="pg1", valid_until=20.0), number=2)
    other = envelope(LeaderRenewed(member="pg2", valid_until=10.0), number=3)
    assert likeness(one) == likeness(later)
    assert likeness(one) != likeness(other)


def test_messages_of_two_incidents_are_not_alike() -> None:
    beat = TimerFired(name="heartbeat", due_at=1.0)
    assert likeness(envelope(beat)) != likeness(envelope(beat, trace="pg1/1/4711"))


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (kind, path)
        for kind, word in VOCABULARY.items()
        for path in sorted(word.volatile_fields)
    ],
)
def test_volatile_fields_exist(kind: str, path: str) -> None:
    kinds: list[object] = [VOCABULARY[kind]]
    for name in path.split("."):
        if name == "*":
            kinds = [a for k in kinds if get_origin(k) is tuple for a in get_args(k)]
            continue
        found = [
            word.model_fields[name].annotation
            for word in kinds
            if isinstance(word, type) and issubclass(word, BaseModel)
        ]
        assert found, f"{name} of {path}"
        kinds = [one for f in found for one in (*get_args(f), f)] if found else []
    assert kinds
