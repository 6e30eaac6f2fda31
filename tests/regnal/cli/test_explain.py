"""`regnal explain` as its users meet it: what it prints, and how it ends."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from regnal.cli.main import regnal
from regnal.replay.explaining.causes import CAUSES

ROOT = Path(__file__).parents[3]
PIECE = ROOT / "tests" / "journals" / "0.1.0-demo"
"""A demo: the cluster is created, a host is lost, a switchover, the end."""


def run(*arguments: object) -> Result:
    return CliRunner().invoke(regnal, ["explain", *map(str, arguments)])


def story(*arguments: object) -> dict[str, object]:
    result = run(*arguments, "-f", "json")
    assert result.exit_code == 0, result.output
    document: dict[str, object] = json.loads(result.stdout)
    return document


def test_the_latest_incident_that_nobody_wanted_is_told() -> None:
    result = run(PIECE)
    assert result.exit_code == 0
    assert (
        "The host of pg1 was lost; pg3 noticed at once; pg2 took over" in result.output
    )
    for title in ("VERDICT", "HOW LONG IT TOOK", "THE CANDIDATES", "WHAT PG2 SAW"):
        assert title in result.output
    assert "\x1b[" not in result.output, "no colours where there is no terminal"


@pytest.mark.parametrize("wanted", ["reign-33", "5", "latest~0"])
def test_an_incident_is_found_by_name_and_by_number(wanted: str) -> None:
    expected = "host_lost" if wanted.startswith("latest") else "switchover"
    verdict = story(PIECE, "-i", wanted)["verdict"]
    assert isinstance(verdict, dict)
    assert verdict["cause"] == expected


def test_the_list_has_every_incident_with_its_verdict() -> None:
    rows = json.loads(run(PIECE, "--list", "-f", "json").stdout)
    assert [row["cause"] for row in rows] == [
        "bootstrap",
        "replica_rebuilt",
        "replica_rebuilt",
        "host_lost",
        "switchover",
        "leader_shut_down",
    ]


def test_a_switchover_is_told_across_members_with_who_asked() -> None:
    told = story(PIECE, "-i", "reign-33")
    chain = told["chain"]
    assert isinstance(chain, list)
    members = [link["member"] for link in chain]
    assert members[0] == "pg2"
    assert members[-1] == "pg1"
    moments = [link["moment"] for link in chain]
    assert moments == sorted(moments)
    author = told["author"]
    assert isinstance(author, dict)
    assert (author["address"], author["through"]) == ("127.0.0.1", "pg2")


def test_without_the_former_leaders_journal_it_says_what_is_missing() -> None:
    told = story(PIECE / "pg2", PIECE / "pg3")
    verdict, troubles = told["verdict"], told["troubles"]
    assert isinstance(verdict, dict)
    assert verdict["cause"] == "unknown"
    assert verdict["missing"] == ["the journal of pg1, the former leader"]
    assert verdict["alternatives"] == ["host_lost", "daemon_killed"]
    assert isinstance(troubles, list)
    assert any(one["code"] == "MEMBER_MISSING" for one in troubles)


def test_a_damaged_journal_is_told_and_the_rest_is_used(tmp_path: Path) -> None:
    shutil.copytree(PIECE, tmp_path / "journals")
    (victim,) = (tmp_path / "journals" / "pg3").glob("*.gz")
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 0xFF
    victim.write_bytes(bytes(content))
    told = story(tmp_path / "journals")
    assert isinstance(told["verdict"], dict)
    assert told["verdict"]["cause"] == "host_lost"
    assert isinstance(told["troubles"], list)
    assert any("pg3" in one["text"] for one in told["troubles"])


def test_an_incident_that_does_not_exist_is_an_error_with_a_remedy() -> None:
    result = run(PIECE, "-i", "reign-999")
    assert result.exit_code == 1
    assert "--list" in result.output


def test_where_there_is_no_journal_the_status_is_2(tmp_path: Path) -> None:
    assert run(tmp_path).exit_code == 2
    assert run(tmp_path / "nowhere").exit_code == 2


def test_markdown_holds_no_markup_of_the_journals_own() -> None:
    told = run(PIECE, "-f", "markdown").output
    assert told.startswith("# reign-10: the leader changed")
    assert "### " not in told
    assert "## What we change" in told


def test_the_published_lists_are_those_of_the_documentation() -> None:
    """Run `make lists` when this fails."""
    page = (ROOT / "docs" / "causes.md").read_text(encoding="utf-8")
    assert run("-f", "markdown", "--causes").output in page
    schema = (ROOT / "docs" / "schemas" / "story.json").read_text(encoding="utf-8")
    assert run("--schema").output == schema
    assert set(json.loads(run("-f", "json", "--causes").output)) == set(CAUSES)
