"""`version`, `dsn`, `demote-cluster`, `promote-cluster`, and the tables themselves."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regnal.bridges.dcs.contract import StoreUnavailable
from regnal.cli.ctl import COMMANDS
from regnal.cli.ctl_table import column, table_text
from regnal.cli.ctl_version import postgres_version
from tests.regnal.cli.ctl_runs import CONFIGURATION, Ctl, member_key, store_with
from tests.servers.fake_member import Asked, FakeMember, fake_members
from tests.servers.memory_store import MemoryStore


@pytest.fixture
def members() -> Iterator[dict[str, FakeMember]]:
    with fake_members("n1", "n2") as servers:
        yield servers


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_there_and_says_what_it_does(
    tmp_path: Path, command: str
) -> None:
    """The summary in the list of commands is the one of the command."""
    result = Ctl(tmp_path, MemoryStore({}))(command, "--help")

    assert result.exit_code == 0
    assert result.stdout.split("\n\n")[1].strip() == COMMANDS[command].summary


def test_the_list_of_commands_loads_none_of_them(tmp_path: Path) -> None:
    result = Ctl(tmp_path, MemoryStore({})).bare("--help")

    assert result.exit_code == 0
    for name in COMMANDS:
        assert f"\n  {name} " in result.stdout


@pytest.mark.parametrize(
    "arguments", [["bogus"], ["list", "--bogus"], ["list", "-f", "bogus"], ["restart"]]
)
def test_wrong_usage_ends_with_2(tmp_path: Path, arguments: list[str]) -> None:
    """P-CTL-07."""
    result = Ctl(tmp_path, MemoryStore({}))(*arguments)

    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: regnalctl ")


def test_the_versions_of_daemons_and_servers(
    tmp_path: Path, members: dict[str, FakeMember]
) -> None:
    """CTL-25, CTL-08."""
    status = {"server_version": 150010, "patroni": {"version": "4.1.5"}}
    members["n1"].answers["GET /patroni"] = (200, json.dumps(status))
    members["n2"].answers["GET /patroni"] = (503, '{"patroni":{"version":"2.1.1"}}')
    store = store_with({**members, "n3": None})

    result = Ctl(tmp_path, store)("version", "demo")

    first, blank, *others = result.stdout.splitlines()
    assert first.startswith("regnalctl version ")
    assert blank == ""
    assert others == [
        "n1: Patroni 4.1.5 PostgreSQL 15.10",
        "n2: Patroni 2.1.1",
        "n3: failed to get version: no answer from n3: it publishes no api_url",
    ]


def test_the_version_alone_asks_nobody(tmp_path: Path) -> None:
    """CTL-25."""
    ctl = Ctl(tmp_path, MemoryStore({}))

    assert ctl("version").stdout.startswith("regnalctl version ")
    assert ctl.opened == []


@pytest.mark.parametrize(
    ("number", "text"), [(150010, "15.10"), (100000, "10.0"), (90603, "9.6.3")]
)
def test_the_number_of_a_server_is_made_readable(number: int, text: str) -> None:
    assert postgres_version(number) == text


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "host=127.0.0.1 port=5432"),
        (["-m", "n2"], "host=::1 port=5433"),
        (["-r", "replica"], "host=::1 port=5433"),
    ],
)
def test_the_dsn_of_a_member(tmp_path: Path, arguments: list[str], line: str) -> None:
    """CTL-28."""
    store = store_with(
        {"n1": None, "n2": None},
        n1={"conn_url": "postgres://127.0.0.1:5432/postgres"},
        n2={"conn_url": "postgres://[::1]:5433/postgres"},
    )

    assert Ctl(tmp_path, store)("dsn", *arguments).stdout == f"{line}\n"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["-m", "n9"], "Can not find a suitable member"),
        (["-r", "standby-leader"], "Can not find a suitable member"),
        (
            ["-r", "any", "-m", "n1"],
            "--role and --member are mutually exclusive options",
        ),
    ],
)
def test_no_member_is_meant(tmp_path: Path, arguments: list[str], error: str) -> None:
    """CTL-28."""
    result = Ctl(tmp_path, store_with({"n1": None}))("dsn", *arguments)

    assert (result.exit_code, result.stderr) == (1, f"Error: {error}\n")


def test_a_cluster_is_demoted(tmp_path: Path, members: dict[str, FakeMember]) -> None:
    """P-SBY-06."""
    members["n1"].answers["PATCH /config"] = (200, "{}")
    store = store_with(members)

    def then_it_runs() -> None:
        store.put("members/n1", member_key("n1", role="standby_leader"))

    def patched() -> None:
        store.meanwhile = then_it_runs

    store.meanwhile = patched

    result = Ctl(tmp_path, store)(
        "demote-cluster",
        "--host=h",
        "--port=5433",
        "--primary-slot-name=s",
        typed="y\n",
    )

    assert result.exit_code == 0
    assert "Are you sure you want to demote demo cluster? [y/N]: y\n" in result.stdout
    assert (
        "cluster is unlocked: False, leader role: primary, leader state: running\n"
        in result.stdout
    )
    assert "cluster is successfully demoted\n+ Cluster: demo" in result.stdout
    section = {"host": "h", "port": 5433, "primary_slot_name": "s"}
    assert members["n1"].asked == [
        Asked("PATCH", "/config", {"standby_cluster": section})
    ]


def test_a_cluster_is_promoted(tmp_path: Path, members: dict[str, FakeMember]) -> None:
    """P-SBY-06."""
    members["n1"].answers["PATCH /config"] = (200, "{}")
    store = store_with(members, n1={"role": "standby_leader"})
    store.meanwhile = lambda: store.put("members/n1", member_key("n1", role="primary"))

    result = Ctl(tmp_path, store)("promote-cluster", "--force")

    assert "cluster is successfully promoted\n" in result.stdout
    assert members["n1"].asked == [Asked("PATCH", "/config", {"standby_cluster": None})]


REFUSED = "Failed to promote demo cluster: /config PATCH status code=404, (no such)"


@pytest.mark.parametrize(
    ("arguments", "fields", "error"),
    [
        (
            ["demote-cluster"],
            {},
            "At least --host, --port or --restore-command should be specified",
        ),
        (
            ["demote-cluster", "--host=h"],
            {"role": "standby_leader"},
            "Cluster is already in the required state",
        ),
        (["promote-cluster"], {}, "Cluster is already in the required state"),
        (["promote-cluster", "--force"], {"role": "standby_leader"}, REFUSED),
        (["demote-cluster", "--host=h"], {}, "Aborted cluster demotion"),
    ],
)
def test_the_cluster_stays_as_it_is(
    tmp_path: Path,
    members: dict[str, FakeMember],
    arguments: list[str],
    fields: dict[str, Any],
    error: str,
) -> None:
    """P-SBY-06."""
    result = Ctl(tmp_path, store_with(members, n1=fields))(*arguments, typed="n\n")

    assert (result.exit_code, result.stderr) == (1, f"Error: {error}\n")


@pytest.mark.parametrize(
    ("command", "noun"),
    [(["demote-cluster", "--host=h"], "demotion"), (["promote-cluster"], "promotion")],
)
def test_a_cluster_without_leader_stays_as_it_is(
    tmp_path: Path, command: list[str], noun: str
) -> None:
    """P-SBY-06."""
    result = Ctl(tmp_path, store_with({"n1": None}, leader=None))(*command)

    assert result.stderr == f"Error: Cluster has no leader, {noun} is not possible\n"


EXTERNAL = {
    **CONFIGURATION,
    "name": "outside",
    "postgresql": {"listen": "10.0.0.9:5432", "data_dir": "/nowhere"},
    "restapi": {"listen": "10.0.0.9:8008"},
}


def test_a_cluster_for_an_external_primary_is_scaffolded(tmp_path: Path) -> None:
    """CTL-27."""
    store = MemoryStore({})
    ctl = Ctl(tmp_path, store)
    ctl.configure(EXTERNAL)

    result = ctl("scaffold", "demo", "--sysid", "7301234567890123456")

    assert (result.exit_code, result.stderr) == (0, "")
    assert store.value("initialize") == "7301234567890123456"
    assert store.value("leader") == "outside"
    member = json.loads(store.value("members/outside") or "")
    assert member["conn_url"] == "postgres://10.0.0.9:5432/postgres"
    assert member["api_url"] == "http://10.0.0.9:8008/patroni"
    assert "| outside | 10.0.0.9 | Leader |" in ctl("list").stdout


def test_nothing_is_scaffolded_over_a_cluster(tmp_path: Path) -> None:
    """CTL-27."""
    store = MemoryStore({"initialize": ""})
    ctl = Ctl(tmp_path, store)
    ctl.configure(EXTERNAL)

    result = ctl("scaffold", "demo", "--sysid", "1")

    assert result.stderr == "Error: This cluster is already initialized\n"
    assert store.value("members/outside") is None


def test_a_scaffold_that_cannot_be_finished_is_removed(tmp_path: Path) -> None:
    """CTL-27."""
    store = MemoryStore({})
    store.leader_broken = StoreUnavailable("timed out")
    ctl = Ctl(tmp_path, store)
    ctl.configure(EXTERNAL)

    result = ctl("scaffold", "demo", "--sysid", "1")

    assert result.exit_code == 1
    assert "timed out" in result.stderr
    assert "what was written is removed again" in result.stderr
    assert store.value("initialize") is None


def test_a_scaffold_needs_to_know_the_primary(tmp_path: Path) -> None:
    """CTL-27."""
    result = Ctl(tmp_path, MemoryStore({}))("scaffold", "demo", "--sysid", "1")

    assert result.exit_code == 1
    assert "set name, postgresql.listen and restapi.listen" in result.stderr


COLUMNS = (column("Name"), column("Size", to_the_right=True))


def test_wide_characters_keep_the_borders_straight() -> None:
    rows = [{"Name": "日本", "Size": 1}, {"Name": "é", "Size": 22}]

    assert table_text(COLUMNS, rows, "pretty", title="T").splitlines() == [
        "+ T ---+------+",
        "| Name | Size |",
        "+------+------+",
        "| 日本 |    1 |",
        "| é    |   22 |",
        "+------+------+",
    ]


def test_a_title_ends_where_the_table_ends() -> None:
    title = "x" * 100

    border = table_text(COLUMNS, [], "pretty", title=title).splitlines()[0]

    assert border == "+ xxxxxxxxxxxx+"


def test_a_cell_never_breaks_a_row_of_tsv() -> None:
    """CTL-07: a line is a member, whatever a person wrote into its tags."""
    rows = [{"Name": "a\tb\nc", "Size": {"k": "v\nw"}}]

    assert table_text(COLUMNS, rows, "tsv").count("\n") == 1


def test_members_that_replicate_in_a_circle_are_not_lost(tmp_path: Path) -> None:
    """CTL-09."""
    store = store_with(
        {"n1": None, "n2": None, "n3": None},
        n2={"tags": {"replicatefrom": "n3"}},
        n3={"tags": {"replicatefrom": "n2"}},
    )

    text = Ctl(tmp_path, store)("topology").stdout

    assert "| + n2 " in text
    assert "|   + n3 " in text


def test_several_lines_in_one_cell_stay_one_row_for_programs(tmp_path: Path) -> None:
    reason = {
        "max_connections": {"old_value": "1", "new_value": "2"},
        "shared_buffers": {"old_value": "3", "new_value": "x" * 60},
    }
    store = store_with(
        {"n1": None}, n1={"pending_restart": True, "pending_restart_reason": reason}
    )
    ctl = Ctl(tmp_path, store)

    header, row = ctl("list", "-f", "tsv").stdout.splitlines()
    assert header.endswith("Pending restart\tPending restart reason")
    assert row.endswith(f"\tmax_connections: 1->2, shared_buffers: 3->{'x' * 60}")
    assert "| shared_buffers: [hidden - too long] |" in ctl("list").stdout
