"""Stamps grow, whatever the wall clocks do."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.journal.decoding import envelope_of
from regnal.journal.encoding import NO_HASH, line, message_body
from regnal.journal.reader import Record
from regnal.journal.stamps import (
    MAXIMUM_DRIFT,
    Clocks,
    Stamper,
    hlc_text,
    parse_hlc,
)
from regnal.messages.base import Message
from regnal.messages.cluster import StoreAnswered
from regnal.messages.envelope import Envelope, HybridTime

LATEST_US = 253_402_300_799_999_999  # the last microsecond of the year 9999


def stamper(*wall: int, member: str = "pg1") -> Stamper:
    """A stamper whose wall clock shows these microseconds, then the last again."""
    shown = list(wall)
    return Stamper(
        member,
        1,
        Clocks(
            wall=lambda: shown.pop(0) if len(shown) > 1 else shown[0],
            boot=lambda: 0.0,
        ),
    )


def record_of(envelope: Envelope[Message]) -> Record:
    return Record(1, "message", line(1, message_body(envelope), NO_HASH)[0])


@given(st.lists(st.integers(0, LATEST_US), min_size=2, max_size=30))
def test_each_stamp_is_later_than_the_one_before(wall: list[int]) -> None:
    given_stamper = stamper(*wall)
    stamps = [given_stamper.stamp() for _ in wall]
    assert stamps == sorted(set(stamps))


def test_what_follows_from_a_remote_message_is_stamped_later() -> None:
    ours, theirs = stamper(1_000), stamper(9_000, member="pg2")
    heard = theirs.stamp()
    ahead = ours.observe(heard)
    assert ahead == pytest.approx(0.008)
    assert ours.stamp() > heard


def test_a_clock_that_is_years_ahead_is_reported_but_not_followed() -> None:
    ours = stamper(1_000)
    ahead = ours.observe(HybridTime(2_000_000_000_000_000, 0, "pg2"))
    assert ahead > MAXIMUM_DRIFT
    assert ours.stamp() == HybridTime(1_000, 0, "pg1")


@pytest.mark.parametrize("logical", [-1, 10**13, 10**400])
def test_a_count_that_nobody_reaches_is_not_followed(logical: int) -> None:
    ours = stamper(1_000)
    ours.observe(HybridTime(9_000, logical, "pg2"))
    assert ours.stamp() == HybridTime(1_000, 0, "pg1")


def test_a_message_knows_our_own_wall_clock_beside_the_fastest_of_the_cluster() -> None:
    ours = stamper(1_000)
    ours.observe(HybridTime(9_000, 0, "pg2"))
    said = ours.envelope(StoreAnswered(), said_by="dcs", cause=None, trace=None)
    assert said.hlc == HybridTime(9_000, 1, "pg1")
    assert said.wall_us == 1_000
    assert envelope_of(record_of(said)) == said, "also when it is read back"


@given(
    st.builds(
        HybridTime,
        wall_us=st.integers(0, LATEST_US),
        logical=st.integers(0, 10**9),
        member=st.text(min_size=1),
    )
)
def test_a_stamp_can_be_read_back(stamp: HybridTime) -> None:
    assert parse_hlc(hlc_text(stamp)) == stamp


@pytest.mark.parametrize("text", ["", "2026", "2026-11-23T07:31:02.1Z+0/pg1", "Z+/"])
def test_what_is_no_stamp_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a hybrid time"):
        parse_hlc(text)


def test_ids_and_stamps_are_unique_and_agree_in_order_across_threads() -> None:
    given_stamper = Stamper("pg1", 7, Clocks())

    def speak(_: int) -> list[tuple[int, HybridTime]]:
        said = [
            given_stamper.envelope(
                StoreAnswered(), said_by="dcs", cause=None, trace=None
            )
            for _ in range(200)
        ]
        return [(int(e.id.removeprefix("pg1/7/")), e.hlc) for e in said]

    with ThreadPoolExecutor(4) as pool:
        said = sorted(one for many in pool.map(speak, range(4)) for one in many)
    assert [number for number, _ in said] == list(range(1, 801))
    assert [hlc for _, hlc in said] == sorted({hlc for _, hlc in said})
