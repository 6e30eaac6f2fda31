"""Names of members and clusters as parts of a NATS subject."""

from hypothesis import given
from hypothesis import strategies as st

from regnal.journal.stream_layout import (
    message_id,
    name_in,
    subject_of,
    subjects_of,
    token,
)


def test_a_subject_for_each_member() -> None:
    assert subject_of("main", "pg-1_a") == "regnal.journal.main.pg-1_a"
    assert subjects_of("main") == "regnal.journal.main.*"
    assert subject_of("a b", "x.*>") == "regnal.journal.a%20b.x%2E%2A%3E"
    assert message_id("main", "pg1", 812, "8a1f") == "main/pg1/812/8a1f"


@given(name=st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_any_name_fits_into_a_subject_and_comes_back(name: str) -> None:
    part = token(name)
    assert part.isascii()
    assert not set(part) & set(".*> \t\r\n")
    assert name_in(part) == name


@given(first=st.text(min_size=1), second=st.text(min_size=1))
def test_two_names_have_two_subjects(first: str, second: str) -> None:
    if first.isprintable() and second.isprintable() and first != second:
        assert token(first) != token(second)
