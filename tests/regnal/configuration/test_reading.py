"""YAML and JSON of any kind give a tree or one clear error."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.configuration.problems import ConfigurationError
from regnal.configuration.reading import MAX_BYTES, read_json, read_path, read_yaml

BILLION_LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: [1, 2", r"is not YAML: did not find expected ',' or '\]'.*line 2"),
        ("a: b\n c: d\n", r"is not YAML: .*\(line 2\)"),
        ("a: 1\nb: 2\na: 3\n", r"'a' is there twice; remove one of them \(line 3\)"),
        ("just text", "the top level is not a mapping"),
        ("- a", "the top level is not a mapping"),
        ("a: !!python/object/apply:os.system [id]", "python/object.* is not allowed"),
        ("a: !!binary aGVsbG8=", "is not allowed"),
        ("a: !!set {x}", "is not allowed"),
        ("a: !mine x", "is not allowed"),
        ("? [a, b]\n: c", "a key is not a text"),
        ("<<: 5\n", "`<<` does not name a mapping"),
        ("a: *missing", "is not YAML: found undefined alias"),
        ("a: &a [*a]", "is nested more than"),
        ("a: &a {b: *a}", "is nested more than"),
        pytest.param(
            BILLION_LAUGHS, "has more than 100000 values", id="billion laughs"
        ),
        pytest.param("a: " + "[" * 1_000_000, "is nested more than", id="deep lists"),
        pytest.param("{a: " * 500_000, "is nested more than", id="deep mappings"),
        pytest.param("- " * 500_000, "is nested more than", id="deep blocks"),
        ("a: 1\n---\nb: 2\n", "is not YAML: .*another document"),
        ("a: \x00", "is not YAML"),
        (b"a: \xff\xfe", "is not YAML"),
        pytest.param("x" * (MAX_BYTES + 1), "is larger than", id="too large"),
    ],
)
def test_hostile_yaml_is_one_clear_error(text: str | bytes, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        read_yaml(text, "regnal.yml")
    assert str(caught.value).startswith("regnal.yml: ")
    assert "\n" not in str(caught.value)


def test_values_remember_where_and_how_they_were_written() -> None:
    tree = read_yaml("a:\n  b: 0123\n  c: [on]\nd: 2020-01-01\n", "x.yml")
    assert tree.data == {"a": {"b": 0o123, "c": [True]}, "d": "2020-01-01"}
    assert tree.written(("a", "b")) == "0123"
    assert str(tree.origin(("a", "b"))) == "x.yml, line 2"
    assert str(tree.origin(("a", "c", 0))) == "x.yml, line 3"
    assert str(tree.origin(("a", "missing"))) == "x.yml, line 2"


def test_merge_keys_and_anchors_work() -> None:
    """docker-compose taught people to write them."""
    text = "base: &base {a: 1, b: 2}\nuse:\n  <<: *base\n  b: 3\nboth:\n  <<: [*base, {c: 4}]\n"
    data = read_yaml(text, "x.yml").data
    assert data["use"] == {"a": 1, "b": 3}
    assert data["both"] == {"a": 1, "b": 2, "c": 4}


def test_a_number_too_long_for_any_option_stays_a_text() -> None:
    text = "0x" + "f" * 5000
    assert read_yaml(f"a: {text}", "x.yml").data == {"a": text}


def test_keys_are_texts_as_written() -> None:
    assert read_yaml("on: 1\n5: 2\n", "x.yml").data == {"on": 1, "5": 2}


def test_an_empty_document_is_an_empty_tree() -> None:
    assert read_yaml("", "x.yml").data == {}
    assert read_yaml("# only words\n---\n", "x.yml").data == {}


@given(st.one_of(st.text(), st.binary()))
def test_any_text_gives_a_tree_or_a_configuration_error(text: str | bytes) -> None:
    with contextlib.suppress(ConfigurationError):
        read_yaml(text, "x.yml")


@given(st.text(alphabet="[]{}:,-&*!|>'\"#%@ \n\tab01~<?."))
def test_any_yaml_punctuation_gives_a_tree_or_a_configuration_error(text: str) -> None:
    with contextlib.suppress(ConfigurationError):
        read_yaml(text, "x.yml")


@given(st.one_of(st.text(), st.text(alphabet='[]{}:,"0123456789.eE+-\\u')))
def test_any_json_text_gives_a_tree_or_a_configuration_error(text: str) -> None:
    with contextlib.suppress(ConfigurationError):
        read_json(text, "store")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"a": ' + "[" * 100_000, id="deep"),
        pytest.param('{"a": ' + "9" * 10_000 + "}", id="many digits"),
    ],
)
def test_hostile_json_is_one_clear_error(text: str) -> None:
    with pytest.raises(ConfigurationError):
        read_json(text, "store")


def test_half_a_surrogate_pair_is_refused() -> None:
    """Nothing could write it into a journal or a file."""
    for text in ('{"a": ["\\ud800"]}', '{"\\uDFFF": 1}'):
        with pytest.raises(ConfigurationError, match="half a surrogate pair"):
            read_json(text, "store")
    assert read_json('{"a": "\\ud83d\\ude00"}', "store").data == {"a": "\U0001f600"}
    for yaml_text in ('a: "\\ud800"', "a: \ud800"):
        with pytest.raises(ConfigurationError, match="is not YAML"):
            read_yaml(yaml_text, "x.yml")


def test_json_nested_too_deep_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="nested more than"):
        read_json('{"a": ' + "[" * 60 + "]" * 60 + "}", "store")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="none: cannot be read: No such file"):
        read_path(tmp_path / "none")
