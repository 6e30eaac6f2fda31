"""`show-config`, `edit-config`, `pause`, `resume`, `remove`: what is written, and when not."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.regnal.cli.ctl_runs import Ctl, member_key, store_with
from tests.servers.fake_member import Asked, FakeMember, fake_members
from tests.servers.memory_store import MemoryStore

CONFIG = (
    '{"ttl":30,"postgresql":{"parameters":{"max_connections":200}},"slots":{"a":null}}'
)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore({"config": CONFIG})


@pytest.fixture
def members() -> Iterator[dict[str, FakeMember]]:
    with fake_members("n1", "n2") as servers:
        for server in servers.values():
            server.answers["PATCH /config"] = (200, "{}")
        yield servers


def written(store: MemoryStore) -> Any:
    return json.loads(store.value("config") or "null")


@pytest.mark.parametrize(
    ("arguments", "typed", "expected"),
    [
        pytest.param(["-s", "ttl=20"], "", {"ttl": 20}, id="set"),
        pytest.param(["--set", "ttl = 20"], "", {"ttl": 20}, id="blanks around"),
        pytest.param(["-s", "a.b=[1, x]"], "", {"a": {"b": [1, "x"]}}, id="nested"),
        pytest.param(["-s", "a=2020-01-01"], "", {"a": "2020-01-01"}, id="a date"),
        pytest.param(
            ["-s", "postgresql.parameters.a.b=on"],
            "",
            {"postgresql": {"parameters": {"max_connections": 200, "a.b": True}}},
            id="below parameters all is one key",
        ),
        pytest.param(
            ["-p", "a.b=5MB"],
            "",
            {"postgresql": {"parameters": {"max_connections": 200, "a.b": "5MB"}}},
            id="parameter",
        ),
        pytest.param(
            ["-p", "max_connections=null"],
            "",
            {"postgresql": ...},
            id="what becomes empty goes too",
        ),
        pytest.param(
            ["-s", "slots.b={}"], "", {"slots": {"a": None, "b": {}}}, id="{}"
        ),
        pytest.param(
            ["--apply", "-"], "ttl: null\nx: {y: }", {"ttl": ..., "x": {"y": None}}
        ),
        pytest.param(
            ["--replace", "-"],
            "ttl: 9\nx: null",
            {"ttl": 9, "postgresql": ..., "slots": ...},
        ),
        pytest.param(
            ["--replace", "-", "-s", "ttl=8"],
            "ttl: 9",
            {"ttl": 8, "postgresql": ..., "slots": ...},
            id="replace comes first",
        ),
    ],
)
def test_what_is_given_is_laid_over_the_configuration(
    tmp_path: Path,
    store: MemoryStore,
    arguments: list[str],
    typed: str,
    expected: dict[str, Any],
) -> None:
    """CTL-22.  `...`: the option is gone."""
    wanted = json.loads(CONFIG) | expected
    wanted = {key: value for key, value in wanted.items() if value is not ...}

    result = Ctl(tmp_path, store)("edit-config", "--force", *arguments, typed=typed)

    assert result.exit_code == 0
    assert result.stdout.endswith("Configuration changed\n")
    assert written(store) == wanted


def test_the_change_is_shown_and_asked_about(
    tmp_path: Path, store: MemoryStore
) -> None:
    """CTL-22."""
    ctl = Ctl(tmp_path, store)

    result = ctl("edit-config", "-s", "ttl=20", typed="n\n")

    assert result.stdout == (
        "--- \n+++ \n@@ -3,4 +3,4 @@\n     max_connections: 200\n slots:\n   a: null\n"
        "-ttl: 30\n+ttl: 20\nApply these changes? [y/N]: n\n"
    )
    assert result.exit_code == 0
    assert store.value("config") == CONFIG

    assert "@@" not in ctl("edit-config", "-q", "-s", "ttl=20", typed="y\n").stdout
    assert written(store)["ttl"] == 20


def test_what_comes_from_stdin_needs_force(tmp_path: Path, store: MemoryStore) -> None:
    """CTL-22: nobody can answer a question there."""
    result = Ctl(tmp_path, store)("edit-config", "--apply", "-", typed="ttl: 20\n")

    assert result.stdout.endswith("+ttl: 20\nUse --force option to apply changes\n")
    assert store.value("config") == CONFIG


def test_nothing_changed(tmp_path: Path, store: MemoryStore) -> None:
    result = Ctl(tmp_path, store)("edit-config", "-s", "ttl=30")

    assert (result.exit_code, result.stdout) == (0, "Not changed\n")


def test_what_somebody_else_wrote_is_not_overwritten(
    tmp_path: Path, store: MemoryStore
) -> None:
    """CTL-22: the write is conditional on what was read."""
    store.meanwhile = lambda: store.put("config", '{"ttl":77}')

    result = Ctl(tmp_path, store)("edit-config", "-s", "ttl=20", "--force")

    assert result.exit_code == 1
    assert result.stderr == (
        "Error: Config modification aborted due to concurrent changes\n"
    )
    assert written(store) == {"ttl": 77}


@pytest.mark.parametrize(
    ("arguments", "typed", "error"),
    [
        (["-s", "ttl"], "", "Invalid parameter setting ttl"),
        (["-s", "a..b=1"], "", "Invalid parameter setting a..b=1"),
        (
            ["-s", "x={bad"],
            "",
            "Invalid parameter setting x={bad: the value is not YAML",
        ),
        (["--apply", "-"], "ttl: {50", "standard input: is not YAML"),
        (["--replace", "-"], "5", "standard input: the top level is not a mapping"),
        (["--replace", "-"], "", "standard input is empty"),
        (["--apply", "/nowhere/f.yml"], "", "/nowhere/f.yml cannot be read"),
    ],
)
def test_bad_input_changes_nothing(
    tmp_path: Path, store: MemoryStore, arguments: list[str], typed: str, error: str
) -> None:
    """CTL-22, P-CTL-20."""
    result = Ctl(tmp_path, store)("edit-config", "--force", *arguments, typed=typed)

    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {error}")
    assert store.value("config") == CONFIG


def test_there_must_be_a_configuration(tmp_path: Path) -> None:
    result = Ctl(tmp_path, MemoryStore({}))("edit-config", "-s", "ttl=20")

    assert result.stderr == (
        "Error: The config key does not exist in the cluster demo\n"
    )


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_an_editor_edits(
    tmp_path: Path, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CTL-22, CTL-23, P-CTL-11: a cluster name with a slash names no directory."""
    editor = script(tmp_path / "editor", 'test "$1" = -x; echo "ttl: 44" > "$2"')
    monkeypatch.setenv("EDITOR", f"{editor} -x")

    result = Ctl(tmp_path, store)("edit-config", "team/demo", typed="y\n")

    assert result.exit_code == 0
    assert written(store) == {"ttl": 44}


def test_without_editor_variable_there_are_others(
    tmp_path: Path, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CTL-23."""
    monkeypatch.delenv("EDITOR", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    script(tmp_path / "editor", "exit 0")

    assert Ctl(tmp_path, store)("edit-config").stdout == "Not changed\n"


@pytest.mark.parametrize(
    ("editor", "error"),
    [
        ("false", "Editor exited with return code 1"),
        ("/nowhere/ed", "The editor /nowhere/ed cannot be started: No such file"),
    ],
)
def test_an_editor_that_fails_changes_nothing(
    tmp_path: Path,
    store: MemoryStore,
    monkeypatch: pytest.MonkeyPatch,
    editor: str,
    error: str,
) -> None:
    """CTL-23."""
    monkeypatch.setenv("EDITOR", editor)

    result = Ctl(tmp_path, store)("edit-config")

    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {error}")


@pytest.mark.parametrize(
    ("verb", "before", "patch", "text"),
    [
        ("pause", {}, {"pause": True}, "Success: cluster management is paused\n"),
        (
            "resume",
            {"pause": True},
            {"pause": None},
            "Success: cluster management is resumed\n",
        ),
    ],
)
def test_the_leader_is_asked_to_pause(
    tmp_path: Path,
    members: dict[str, FakeMember],
    verb: str,
    before: dict[str, Any],
    patch: dict[str, Any],
    text: str,
) -> None:
    """CTL-21."""
    store = store_with(members, leader="n2", config=before)

    result = Ctl(tmp_path, store)(verb)

    assert (result.exit_code, result.stdout, result.stderr) == (0, text, "")
    assert members["n2"].asked == [Asked("PATCH", "/config", patch)]
    assert members["n1"].asked == []


def test_pausing_works_without_leader_and_with_dead_members(
    tmp_path: Path, members: dict[str, FakeMember]
) -> None:
    """CTL-21, CTL-08."""
    store = store_with(
        members, leader=None, n1={"api_url": "http://127.0.0.1:1/patroni"}
    )

    assert Ctl(tmp_path, store)("pause").exit_code == 0
    assert len(members["n2"].asked) == 1


@pytest.mark.parametrize(
    ("verb", "paused", "error"),
    [
        ("pause", True, "Cluster is already paused"),
        ("resume", False, "Cluster is not paused"),
    ],
)
def test_there_is_nothing_to_do(
    tmp_path: Path,
    members: dict[str, FakeMember],
    verb: str,
    paused: bool,
    error: str,
) -> None:
    """CTL-21."""
    result = Ctl(tmp_path, store_with(members, config={"pause": paused}))(verb)

    assert (result.exit_code, result.stderr) == (1, f"Error: {error}\n")


def test_nobody_can_be_asked(tmp_path: Path) -> None:
    result = Ctl(tmp_path, MemoryStore({"config": "{}"}))("pause")

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: Can not find accessible cluster member")


def test_a_refused_pause_is_told(
    tmp_path: Path, members: dict[str, FakeMember]
) -> None:
    members["n1"].answers["PATCH /config"] = (409, "changed")

    result = Ctl(tmp_path, store_with(members))("pause")

    assert result.exit_code == 0
    assert result.stdout == (
        "Failed: pause cluster management status code=409, (changed)\n"
    )


def test_waiting_for_a_pause_ends_when_all_have_seen_it(
    tmp_path: Path, members: dict[str, FakeMember]
) -> None:
    """CTL-21, PAUSE-04."""
    store = store_with(members)

    def everybody_notices() -> None:
        for name in members:
            store.put(f"members/{name}", member_key(name, pause=True))

    def a_moment_later() -> None:
        store.meanwhile = everybody_notices

    ctl = Ctl(tmp_path, store)
    store.meanwhile = a_moment_later
    result = ctl("pause", "--wait")

    assert result.stderr == ""
    assert result.stdout == (
        "'pause' request sent, waiting until it is recognized by all nodes\n"
        "Success: cluster management is paused\n"
    )


def test_waiting_for_a_pause_names_who_is_late(
    tmp_path: Path, members: dict[str, FakeMember]
) -> None:
    """CTL-21."""
    store = store_with(members, config={"loop_wait": 1}, n1={"pause": True})

    result = Ctl(tmp_path, store)("pause", "--wait")

    assert result.exit_code == 0
    assert result.stderr == "Warning: not yet recognized by n2\n"


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ("other\n", "Error: Cluster names specified do not match\n"),
        ("demo\nyes\n", 'Error: You did not exactly type "Yes I am aware"\n'),
        (
            "demo\nYes I am aware\nn2\n",
            "Error: You did not specify the current leader of the cluster\n",
        ),
        ("demo\n", "Aborted!\n"),
    ],
)
def test_a_cluster_is_not_removed_by_accident(
    tmp_path: Path, store: MemoryStore, typed: str, error: str
) -> None:
    """CTL-26."""
    store.put("leader", "n1")

    result = Ctl(tmp_path, store)("remove", "demo", typed=typed)

    assert (result.exit_code, result.stderr) == (1, error)
    assert store.value("config") == CONFIG


@pytest.mark.parametrize("leader", [None, "n1"])
def test_a_cluster_is_removed(
    tmp_path: Path, store: MemoryStore, leader: str | None
) -> None:
    """CTL-26, DCS-10."""
    if leader is not None:
        store.put("leader", leader)

    result = Ctl(tmp_path, store)("remove", "demo", typed="demo\nYes I am aware\nn1\n")

    assert result.exit_code == 0
    assert store.value("config") is None
