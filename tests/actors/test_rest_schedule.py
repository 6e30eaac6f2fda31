"""Moments that a person names for later (docs/contracts.md 4.10)."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.actors.rest_schedule import BadSchedule, parse_schedule
from tests.actors.builders import WALL

NOW = datetime.fromtimestamp(WALL / 1e6, UTC)
UNREADABLE = (
    "Unable to parse scheduled timestamp. It should be in an unambiguous format, "
    "e.g. ISO 8601"
)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2030-05-01T02:00:00+00:00", "2030-05-01T02:00:00+00:00"),
        ("2030-05-01T02:00Z", "2030-05-01T02:00:00+00:00"),
        ("2030-05-01 02:00 UTC", "2030-05-01T02:00:00+00:00"),
        ("2030-05-01 02:00:00.5 +02:00", "2030-05-01T02:00:00.500000+02:00"),
        ("May 1 2030 2am -0500", "2030-05-01T02:00:00-05:00"),
    ],
)
def test_a_moment_with_a_zone_is_taken(text: str, at: str) -> None:
    """SCHED-01, SCHED-04."""
    schedule = parse_schedule(text, "restart", WALL)
    assert schedule.at == at
    assert schedule.due_us == datetime.fromisoformat(at).timestamp() * 1e6


@pytest.mark.parametrize(
    ("text", "status", "answer"),
    [
        pytest.param(
            "2030-05-01T02:00:00",
            400,
            "Timezone information is mandatory for the scheduled restart",
            id="no zone",
        ),
        pytest.param(
            "2030-05-01 02:00 CET",
            400,
            "Timezone information is mandatory for the scheduled restart",
            id="a name that means what a host thinks it means",
        ),
        pytest.param(
            "2020-05-01T02:00:00Z",
            422,
            "Cannot schedule restart in the past",
            id="past",
        ),
        pytest.param("tomorrow", 422, UNREADABLE, id="words"),
        pytest.param("", 422, UNREADABLE, id="nothing"),
        pytest.param("99999999999999999999999", 422, UNREADABLE, id="a huge number"),
        pytest.param("2030-13-45T99:00Z", 422, UNREADABLE, id="no such day"),
    ],
)
def test_other_texts_are_refused(text: str, status: int, answer: str) -> None:
    """REST-18, REST-21."""
    with pytest.raises(BadSchedule) as refused:
        parse_schedule(text, "restart", WALL)
    assert (refused.value.status, refused.value.text) == (status, answer)


def test_an_hour_is_of_the_day_of_the_clock_that_we_are_told() -> None:
    """A replay on another day finds the same."""
    assert NOW.hour < 23
    schedule = parse_schedule("23:59 UTC", "switchover", WALL)
    assert (
        schedule.at
        == NOW.replace(hour=23, minute=59, second=0, microsecond=0).isoformat()
    )


@given(st.text(max_size=40))
def test_no_text_does_harm(text: str) -> None:
    with suppress(BadSchedule):
        assert parse_schedule(text, "restart", WALL).due_us > WALL


@given(st.text("0123456789:-+.TZ /apmUTC", max_size=30))
def test_no_text_like_a_time_does_harm(text: str) -> None:
    with suppress(BadSchedule):
        assert parse_schedule(text, "restart", WALL).due_us > WALL
