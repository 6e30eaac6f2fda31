"""`switchover` and `failover`: questions, requests, answers, and the way round a dead API."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.regnal.cli.ctl_runs import Ctl, store_with
from tests.servers.fake_member import Asked, FakeMember, fake_members
from tests.servers.memory_store import MemoryStore

Members = dict[str, FakeMember]
UNPARSABLE = (
    "Unable to parse scheduled timestamp (bogus). "
    "It should be in an unambiguous format (e.g. ISO 8601)"
)
DONE = (200, 'Successfully switched over to "n2"')
UNREACHABLE = "http://127.0.0.1:1/patroni"


@pytest.fixture
def members() -> Iterator[Members]:
    with fake_members("n1", "n2", "n3") as servers:
        servers["n1"].answers["POST /switchover"] = DONE
        servers["n1"].answers["POST /failover"] = (
            200,
            'Successfully failed over to "n2"',
        )
        yield servers


def sync_of(*standbys: str) -> str:
    return json.dumps({"leader": "n1", "sync_standby": ",".join(standbys), "quorum": 0})


def posted(member: FakeMember) -> list[Asked]:
    return [one for one in member.asked if one.method == "POST"]


def test_a_forced_switchover_asks_nothing(tmp_path: Path, members: Members) -> None:
    """CTL-11, CTL-03: the cluster is that of the configuration."""
    result = Ctl(tmp_path, store_with(members))("switchover", "--force")

    assert result.exit_code == 0
    assert result.stdout.startswith("Current cluster topology\n+ Cluster: demo ")
    assert 'Successfully switched over to "n2"\n+ Cluster: demo ' in result.stdout
    assert posted(members["n1"]) == [Asked("POST", "/switchover", {"leader": "n1"})]


def test_a_switchover_asks_for_what_is_not_said(
    tmp_path: Path, members: Members
) -> None:
    """CTL-11, CTL-13: the leader is no candidate, nor is who is tagged nofailover."""
    store = store_with(members, n3={"tags": {"nofailover": True}})

    result = Ctl(tmp_path, store)("switchover", typed="\nn2\n\ny\n")

    assert "Primary [n1]: \nCandidate ['n2'] []: n2\nWhen should the" in result.stdout
    assert (
        " )  [now]: \nAre you sure you want to switchover cluster demo, "
        in result.stdout
    )
    assert "demoting current leader n1? [y/N]: y\n" in result.stdout
    assert posted(members["n1"])[0].body == {"leader": "n1", "candidate": "n2"}


@pytest.mark.parametrize(
    ("arguments", "typed", "error"),
    [
        (["--leader", "n2"], "", "Member n2 is not the leader of cluster demo"),
        (["--primary", "n2"], "", "Member n2 is not the leader of cluster demo"),
        (["--master", "n2"], "", "Member n2 is not the leader of cluster demo"),
        (
            ["--candidate", "n1", "--force"],
            "",
            "Member n1 is already the leader of cluster demo",
        ),
        (
            ["--candidate", "n9", "--force"],
            "",
            "Member n9 does not exist in cluster demo or is tagged as nofailover",
        ),
        (
            ["--scheduled", "bogus", "--force"],
            "",
            UNPARSABLE,
        ),
        ([], "n1\nn2\nnow\nn\n", "Aborting switchover"),
        ([], "n1\nn2\n2030-01-01T10:00Z\nn\n", "Aborting scheduled switchover"),
    ],
)
def test_a_wrong_switchover_is_refused_before_anybody_is_asked(
    tmp_path: Path, members: Members, arguments: list[str], typed: str, error: str
) -> None:
    """CTL-11, P-NAMES-03."""
    result = Ctl(tmp_path, store_with(members))("switchover", *arguments, typed=typed)

    assert (result.exit_code, result.stderr) == (1, f"Error: {error}\n")
    assert posted(members["n1"]) == []


def test_an_interrupted_dialogue_is_an_abort(tmp_path: Path, members: Members) -> None:
    result = Ctl(tmp_path, store_with(members))("switchover", typed="")

    assert (result.exit_code, result.stderr) == (1, "Aborted!\n")
    assert posted(members["n1"]) == []


def test_a_scheduled_switchover_names_the_time(
    tmp_path: Path, members: Members
) -> None:
    """CTL-15, SCHED-01."""
    members["n1"].answers["POST /switchover"] = (202, "Switchover scheduled")
    ctl = Ctl(tmp_path, store_with(members))

    result = ctl(
        "switchover",
        "--leader=n1",
        "--candidate=n2",
        "--scheduled=2030-01-01T10:00+03:00",
        typed="y\n",
    )

    assert (
        "Are you sure you want to schedule switchover of cluster demo at "
        "2030-01-01T10:00:00+03:00, demoting current leader n1? [y/N]: y\n"
    ) in result.stdout
    assert "Switchover scheduled\n" in result.stdout
    assert posted(members["n1"])[0].body == {
        "leader": "n1",
        "candidate": "n2",
        "scheduled_at": "2030-01-01T10:00:00+03:00",
    }


def test_nothing_is_scheduled_in_pause(tmp_path: Path, members: Members) -> None:
    ctl = Ctl(tmp_path, store_with(members, config={"pause": True}))

    result = ctl("switchover", "--force", "--scheduled", "2030-01-01T10:00")

    assert result.stderr == "Error: Can't schedule switchover in the paused state\n"
    assert " Maintenance mode: on\n" in result.stdout


def test_a_cluster_without_leader_has_no_switchover(
    tmp_path: Path, members: Members
) -> None:
    """CTL-11."""
    result = Ctl(tmp_path, store_with(members, leader=None))("switchover", "--force")

    assert (result.exit_code, result.stderr) == (
        1,
        "Error: This cluster has no leader\n",
    )


def test_a_cluster_without_members_has_no_candidate(tmp_path: Path) -> None:
    """CTL-16."""
    result = Ctl(tmp_path, MemoryStore({}))("failover", typed="n2\n")

    assert result.stderr == "Error: No candidates found to failover to\n"


def test_old_daemons_are_asked_for_a_failover(tmp_path: Path, members: Members) -> None:
    """CTL-11."""
    members["n1"].answers["POST /switchover"] = (501, "Unsupported method")

    result = Ctl(tmp_path, store_with(members))("switchover", "--force")

    assert [one.path for one in posted(members["n1"])] == ["/switchover", "/failover"]
    assert 'Successfully failed over to "n2"' in result.stdout


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ((412, "no good"), "Switchover failed, details: 412, no good\n"),
        (
            (503, "Switchover status unknown"),
            "Switchover result unknown, details: 503, Switchover status unknown\n",
        ),
    ],
)
def test_a_refusal_is_told_and_ends_with_0(
    tmp_path: Path, members: Members, answer: tuple[int, str], line: str
) -> None:
    """P-CTL-15."""
    members["n1"].answers["POST /switchover"] = answer

    result = Ctl(tmp_path, store_with(members))("switchover", "--force")

    assert result.exit_code == 0
    assert result.stdout.endswith(line)


def test_a_failover_needs_a_candidate(tmp_path: Path, members: Members) -> None:
    """CTL-12."""
    result = Ctl(tmp_path, store_with(members))("failover", "--force")

    assert result.exit_code == 1
    assert result.stderr == (
        "Error: Failover could be performed only to a specific candidate\n"
    )


def test_a_failover_offers_everybody_but_the_leader(
    tmp_path: Path, members: Members
) -> None:
    """CTL-12, P-CTL-17."""
    result = Ctl(tmp_path, store_with(members))("failover", typed="n3\ny\n")

    assert "\nCandidate ['n2', 'n3'] []: n3\nAre you sure" in result.stdout
    assert posted(members["n1"]) == [Asked("POST", "/failover", {"candidate": "n3"})]


def test_without_leader_the_candidate_itself_is_asked(
    tmp_path: Path, members: Members
) -> None:
    """CTL-12."""
    members["n2"].answers["POST /failover"] = (200, "ok")
    ctl = Ctl(tmp_path, store_with(members, leader=None))

    result = ctl("failover", "--candidate", "n2", typed="y\n")

    assert "Are you sure you want to failover cluster demo? [y/N]: y\n" in result.stdout
    assert posted(members["n2"]) == [Asked("POST", "/failover", {"candidate": "n2"})]


ASYNCHRONOUS = "Are you sure you want to failover to the asynchronous node n3? [y/N]: "


@pytest.mark.parametrize(
    ("mode", "sync", "is_asked"),
    [
        (True, sync_of("n2"), True),
        ("quorum", sync_of("n2"), True),
        (True, sync_of("N3"), False),
        (False, sync_of("n2"), False),
        (True, '{"leader":null}', False),
    ],
)
def test_a_failover_to_an_asynchronous_member_is_asked_about(
    tmp_path: Path, members: Members, mode: object, sync: str, is_asked: bool
) -> None:
    """P-CTL-14: exactly if the candidate is not in a sync key that names somebody."""
    store = store_with(members, config={"synchronous_mode": mode})
    store.put("sync", sync)

    result = Ctl(tmp_path, store)("failover", "--candidate", "n3", typed="y\ny\n")

    assert (ASYNCHRONOUS in result.stdout) == is_asked
    assert result.exit_code == 0


def test_a_failover_from_a_named_leader_is_a_switchover(
    tmp_path: Path, members: Members
) -> None:
    ctl = Ctl(tmp_path, store_with(members))

    result = ctl("failover", "--master", "n1", "--candidate", "n2", "--force")

    assert "switchover" in result.stderr
    assert [one.path for one in posted(members["n1"])] == ["/switchover"]


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        (["switchover", "--candidate=n2"], {"leader": "n1", "member": "n2"}),
        (["switchover"], {"leader": "n1"}),
        (
            ["switchover", "--scheduled=2030-01-01T10:00+03:00"],
            {"leader": "n1", "scheduled_at": "2030-01-01T10:00:00+03:00"},
        ),
        (["failover", "--candidate=n3"], {"member": "n3"}),
    ],
)
def test_where_no_api_answers_the_store_is_written(
    tmp_path: Path, members: Members, arguments: list[str], written: dict[str, str]
) -> None:
    """CTL-14."""
    store = store_with(members, n1={"api_url": UNREACHABLE})

    result = Ctl(tmp_path, store)(*arguments, "--force")

    line = f"Could not {arguments[0]} using Patroni api, falling back to DCS\n"
    assert line in result.stdout
    assert "Connection refused" in result.stderr
    assert json.loads(store.value("failover") or "") == written
    assert result.exit_code == 0


def test_a_request_of_somebody_else_is_not_overwritten(
    tmp_path: Path, members: Members
) -> None:
    """CTL-14: what was written since we looked stays."""
    store = store_with(members, n1={"api_url": UNREACHABLE})
    store.put("failover", '{"member":"n2"}')
    store.meanwhile = lambda: store.put("failover", '{"member":"n3"}')

    result = Ctl(tmp_path, store)("failover", "--candidate", "n2", "--force")

    assert result.exit_code == 1
    assert "changed meanwhile" in result.stderr
    assert store.value("failover") == '{"member":"n3"}'
