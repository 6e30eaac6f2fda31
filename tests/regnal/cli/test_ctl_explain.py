"""`regnalctl explain`: from the journals of all members that the store names."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.regnal.cli.ctl_runs import SYSTEM_IDENTIFIER, Ctl, member_key
from tests.replay.sources.live import cluster, served, url_of
from tests.servers.memory_store import MemoryStore

MUSEUM = Path(__file__).parents[2] / "journals" / "0.1.0-demo"
MEMBERS = ("pg1", "pg2", "pg3")


@pytest.fixture
def ctl(tmp_path: Path) -> Iterator[Ctl]:
    """pg1 does not answer; the others do."""
    journals = {name: served(MUSEUM / name) for name in MEMBERS[1:]}
    with cluster(journals) as apis:
        keys = {
            f"members/{name}": member_key(name, api_url=f"{url_of(api)}/patroni")
            for name, api in apis.items()
        }
        keys["members/pg1"] = member_key("pg1", api_url="http://127.0.0.1:1/patroni")
        yield Ctl(tmp_path, MemoryStore({"initialize": SYSTEM_IDENTIFIER, **keys}))


def test_the_latest_incident_is_told_by_those_who_answer(ctl: Ctl) -> None:
    result = ctl("explain")
    assert result.exit_code == 0
    assert "reign-10: the leader changed (pg1, then pg2)" in result.stdout
    assert "pg1" in result.stderr  # it did not give its journal


def test_one_by_name_for_programs(ctl: Ctl) -> None:
    story = json.loads(ctl("explain", "reign-33", "-f", "json").stdout)
    assert story["name"] == "reign-33"
    assert story["kind"] == "leader_changed"


def test_the_list_begins_where_it_is_told_to(ctl: Ctl) -> None:
    moment = "2026-11-28T06:43:05"
    names = [
        one["name"] for one in json.loads(ctl("explain", "-l", "-f", "json").stdout)
    ]
    later = ctl("explain", "-l", "-f", "json", "--since", moment)
    assert {"reign-10", "reign-33"} <= set(names)
    assert "reign-33" in {one["name"] for one in json.loads(later.stdout)}


def test_an_incident_that_is_none_is_an_error(ctl: Ctl) -> None:
    result = ctl("explain", "reign-99")
    assert result.exit_code == 1
    assert "there is no incident 'reign-99'" in result.stderr


def test_where_nobody_gives_a_journal_that_is_an_error(tmp_path: Path) -> None:
    key = member_key("pg1", api_url="http://127.0.0.1:1/patroni")
    store = MemoryStore({"initialize": SYSTEM_IDENTIFIER, "members/pg1": key})
    result = Ctl(tmp_path, store)("explain", "--cluster", "demo")
    assert result.exit_code == 1
    assert "no member gave its journal" in result.stderr
    assert "pg1" in result.stderr
