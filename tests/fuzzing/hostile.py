"""What others might write: by mistake, in another version, with evil intent.

Every strategy knows the grammar of what it imitates and breaks it in few places:
bytes drawn at random are refused at the first gate, and the rooms behind it stay
untried.  How many examples a property tries is the profile's (`make test-fuzz`
takes the thorough one), of which each takes its share.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st

T = TypeVar("T")
Anything = st.SearchStrategy[Any]

many = settings(max_examples=max(10, settings().max_examples // 3))
some = settings(max_examples=max(5, settings().max_examples // 15))
"""For what takes microseconds, and for what takes milliseconds."""

NUMBERS: Anything = st.sampled_from(
    [
        *(0, 1, -1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63)),
        *(10**30, 10**400, 0.5, -0.0, 1e308, 5e-324, float("inf"), float("nan")),
    ]
) | st.integers(-5, 10**6)

TEXTS = st.sampled_from(
    [
        *("", " ", "0", "-1", "1e999", "0x10", "1_0", "\u0663", "\u00b2", "9" * 5000),
        *("\0", "a\0b", "a\nb", "a\r\nX: y", "\ud800", "\u2028", "\ufeff", "é" * 300),
        *("true", "null", "nan", "inf", "{}", "[]", "[" * 3000, "%s", "%(x)s", "\\"),
        *("http://", "http://[::1", "http://h:99999/", "http://h:x/", "//", "::1"),
        *("postgres://[", "postgres://h:0x1/", "postgres://%zz@h/d?a=b&c", "*", "../x"),
        *("2030-01-02T03:04:05+00:00", "9999-12-31T23:59:59-23:59", "0000-00-00"),
        *("pg1", "pg2", "PG2", "pg1,pg2", ",,", "ANY 2 (", "'", '"', "; x", "$(x)"),
    ]
) | st.text(max_size=12)

VALUES: Anything = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
    ),
    max_leaves=6,
)
"""Whatever JSON can say, and what Python's reader takes for JSON."""


def objects(fields: Mapping[str, Anything]) -> Anything:
    """An object with some of these fields: mostly as they should be, some not, and
    perhaps one that nobody knows."""
    known: Anything = st.fixed_dictionaries(
        {}, optional={name: st.one_of(f, f, f, VALUES) for name, f in fields.items()}
    )
    strange = st.dictionaries(TEXTS, VALUES, max_size=1)
    return st.builds(lambda one, other: {**other, **one}, known, strange)


def written(values: Anything) -> st.SearchStrategy[str]:
    """As JSON, sometimes torn, or with a piece put in twice."""
    return st.one_of(
        values.map(json.dumps), values.map(json.dumps).flatmap(damaged), TEXTS
    )


def damaged(text: str) -> st.SearchStrategy[str]:
    """The text with one piece of it lost, doubled or replaced."""
    place = st.integers(0, len(text))

    def damage(one: int, other: int, with_: str) -> str:
        begin, end = sorted((one, other))
        return text[:begin] + with_ + text[end:]

    return st.builds(
        damage, place, place, st.sampled_from(["", "\0", '"', "{", "9" * 40, text])
    )


def lines(pieces: Sequence[str], strange: Anything = TEXTS) -> st.SearchStrategy[str]:
    """The lines of something real, a few of them missing, torn, moved or strange."""
    line = st.sampled_from(pieces)
    new = st.none() | line | line.flatmap(damaged) | strange
    changes = st.dictionaries(st.integers(0, len(pieces) - 1), new, max_size=4)

    def change(at: dict[int, str | None], length: int) -> str:
        every = (at.get(number, piece) for number, piece in enumerate(pieces[:length]))
        return "\n".join(piece for piece in every if piece is not None)

    length = st.just(len(pieces)) | st.integers(0, len(pieces))
    return st.builds(change, changes, length)


def answer_or(
    error: type[Exception] | tuple[type[Exception], ...],
    work: Callable[[], T],
    *,
    on_terminal: bool = False,
) -> T | None:
    """What `work` gives; None: it raised the error that it may raise, with a text that
    a person can read.  Any other error goes through.

    `on_terminal`: the text goes to standard error, which escapes what is no character;
    a log does not.
    """
    try:
        return work()
    except error as refused:
        text = str(refused)
        assert text.strip(), "an error that says nothing"
        assert len(text) < 20_000, "an error that nobody can read"
        text.encode(errors="backslashreplace" if on_terminal else "strict")
        return None
