"""`restart`, `reload`, `reinit`, `flush`: which members are asked for what."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.regnal.cli.ctl_runs import Ctl, store_with
from tests.servers.fake_member import Asked, FakeMember, fake_members
from tests.servers.memory_store import MemoryStore

Members = dict[str, FakeMember]
SCHEDULED = '{"leader":"n1","member":"n2","scheduled_at":"2030-05-01T02:00:00+00:00"}'
PLANNED = {"schedule": "2030-05-01T02:00:00+00:00"}


@pytest.fixture
def members() -> Iterator[Members]:
    with fake_members("n1", "n2", "n3") as servers:
        for server in servers.values():
            server.answers |= {
                "POST /restart": (200, "restarted successfully"),
                "POST /reload": (202, "reload scheduled"),
                "POST /reinitialize": (200, "reinitialize started"),
                "DELETE /restart": (200, "scheduled restart deleted"),
                "GET /patroni": (200, '{"state":"running"}'),
            }
        yield servers


def asked(members: Members) -> dict[str, list[Asked]]:
    return {name: one.asked for name, one in members.items() if one.asked}


def who(members: Members) -> str:
    return " ".join(asked(members))


@pytest.mark.parametrize("command", ["restart", "reload"])
@pytest.mark.parametrize(
    ("arguments", "standby", "chosen"),
    [
        ([], False, "n1 n2 n3"),
        (["n2", "n3"], False, "n2 n3"),
        (["-r", "leader"], False, "n1"),
        (["-r", "primary"], False, "n1"),
        (["-r", "master"], False, "n1"),
        (["-r", "leader"], True, "n1"),
        (["-r", "standby-leader"], True, "n1"),
        (["-r", "replica"], False, "n2 n3"),
        (["-r", "standby", "n3"], False, "n3"),
        (["-r", "any"], False, "n1 n2 n3"),
    ],
)
def test_members_are_chosen_by_name_and_role(
    tmp_path: Path,
    members: Members,
    command: str,
    arguments: list[str],
    standby: bool,
    chosen: str,
) -> None:
    """CTL-17, CTL-19, P-NAMES-03."""
    config = {"standby_cluster": {"host": "h"}} if standby else {}

    ctl = Ctl(tmp_path, store_with(members, config=config))
    result = ctl(command, "demo", *arguments, "--force")

    assert result.exit_code == 0
    assert who(members) == chosen


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["-r", "standby-leader"], "demo cluster doesn't have any members"),
        (["-r", "replica", "n1"], "No replica among provided members"),
        (["n9"], "No any among provided members"),
    ],
)
def test_nobody_to_restart_is_an_error(
    tmp_path: Path, members: Members, arguments: list[str], error: str
) -> None:
    """CTL-16, P-CTL-20."""
    result = Ctl(tmp_path, store_with(members))("restart", "demo", *arguments)

    assert (result.exit_code, result.stderr) == (1, f"Error: {error}\n")


def test_a_misspelled_member_is_not_passed_over_in_silence(
    tmp_path: Path, members: Members
) -> None:
    result = Ctl(tmp_path, store_with(members))(
        "restart", "demo", "n2", "n9", "--force"
    )

    assert result.stderr == "Warning: n9 is not a member of demo, skipped\n"
    assert who(members) == "n2"


def test_a_restart_asks_when_who_and_for_which_version(
    tmp_path: Path, members: Members
) -> None:
    """CTL-17."""
    ctl = Ctl(tmp_path, store_with(members))

    result = ctl("restart", "demo", "n2", "n3", typed="\ny\n\n")

    assert "When should the restart take place (e.g. 20" in result.stdout
    assert (
        ")  [now]: \nAre you sure you want to restart members n2, n3? [y/N]: y\n"
        "Restart if the PostgreSQL version is less than provided (e.g. 9.5.2)  []: \n"
        "Success: restart on member n2\nSuccess: restart on member n3\n"
    ) in result.stdout
    assert asked(members)["n2"] == [Asked("POST", "/restart", {})]


def test_a_scheduled_restart_is_confirmed_with_its_time(
    tmp_path: Path, members: Members
) -> None:
    """CTL-15, CTL-17."""
    members["n2"].answers["POST /restart"] = (202, "Restart scheduled")
    ctl = Ctl(tmp_path, store_with(members))

    result = ctl(
        "restart", "demo", "n2", "--scheduled", "2030-01-01T10:00Z", typed="y\n15.12\n"
    )

    assert (
        "Are you sure you want to schedule restart of members n2 at "
        "2030-01-01 10:00:00+00:00? [y/N]: y\n"
    ) in result.stdout
    assert result.stdout.endswith("Success: restart scheduled on member n2\n")
    assert asked(members)["n2"][0].body == {
        "postgres_version": "15.12",
        "schedule": "2030-01-01T10:00:00+00:00",
    }


def test_only_what_needs_a_restart_is_restarted_and_asked_about(
    tmp_path: Path, members: Members
) -> None:
    """CTL-17, P-CTL-10."""
    store = store_with(members, n2={"pending_restart": True})

    result = Ctl(tmp_path, store)("restart", "demo", "--pending", typed="\ny\n\n")

    assert "Are you sure you want to restart members n2? [y/N]: y\n" in result.stdout
    assert asked(members) == {
        "n2": [Asked("POST", "/restart", {"restart_pending": True})]
    }


def test_nobody_needs_a_restart(tmp_path: Path, members: Members) -> None:
    result = Ctl(tmp_path, store_with(members))(
        "restart", "demo", "--pending", "--force"
    )

    assert (result.exit_code, who(members)) == (0, "")


def test_who_needs_a_restart_then_is_found_out_then(
    tmp_path: Path, members: Members
) -> None:
    ctl = Ctl(tmp_path, store_with(members))

    result = ctl(
        "restart",
        "demo",
        "--pending",
        "--scheduled=2030-01-01T10:00Z",
        "--pg-version=15.12",
        typed="n\n",
    )

    assert "The nodes needing a restart will be identified at the" in result.stdout
    assert result.stderr == "Error: Aborted scheduled restart\n"


def test_any_restarts_exactly_one(tmp_path: Path, members: Members) -> None:
    """CTL-17."""
    ctl = Ctl(tmp_path, store_with(members))

    result = ctl(
        "restart", "demo", "-r", "replica", "--any", "--force", "--timeout=1min"
    )

    assert who(members) in ("n2", "n3")
    assert result.stdout.count("Success: ") == 1
    (only,) = asked(members).values()
    assert only == [Asked("POST", "/restart", {"timeout": "1min"})]


@pytest.mark.parametrize(
    ("version", "error"),
    [
        ("bogus", "Invalid PostgreSQL version: bogus"),
        ("15", "Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: 15"),
        ("9.6", "Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: 9.6"),
    ],
)
def test_a_version_that_is_none_is_refused(
    tmp_path: Path, members: Members, version: str, error: str
) -> None:
    ctl = Ctl(tmp_path, store_with(members))

    result = ctl("restart", "demo", "--force", "--pg-version", version)

    assert (result.exit_code, result.stderr) == (1, f"Error: {error}\n")
    assert who(members) == ""


def test_force_replaces_an_existing_schedule(tmp_path: Path, members: Members) -> None:
    members["n2"].answers["POST /restart"] = (409, "Another restart is ...")
    store = store_with(members, n2={"scheduled_restart": PLANNED})

    ctl = Ctl(tmp_path, store)
    result = ctl("restart", "demo", "n2", "--scheduled=2030-01-01T10:00Z", "--force")

    assert [one.method for one in asked(members)["n2"]] == ["DELETE", "POST"]
    assert result.stdout.endswith(
        "Failed: another restart is already scheduled on member n2\n"
    )


def test_a_member_that_does_not_answer_does_not_stop_the_others(
    tmp_path: Path, members: Members
) -> None:
    """CTL-08: nor does one without api_url."""
    store = store_with(
        members, n1={"api_url": "http://127.0.0.1:1/patroni"}, n2={"api_url": None}
    )
    members["n3"].answers["POST /restart"] = (503, "restart failed")

    result = Ctl(tmp_path, store)("restart", "demo", "--force")

    assert (
        "Failed: restart for member n1, no answer from http://127.0.0.1:1/restart: "
        "Connection refused\n"
        "Failed: restart for member n2, no answer from n2: it publishes no api_url\n"
        "Failed: restart for member n3, status code=503, (restart failed)\n"
    ) in result.stdout
    assert (result.exit_code, result.stderr) == (1, "Error: No answer from: n1, n2\n")


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (
            202,
            "Reload request received for member n2 and will be processed within 7 seconds",
        ),
        (200, "No changes to apply on member n2"),
        (503, "Failed: reload for member n2, status code=503, (text)"),
    ],
)
def test_a_reload_is_asked_about_and_its_answer_told(
    tmp_path: Path, members: Members, status: int, line: str
) -> None:
    """CTL-19."""
    members["n2"].answers["POST /reload"] = (status, "text")
    ctl = Ctl(tmp_path, store_with(members, config={"loop_wait": 7}))

    result = ctl("reload", "demo", "n2", typed="y\n")

    assert "Are you sure you want to reload members n2? [y/N]: y\n" in result.stdout
    assert result.stdout.endswith(line + "\n")


def test_a_replica_is_reinitialized(tmp_path: Path, members: Members) -> None:
    """CTL-20."""
    result = Ctl(tmp_path, store_with(members))("reinit", "demo", typed="n2\ny\n")

    assert (
        "Which member do you want to reinitialize [n2, n3]? []: n2\n" in result.stdout
    )
    assert result.stdout.endswith("Success: reinitialize for member n2\n")
    assert asked(members)["n2"][0].body == {"force": False, "from_leader": False}


def test_the_clone_can_be_taken_from_the_leader(
    tmp_path: Path, members: Members
) -> None:
    """P-CTL-13."""
    ctl = Ctl(tmp_path, store_with(members))

    ctl("reinit", "demo", "n2", "--force", "--from-leader")

    assert asked(members)["n2"][0].body == {"force": True, "from_leader": True}


@pytest.mark.parametrize(
    ("arguments", "typed", "error"),
    [
        (["n1"], "", "No replica among provided members"),
        ([], "\n", " is not a member of cluster"),
        (["n2"], "n\n", "Aborted reinitialize"),
    ],
)
def test_a_leader_or_nobody_is_not_reinitialized(
    tmp_path: Path, members: Members, arguments: list[str], typed: str, error: str
) -> None:
    result = Ctl(tmp_path, store_with(members))(
        "reinit", "demo", *arguments, typed=typed
    )

    assert (result.exit_code, result.stderr) == (1, f"Error: {error}\n")
    assert who(members) == ""


def test_what_goes_on_is_cancelled_only_if_the_person_says_so(
    tmp_path: Path, members: Members
) -> None:
    """CTL-20."""
    busy = (503, "reinitializing already in progress")
    members["n2"].answers["POST /reinitialize"] = busy
    ctl = Ctl(tmp_path, store_with(members))

    result = ctl("reinit", "demo", "n2", typed="y\ny\n")

    assert (
        "Failed: reinitialize for member n2, status code=503, "
        "(reinitializing already in progress)\n"
        "Do you want to cancel it and reinitialize anyway? [y/N]: y\n"
    ) in result.stdout
    assert [one.body["force"] for one in asked(members)["n2"]] == [False, True]

    members["n2"].asked.clear()
    ctl("reinit", "demo", "n2", typed="y\nn\n")
    assert [one.body["force"] for one in asked(members)["n2"]] == [False]


def test_waiting_ends_when_the_clone_is_finished(
    tmp_path: Path, members: Members
) -> None:
    """CTL-20."""
    ctl = Ctl(tmp_path, store_with(members))

    result = ctl("reinit", "demo", "n2", "n3", "--force", "--wait")

    assert result.stdout.endswith(
        "Waiting for reinitialize to complete on: n2, n3\n"
        "Reinitialize is completed on: n2\n"
        "Waiting for reinitialize to complete on: n3\n"
        "Reinitialize is completed on: n3\n"
    )


def test_scheduled_restarts_are_flushed(tmp_path: Path, members: Members) -> None:
    """CTL-18, SCHED-05."""
    store = store_with(members, n2={"scheduled_restart": PLANNED})

    result = Ctl(tmp_path, store)("flush", "demo", "n2", "n3", "restart", typed="y\n")

    assert "Are you sure you want to flush members n2, n3? [y/N]: y\n" in result.stdout
    assert result.stdout.endswith(
        "Success: flush scheduled restart for member n2\n"
        "No scheduled restart for member n3\n"
    )
    assert asked(members) == {"n2": [Asked("DELETE", "/restart", None)]}


def test_a_scheduled_switchover_is_flushed_by_the_leader(
    tmp_path: Path, members: Members
) -> None:
    """CTL-18, SCHED-05."""
    members["n1"].answers["DELETE /switchover"] = (200, "scheduled switchover deleted")
    store = store_with(members)
    store.put("failover", SCHEDULED)

    result = Ctl(tmp_path, store)("flush", "demo", "switchover")

    assert result.stdout == "Success: scheduled switchover deleted\n"
    assert asked(members) == {"n1": [Asked("DELETE", "/switchover", None)]}


def test_where_no_member_can_flush_the_store_is_written(
    tmp_path: Path, members: Members
) -> None:
    """CTL-18."""
    for server in members.values():
        server.answers["DELETE /switchover"] = (500, "broken")
    store = store_with(members)
    store.put("failover", SCHEDULED)

    result = Ctl(tmp_path, store)("flush", "demo", "switchover")

    assert "Failed: member=n3, status_code=500, (broken)\n" in result.stdout
    assert "Could not find any accessible member of cluster demo\n" in result.stdout
    assert json.loads(store.value("failover") or "") == {}


def test_a_failover_request_is_no_scheduled_switchover(tmp_path: Path) -> None:
    store = MemoryStore({"failover": '{"member":"n2"}'})

    result = Ctl(tmp_path, store)("flush", "demo", "switchover")

    assert (result.exit_code, result.stdout) == (0, "No pending scheduled switchover\n")
    assert store.value("failover") == '{"member":"n2"}'
