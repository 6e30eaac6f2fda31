"""Values of the model: moved in time, and members called otherwise."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regnal.actors.election import ELECTION
from regnal.actors.election_state import Election
from regnal.messages.base import Message
from regnal.messages.envelope import Envelope
from regnal.messages.lease import LeaderRenewed, LeaseRefused, RenewLeader
from regnal.messages.timers import TimerFired
from regnal.replay.model.daemon import STAMP
from regnal.replay.model.values import (
    FORGOTTEN_IN_ANY_CASE,
    MESSAGE_INSTANTS,
    NOW,
    Tokens,
    moved,
    renamed,
)
from tests.actors.builders import view
from tests.actors.election_views import LEADER
from tests.actors.election_views import NOW as LEADERS_NOW

SOURCES = Path(__file__).parents[3]
ELSEWHERE = {"incidents.py", "status.py", "envelope.py", "base.py"}
"""Messages that none of the model's actors hears or keeps."""

AT_NOW = moved(LEADER, LEADERS_NOW - NOW)


def test_every_instant_of_a_message_is_known() -> None:
    """A field that is an instant and is not moved would make the model lie."""
    found = set()
    for path in (SOURCES / "messages").glob("*.py"):
        if path.name not in ELSEWHERE:
            found |= set(re.findall(r"^    (\w+): Instant", path.read_text(), re.M))
    assert found
    assert found <= MESSAGE_INSTANTS


def test_time_moves_instants_and_nothing_else() -> None:
    later = moved(AT_NOW, 7)
    assert later.lease_until == AT_NOW.lease_until - 7  # type: ignore[operator]
    assert later.settings == AT_NOW.settings
    assert later.phase == AT_NOW.phase


def test_what_is_long_past_is_equally_long_past() -> None:
    old = replace(AT_NOW, observed_at=NOW - FORGOTTEN_IN_ANY_CASE - 1)
    older = replace(AT_NOW, observed_at=float("-inf"))
    assert moved(old, 0) == moved(older, 0)


def test_a_message_moves_with_its_instants() -> None:
    renewal = RenewLeader(member="alpha", ttl=20, deadline=NOW + 5)
    assert moved(renewal, 3) == RenewLeader(member="alpha", ttl=20, deadline=NOW + 2)


@pytest.mark.parametrize(
    "message",
    [
        TimerFired(name="heartbeat", due_at=NOW),
        LeaderRenewed(member="pg1", valid_until=NOW + 20),
        LeaseRefused(action="renew", holder="pg2"),
    ],
    ids=lambda message: message.kind,
)
@settings(max_examples=10, deadline=None)
@given(seconds=st.integers(min_value=1, max_value=15))
def test_when_something_happens_makes_no_difference(
    message: Message, seconds: int
) -> None:
    """What the model rests on: deciders compare instants, and never look at one."""
    here = _heard(AT_NOW, message, NOW)
    there = _heard(moved(AT_NOW, -seconds), moved(message, -seconds), NOW + seconds)
    assert moved(there, seconds) == moved(here, 0)


def _heard(given: Election, message: Message, at: float) -> Election:
    return ELECTION.handle(
        given,
        Envelope(
            id="", hlc=STAMP, at=at, said_by="", cause=None, trace=None, message=message
        ),
    ).state


def test_renaming_there_and_back_changes_nothing() -> None:
    names = {"alpha": "beta", "beta": "alpha"}
    cluster = view("alpha", "beta", "gamma", leader="alpha")
    other = renamed(cluster, names)
    assert other.leader_name == "beta"
    assert [member.name for member in other.members] == ["alpha", "beta", "gamma"]
    assert renamed(other, names) == cluster


def test_equal_values_have_one_token() -> None:
    tokens = Tokens()
    first = tokens.of(LeaseRefused(action="renew", holder=None))
    assert tokens.of(LeaseRefused(action="renew", holder=None)) is first
    assert tokens.of(LeaseRefused(action="acquire", holder=None)) is not first
