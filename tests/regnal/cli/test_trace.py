"""`regnal trace export`: what it writes, and what it says where it cannot."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from regnal.cli.trace import trace_command

DEMO = Path(__file__).parents[2] / "journals" / "0.1.0-demo"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(trace_command, ["export", *arguments])


def test_each_trace_is_a_line_of_otlp() -> None:
    result = run(str(DEMO), "--all")
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) == 8
    for line in lines:
        ids = {
            span["traceId"]
            for resource in line["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        }
        assert len(ids) == 1


def test_the_latest_that_nobody_wanted_is_told_unless_another_is_named() -> None:
    (latest,) = json.loads(run(str(DEMO), "-f", "json").stdout)
    assert latest["incident"] == "reign-10"
    (named,) = json.loads(run(str(DEMO), "-f", "json", "-i", "reign-33").stdout)
    assert (named["name"], named["members"]) == ("switchover", ["pg1", "pg2", "pg3"])
    assert len(named["spans"]) == 29


def test_the_list_numbers_them() -> None:
    lines = run(str(DEMO), "--list").stdout.splitlines()
    assert lines[3].split()[:3] == ["4", "reign-10", "failover"]
    told = json.loads(run(str(DEMO), "--list", "-f", "json").stdout)
    assert [one["incident"] for one in told][3:5] == ["reign-10", "reign-33"]


def test_a_time_is_kept_to() -> None:
    since, until = "2026-11-28T06:43:07", "2026-11-28T06:44:00"
    lines = run(str(DEMO), "-l", "--since", since, "--until", until).stdout
    assert [line.split()[1] for line in lines.splitlines()] == ["reign-33"]


def test_a_waterfall_has_no_colours_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "failover.txt"
    assert run(str(DEMO), "-f", "waterfall", "-o", str(file)).exit_code == 0
    text = file.read_text(encoding="utf-8")
    assert "\x1b" not in text
    assert text.startswith("reign-10 · failover pg1 → pg2\n")


def test_a_file_that_is_called_svg_gets_a_picture(tmp_path: Path) -> None:
    file = tmp_path / "failover.svg"
    assert run(str(DEMO), "-o", str(file)).exit_code == 0
    assert file.read_text(encoding="utf-8").startswith("<svg ")


def test_quiet_life_is_there_for_who_wants_it() -> None:
    few = run(str(DEMO), "--list").stdout.splitlines()
    many = run(str(DEMO), "--list", "--quiet-share", "1").stdout.splitlines()
    assert len(many) > len(few)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["-i", "reign-11"], 1, "there is no trace 'reign-11'"),
        (["--all", "-f", "svg"], 2, "name it with --incident"),
        (["--quiet-share", "2"], 2, "--quiet-share"),
    ],
)
def test_what_cannot_be_is_refused(
    arguments: list[str], status: int, words: str
) -> None:
    result = run(str(DEMO), *arguments)
    assert result.exit_code == status
    assert words in result.stderr


def test_without_journals_the_status_is_two(tmp_path: Path) -> None:
    result = run(str(tmp_path / "nothing"))
    assert result.exit_code == 2
    assert "does not exist" in result.stderr
