"""Bodies from strangers: what is taken can be stored, sent and read again."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.bridges.http.bodies import BodyRefused, parse_object

TEXT = st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(TEXT, children),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        pytest.param(b"", "not JSON", id="nothing"),
        pytest.param(b"{", "not JSON", id="half"),
        pytest.param(b"ttl: 5", "not JSON", id="YAML"),
        pytest.param(b"[]", "not a JSON object", id="array"),
        pytest.param(b'"x"', "not a JSON object", id="text"),
        pytest.param(b"null", "not a JSON object", id="null"),
        pytest.param(b'{"a": NaN}', "NaN is not a JSON number", id="NaN"),
        pytest.param(b'{"a": -Infinity}', "-Infinity is not", id="infinity"),
        pytest.param(b'{"a": 1e999}', "1e999 is too large", id="a huge float"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b"}", "not JSON", id="a huge integer"),
        pytest.param(b'{"a": 1, "a": 2}', "'a' occurs twice", id="twice"),
        pytest.param(
            b'{"b": {"a": 1, "a": 2}}', "'a' occurs twice", id="twice, deeper"
        ),
        pytest.param(b'{"a": "\xff"}', "not UTF-8", id="Latin-1"),
        pytest.param('{"a": 1}'.encode("utf-16"), "not UTF-8", id="UTF-16"),
        pytest.param(b'{"a": "\\ud800"}', "surrogate", id="half a pair"),
        pytest.param(b'{"\\udfff": 1}', "surrogate", id="half a pair as a key"),
        pytest.param(b'{"a":' * 70 + b"1" + b"}" * 70, "nested deeper", id="deep"),
        pytest.param(
            b'{"a":' + b"[" * 70 + b"]" * 70 + b"}", "nested deeper", id="deep array"
        ),
        pytest.param(b'{"a":' * 100_000, "nested deeper", id="very deep"),
        pytest.param(b'{"a":' + b"[" * 500_000, "nested deeper", id="deepest"),
        pytest.param(b'{"a": "' + b"x" * (1 << 20) + b'"}', "larger than", id="large"),
        pytest.param(b"\xef\xbb\xbf{}", "not JSON", id="byte order mark"),
    ],
)
def test_what_is_refused_and_why(body: bytes, why: str) -> None:
    """REST-16, REST-18, law 8: a clear text, never a traceback."""
    with pytest.raises(BodyRefused, match=why) as refused:
        parse_object(body)
    assert len(str(refused.value)) < 300


def test_sixty_four_levels_are_enough() -> None:
    assert parse_object(b'{"a":' * 64 + b"1" + b"}" * 64)


@given(st.dictionaries(TEXT, VALUES))
def test_what_json_can_say_is_taken_as_it_is(document: dict[str, Any]) -> None:
    assert parse_object(json.dumps(document).encode()) == document
    assert parse_object(json.dumps(document, ensure_ascii=False).encode()) == document


@given(st.binary(max_size=200))
def test_no_bytes_do_harm(body: bytes) -> None:
    try:
        parse_object(body)
    except BodyRefused:
        return
