"""The dynamic configuration by request (docs/contracts.md 4.6)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.actors.rest_config import merge
from regnal.messages.base import Message
from regnal.messages.cluster import KeyRefused, KeyUnconfirmed, KeyWritten
from regnal.messages.requests import RequestAnswered
from regnal.messages.settings import ReloadConfiguration
from regnal.messages.store import WriteConfig
from tests.actors.builders import seen
from tests.actors.rest_requests import RELOAD, answers, leader, patch, put

CONFIG = (
    '{"ttl":30,"postgresql":{"parameters":{"max_connections":100,"work_mem":"4MB"}}}'
)
WITH_CONFIG = seen("pg1", "pg2", config=CONFIG, config_revision=7)
WITHOUT_CONFIG = seen("pg1", "pg2", config=None, config_revision=None)

WRITTEN = KeyWritten(key="config", revision=8, request="r1")
REFUSED = KeyRefused(key="config", request="r1")
UNCONFIRMED = KeyUnconfirmed(key="config", error="timeout", request="r1")


def test_a_patch_is_merged_and_written_if_nobody_was_quicker() -> None:
    """REST-16, CFG-12: objects are merged, null removes, the rest replaces."""
    told = leader(seen=WITH_CONFIG).hear(
        patch('{"ttl": 20, "postgresql": {"parameters": {"work_mem": null}}}')
    )
    (write,) = told.of(WriteConfig)
    assert json.loads(write.document) == {
        "ttl": 20,
        "postgresql": {"parameters": {"max_connections": 100}},
    }
    assert ": " not in write.document
    assert (write.if_revision, write.request, write.deadline) == (7, "r1", 110.0)
    assert not answers(told)
    assert told.step.rule == "patch_the_configuration"


def test_the_answer_to_a_patch_is_the_new_configuration() -> None:
    """REST-16."""
    told = leader(patch('{"ttl": 20}'), seen=WITH_CONFIG).hear(WRITTEN)
    (answered,) = told.of(RequestAnswered)
    assert (answered.status, answered.content_type) == (200, "application/json")
    assert json.loads(answered.body)["ttl"] == 20
    assert not told.state.pending


def test_a_patch_that_changes_nothing_is_not_written() -> None:
    """REST-16."""
    told = leader(seen=WITH_CONFIG).hear(patch('{"ttl": 30, "pause": null}'))
    assert not told.of(WriteConfig)
    ((status, body),) = answers(told)
    assert (status, json.loads(body)) == (200, json.loads(CONFIG))


def test_true_is_not_one() -> None:
    """A comparison in Python would take them for the same."""
    told = leader(seen=seen("pg1", config='{"pause":1}')).hear(patch('{"pause": true}'))
    assert told.of(WriteConfig)


def test_there_is_nothing_to_patch_without_a_key() -> None:
    """REST-16, DCS-12: a wiped key must not come back with one option in it."""
    told = leader(seen=WITHOUT_CONFIG).hear(patch('{"ttl": 20}'))
    assert [status for status, _ in answers(told)] == [503]
    assert not told.of(WriteConfig)


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        pytest.param(REFUSED, 409, id="changed concurrently"),
        pytest.param(UNCONFIRMED, 503, id="nobody knows"),
    ],
)
def test_a_patch_that_was_not_written(outcome: Message, status: int) -> None:
    """REST-16."""
    told = leader(patch('{"ttl": 20}'), seen=WITH_CONFIG).hear(outcome)
    assert [status for status, _ in answers(told)] == [status]
    assert not told.state.pending


def test_put_replaces_whatever_is_there() -> None:
    """REST-16."""
    told = leader(seen=WITH_CONFIG).hear(put('{"ttl": 25}'))
    (write,) = told.of(WriteConfig)
    assert (write.document, write.if_revision) == ('{"ttl":25}', None)
    assert answers(told.hear(WRITTEN)) == [(200, '{"ttl": 25}')]


def test_put_of_the_same_is_not_written() -> None:
    """REST-16."""
    told = leader(seen=WITH_CONFIG).hear(put(CONFIG))
    assert not told.of(WriteConfig)
    assert answers(told) == [(200, CONFIG)]


def test_put_creates_the_key() -> None:
    """REST-16."""
    assert leader(seen=WITHOUT_CONFIG).hear(put('{"ttl": 25}')).of(WriteConfig)


@pytest.mark.parametrize("outcome", [REFUSED, UNCONFIRMED])
def test_put_that_was_not_written(outcome: Message) -> None:
    """REST-16."""
    told = leader(put('{"ttl": 25}'), seen=WITH_CONFIG).hear(outcome)
    assert [status for status, _ in answers(told)] == [502]


def test_outcomes_of_others_answer_nobody() -> None:
    told = leader(patch('{"ttl": 20}'), seen=WITH_CONFIG).hear(
        KeyWritten(key="config", revision=8),
        KeyWritten(key="config", revision=8, request="r2"),
    )
    assert not answers(told)
    assert told.state.pending


def test_a_reload_is_ordered_and_acknowledged() -> None:
    """REST-17."""
    told = leader().hear(RELOAD)
    assert answers(told) == [(202, "reload scheduled")]
    assert told.of(ReloadConfiguration)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda children: st.dictionaries(st.text(max_size=3), children, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=3), VALUES, max_size=3)


def has_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(has_null(child) for child in value.values())
    return value is None


@given(OBJECTS, OBJECTS)
def test_a_merge_twice_is_a_merge_once(
    current: dict[str, Any], change: dict[str, Any]
) -> None:
    """RFC 7396: applying the same patch again changes nothing."""
    once = merge(current, change)
    assert merge(once, change) == once


@given(OBJECTS)
def test_a_merge_into_nothing_leaves_no_null(change: dict[str, Any]) -> None:
    assert not has_null(merge({}, change))
