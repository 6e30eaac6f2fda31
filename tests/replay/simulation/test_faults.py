"""Faults are values with a line of text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.replay.simulation.faults import (
    AIMED_FOR,
    KINDS,
    MOMENTS,
    Fault,
    FaultRefused,
    last_end,
    parse_fault,
)
from regnal.replay.simulation.harm import BEGINNINGS

NUMBERS = st.integers(0, 100_000).map(lambda number: number / 100)


@st.composite
def faults(draw: st.DrawFn) -> Fault:
    name = draw(st.sampled_from(sorted(KINDS)))
    kind = KINDS[name]
    return Fault(
        at=draw(NUMBERS),
        kind=name,
        targets=("pg1", "@primary")[: kind.targets],
        duration=draw(NUMBERS) if kind.lasts else 0.0,
        amount=draw(NUMBERS) if kind.amount else 0.0,
        aim=draw(st.sampled_from(["", *MOMENTS])),
    )


@given(faults())
def test_a_fault_is_read_from_its_own_text(fault: Fault) -> None:
    assert parse_fault(str(fault)) == fault


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "write `SECOND KIND"),
        ("40 earthquake", "kill_host"),
        ("40 kill_host", "write `SECOND kill_host MEMBER DURATION`"),
        ("40 kill_host a 10 3", "write `SECOND kill_host MEMBER DURATION`"),
        ("40 cut_pair a 10", "write `SECOND cut_pair MEMBER,MEMBER DURATION`"),
        ("soon kill_postgres a", "'soon' is not a number"),
        ("40 kill_host a nan", "'nan' is not a number"),
        ("-1 kill_postgres a", "time does not go backwards"),
        ("40:dawn kill_host a 10", "aim at one of acquire_leader"),
        ("40 kill_host @sender 10", "write `40:MOMENT kill_host ...`"),
    ],
)
def test_what_is_no_fault_is_refused_with_a_remedy(text: str, complaint: str) -> None:
    with pytest.raises(FaultRefused) as refused:
        parse_fault(text)
    assert complaint in str(refused.value)


def test_every_kind_can_happen() -> None:
    assert set(BEGINNINGS) == set(KINDS)


def test_the_last_end_counts_durations() -> None:
    schedule = (parse_fault("10 kill_host a 50"), parse_fault("20 kill_postgres b"))
    assert last_end(schedule) == 60
    assert last_end(()) == 0


def test_an_aimed_fault_may_begin_so_late_as_it_waits() -> None:
    assert last_end((parse_fault("10:promote_postgres kill_host b 50"),)) == (
        10 + AIMED_FOR + 50
    )
