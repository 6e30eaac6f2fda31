"""Our hybrid clock follows those of others; what differs is told, once, and surely."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.journal.stamps import (
    MAXIMUM_DRIFT,
    Clocks,
    Stamper,
    hlc_text,
    parse_hlc,
)
from regnal.messages.base import Seconds
from regnal.messages.cluster import ClusterView
from regnal.messages.envelope import HybridTime
from regnal.messages.host import ClockSkewSeen
from regnal.runtime.other_clocks import REQUEST_TRUST, SKEW_PAUSE, OtherClocks
from tests.actors.builders import member, view

NOW_US = 1_800_000_000_000_000
HOUR: Seconds = 3600.0


@dataclass
class Host:
    """The host of pg1, whose clocks the test turns."""

    wall_us: int = NOW_US
    boot: float = 1000.0

    def __post_init__(self) -> None:
        self.stamper = Stamper(
            "pg1", 1, Clocks(wall=lambda: self.wall_us, boot=lambda: self.boot)
        )
        self.clocks = OtherClocks(self.stamper)

    def wait(self, seconds: Seconds) -> None:
        self.wall_us += round(seconds * 1e6)
        self.boot += seconds

    def stamp(self, ahead: Seconds, name: str = "pg2", count: int = 0) -> str:
        """One that `name` makes now, whose wall clock is so far ahead of ours."""
        return hlc_text(HybridTime(self.wall_us + round(ahead * 1e6), count, name))

    def sees(self, **stamps: str | None) -> tuple[ClockSkewSeen, ...]:
        """The members' keys in the store."""
        return self.clocks.learn(cluster(**stamps))

    def knows(self, *names: str) -> "Host":
        self.sees(**dict.fromkeys(names))
        return self


def cluster(**stamps: str | None) -> ClusterView:
    return view(*(member(name, hlc=hlc) for name, hlc in stamps.items()))


Showing = Callable[[Host, str], object]
WAYS = [
    pytest.param(lambda host, text: host.sees(pg2=text), id="in its key"),
    pytest.param(
        lambda host, text: host.clocks.heard_in_answer("pg2", text, 0.01),
        id="in an answer",
    ),
    pytest.param(
        lambda host, text: host.clocks.heard_in_request(text), id="in a request"
    ),
]


@pytest.mark.parametrize("show", WAYS)
def test_what_is_said_after_another_stamp_was_seen_is_stamped_later(
    show: Showing,
) -> None:
    host = Host().knows("pg2")
    theirs = host.stamp(30.0, count=7)
    show(host, theirs)
    assert parse_hlc(host.clocks.shown()) > parse_hlc(theirs)


@pytest.mark.parametrize("show", WAYS)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-11-23T07:31:02.114901Z+3",
        "9999-12-31T23:59:59.999999Z+0/pg2",
        "2027-01-15T08:00:00.000000Z+-1/pg2",
        f"2027-01-15T08:00:00.000000Z+{'9' * 120}/pg2",
        f"2027-01-15T08:00:00.000000Z+{'9' * 5000}/pg2",
        hlc_text(HybridTime(NOW_US + 10_000_000, 0, "pg3")),
    ],
    ids=[
        "empty",
        "no stamp",
        "of nobody",
        "of another age",
        "count below 0",
        "count that nobody reaches",
        "endless",
        "of a third",
    ],
)
def test_a_stamp_that_is_none_moves_no_clock(show: Showing, text: str) -> None:
    host = Host().knows("pg2")
    show(host, text)
    assert parse_hlc(host.clocks.shown()) == HybridTime(NOW_US, 0, "pg1")


@given(st.text(max_size=300))
def test_whatever_is_shown_is_harmless(text: str) -> None:
    host = Host().knows("pg2")
    host.sees(pg2=text)
    host.clocks.heard_in_answer("pg2", text, 0.01)
    host.clocks.heard_in_request(text)
    ours = parse_hlc(host.clocks.shown())
    assert ours.wall_us <= NOW_US + MAXIMUM_DRIFT * 1e6


def test_a_request_cannot_move_our_clock_far() -> None:
    """Anybody may send one, and say that he is pg2."""
    host = Host().knows("pg2")
    host.clocks.heard_in_request(host.stamp(REQUEST_TRUST + 1))
    assert parse_hlc(host.clocks.shown()).wall_us == NOW_US


def test_a_request_is_followed_as_far_as_the_store_vouches_for_its_sender() -> None:
    host = Host()
    host.sees(pg2=host.stamp(5 * HOUR))
    host.wait(60)
    theirs = host.stamp(5 * HOUR)
    host.clocks.heard_in_request(theirs)
    assert parse_hlc(host.clocks.shown()) > parse_hlc(theirs)


def test_a_difference_is_told_once() -> None:
    host = Host()
    assert host.sees(pg2=host.stamp(5.0)) == (ClockSkewSeen(member="pg2", ahead=5.0),)
    host.wait(2 * SKEW_PAUSE)
    assert host.sees(pg2=host.stamp(5.5)) == (), "it has not changed by much"
    assert host.sees(pg2=host.stamp(9.0)) == (ClockSkewSeen(member="pg2", ahead=9.0),)


def test_clocks_that_agree_are_not_worth_a_word() -> None:
    assert Host().sees(pg2=Host().stamp(0.9), pg3=Host().stamp(-0.9, "pg3")) == ()


def test_a_clock_years_ahead_is_told_though_not_followed() -> None:
    host = Host()
    (skew,) = host.sees(pg2=host.stamp(400 * 24 * HOUR))
    assert skew.ahead == 400 * 24 * HOUR
    assert parse_hlc(host.clocks.shown()).wall_us == NOW_US


def test_an_old_stamp_is_no_clock_that_is_behind() -> None:
    """The key of an idle member was written hours ago."""
    assert Host().sees(pg2=Host().stamp(-3 * HOUR)) == ()


def test_a_clock_that_follows_another_is_not_taken_for_a_fast_one() -> None:
    """pg3 has seen a stamp of pg2; its own wall clock may be as ours."""
    host = Host()
    assert host.sees(pg3=host.stamp(5.0, "pg3", count=2)) == ()


@pytest.mark.parametrize(
    ("ahead", "elapsed", "told"),
    [
        pytest.param(-5.0, 0.5, -4.5, id="behind, whenever it was made"),
        pytest.param(-5.0, 4.5, None, id="made before we waited, perhaps"),
        pytest.param(5.0, 4.5, 5.0, id="ahead, whenever it was made"),
    ],
)
def test_an_answer_shows_a_clock_that_is_behind(
    ahead: Seconds, elapsed: Seconds, told: Seconds | None
) -> None:
    host = Host().knows("pg2")
    skew = host.clocks.heard_in_answer("pg2", host.stamp(ahead), elapsed)
    assert (skew.ahead if skew else None) == told


def test_that_the_clocks_agree_again_is_told() -> None:
    host = Host()
    host.sees(pg2=host.stamp(5.0))
    host.wait(SKEW_PAUSE)
    skew = host.clocks.heard_in_answer("pg2", host.stamp(0.0), 0.01)
    assert skew == ClockSkewSeen(member="pg2", ahead=0.0)


def test_a_clock_that_jumps_about_does_not_fill_the_log() -> None:
    host = Host().knows("pg2")
    told = [
        host.clocks.heard_in_answer("pg2", host.stamp(ahead), 0.01)
        for ahead in (5.0, -5.0, 50.0, -50.0)
    ]
    assert [skew is not None for skew in told] == [True, False, False, False]


def test_our_own_stamp_of_before_a_restart_is_followed_and_not_told() -> None:
    """Our wall clock was set back meanwhile."""
    host = Host()
    before = host.stamp(20.0, "pg1")
    assert host.sees(pg1=before) == ()
    assert parse_hlc(host.clocks.shown()) > parse_hlc(before)


def test_members_that_left_are_forgotten() -> None:
    host = Host()
    host.sees(pg2=host.stamp(5.0))
    host.sees()
    host.wait(SKEW_PAUSE)
    assert len(host.sees(pg2=host.stamp(5.0))) == 1
