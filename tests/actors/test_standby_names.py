"""synchronous_standby_names: read as PostgreSQL reads it, written so that it does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.actors.standby_names import (
    EVERYBODY,
    NOBODY,
    StandbyNames,
    parse_standby_names,
    standby_names,
    standby_names_text,
)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("", NOBODY),
        ("  ", NOBODY),
        ("*", EVERYBODY),
        ('"*"', EVERYBODY),
        ("a", standby_names("a", 1)),
        ("b , A", standby_names("ab", 1)),
        ("2 (a,b)", standby_names("ab", 2)),
        ("FIRST 1 (a,b)", standby_names("ab", 1)),
        ("any 2(a, b ,c)", standby_names("abc", 2, by_quorum=True)),
        (
            'ANY 1 ("pg-1","a ""b""")',
            standby_names(['a "b"', "pg-1"], 1, by_quorum=True),
        ),
        ("1 (a,*)", EVERYBODY),
        ("first", standby_names(["first"], 1)),
        ('"FIRST"', standby_names(["first"], 1)),
        ("3 (a,a)", StandbyNames(names=("a",), count=1)),
    ],
)
def test_what_a_value_says(text: str, meaning: StandbyNames) -> None:
    """SYNC-09, SYNC-10."""
    assert parse_standby_names(text) == meaning


@pytest.mark.parametrize(
    "text",
    ["a,", ",", "2 (a", "x (a)", "ANY (a)", "2 ()", "a b", '"a', "1 (a))", "(", "()"],
)
def test_a_value_that_cannot_be_read_is_no_value(text: str) -> None:
    assert parse_standby_names(text) is None


@pytest.mark.parametrize(
    ("names", "count", "by_quorum", "text"),
    [
        (["pg2"], 1, False, "pg2"),
        (["pg3", "pg2"], 2, False, "2 (pg2,pg3)"),
        (["pg-2"], 1, False, '"pg-2"'),
        (["Any"], 1, False, '"Any"'),
        (["first", "PG2"], 2, False, '2 ("PG2","first")'),
        (["2a"], 1, False, '"2a"'),
        (['a"b'], 1, False, '"a""b"'),
        (["pg2"], 1, True, "ANY 1 (pg2)"),
        (["pg2", "pg3"], 1, True, "ANY 1 (pg2,pg3)"),
        ([], 0, False, ""),
    ],
)
def test_how_a_value_is_written(
    names: list[str], count: int, by_quorum: bool, text: str
) -> None:
    """SYNC-09, P-SYNC-13, P-SYNC-16; wire contract 9.5."""
    assert standby_names_text(names, count, by_quorum=by_quorum) == text


@given(
    st.lists(st.text(min_size=1).filter(lambda name: name != "*"), min_size=1),
    st.integers(1, 4),
    st.booleans(),
)
def test_what_is_written_is_read_the_same(
    names: list[str], count: int, by_quorum: bool
) -> None:
    """SYNC-09: a wrongly quoted value would switch synchronous replication off."""
    each = list(dict.fromkeys(names))
    if len(each) == 1 or not by_quorum:
        count = len(each)
    text = standby_names_text(each, count, by_quorum=by_quorum)
    meaning = parse_standby_names(text)
    assert meaning is not None
    assert meaning.says_the_same(standby_names(each, count, by_quorum=by_quorum))


@given(st.text())
def test_no_text_raises(text: str) -> None:
    parse_standby_names(text)
