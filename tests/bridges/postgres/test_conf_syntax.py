"""The language of PostgreSQL's configuration files."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.bridges.postgres.conf_syntax import (
    assignments_text,
    parse_assignments,
    quoted,
    without_assignments,
)
from tests.bridges.postgres.servers import BIN_DIR

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}(\.[a-z][a-z0-9_]{0,8})?", fullmatch=True)
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(st.dictionaries(NAMES.filter(lambda n: not n.startswith("include")), VALUES))
def test_what_is_written_is_read_back(settings: dict[str, str]) -> None:
    assert parse_assignments(assignments_text(settings)) == settings


@given(VALUES)
def test_no_value_breaks_out_of_its_line(value: str) -> None:
    assert len(f"a = {quoted(value)}".split("\n")) == 1


def test_a_value_that_no_file_can_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        quoted("a\0b")


@pytest.mark.server
def test_postgresql_reads_what_is_written(playground: Path) -> None:
    """CFG-30: whatever characters the values have."""
    values = [
        "plain",
        "it's",
        "back\\slash",
        "two\\\\",
        "'quoted'",
        "line\nbreak",
        "carriage\rreturn",
        "tab\tstop",
        "# no comment",
        "x = 'y'",
        "\\'; x = 1",
        "äöü €",
        "",
        "%p %f",
        "ends with \\",
    ]
    (playground / "PG_VERSION").write_text("15\n")
    playground.chmod(0o700)
    settings = {f"test.v{number}": value for number, value in enumerate(values)}
    (playground / "postgresql.conf").write_text(assignments_text(settings))
    for name, value in settings.items():
        result = subprocess.run(
            [BIN_DIR / "postgres", "-D", playground, "-C", name],
            capture_output=True,
            check=True,
        )
        assert result.stdout.decode().removesuffix("\n") == value, name


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("work_mem = 64MB", {"work_mem": "64MB"}),
        ("work_mem=64MB # comment", {"work_mem": "64MB"}),
        ("Work_Mem '64MB'", {"work_mem": "64MB"}),
        ("  a.b = 'it''s \\'so\\''  ", {"a.b": "it's 'so'"}),
        (r"a = '\101\t\x'", {"a": "A\tx"}),
        ("# work_mem = 64MB", {}),
        ("include 'other.conf'", {}),
        ("include_dir = 'conf.d'", {}),
        ("a = 'no end", {}),
        ("", {}),
    ],
)
def test_a_line_is_read_as_postgresql_reads_it(
    line: str, found: dict[str, str]
) -> None:
    assert parse_assignments(line) == found


def test_assignments_are_taken_out_and_the_rest_stays() -> None:
    """REPL-23."""
    text = (
        "# Do not edit\n"
        "primary_conninfo = 'host=evil'\n"
        "work_mem = '1MB'\n"
        "Restore_Command = 'x'\n"
        "# primary_conninfo = ''\n"
    )
    assert without_assignments(text, {"primary_conninfo", "restore_command"}) == (
        "# Do not edit\nwork_mem = '1MB'\n# primary_conninfo = ''\n"
    )
