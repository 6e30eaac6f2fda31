"""`incidents`, `ack`, and `history --causes`, beside members that answer as the daemons do."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from regnal.cli.ctl_incidents import local_time
from tests.regnal.cli.ctl_runs import Ctl, store_with
from tests.servers.fake_member import Asked, FakeMember, fake_members
from tests.servers.memory_store import MemoryStore

NOT_A_LIST = (503, '{"state": "running"}')
"""What a member of the peer product answers to a path that it does not know."""


def told(name: str = "reign-10", **fields: Any) -> dict[str, Any]:
    """The end of n1's reign, as a member tells it."""
    return {
        "name": name,
        "what": "reign_ended",
        "weight": "outage",
        "state": "open",
        "open": True,
        "member": "n1",
        "leader": "n2",
        "change": "automatic",
        "began": "2026-11-28T07:31:02.500000+00:00",
        "settled": "2026-11-28T07:31:30.000000+00:00",
        "text": "n2 holds the leader key, which n1 had",
        "includes": [],
        "acknowledged": None,
        "acknowledged_by": None,
        "comment": None,
        "cause": None,
        "root": None,
        "sentence": None,
        "outage": None,
        "author": None,
        "holds_failover_until": None,
        "bars_leadership": None,
        **fields,
    }


JUDGED: dict[str, Any] = {
    "cause": "postgres_killed",
    "root": "postgres_killed",
    "sentence": "Somebody killed PostgreSQL of n1",
    "outage": 0.514,
}


@pytest.fixture
def members() -> Iterator[dict[str, FakeMember]]:
    with fake_members("n1", "n2", "n3") as servers:
        yield servers


@pytest.fixture
def ctl(tmp_path: Path, members: dict[str, FakeMember]) -> Ctl:
    store = store_with(members, leader="n2")
    return Ctl(tmp_path, store)


def tell(member: FakeMember, *incidents: dict[str, Any]) -> None:
    member.answers["GET /incidents"] = (200, json.dumps(list(incidents)))


def tell_all(members: dict[str, FakeMember], *incidents: dict[str, Any]) -> None:
    for member in members.values():
        tell(member, *incidents)


def test_an_incident_is_listed_once(ctl: Ctl, members: dict[str, FakeMember]) -> None:
    tell_all(members, told())
    tell(members["n2"], told(**JUDGED))  # the leader had it explained
    result = ctl("incidents")
    assert result.exit_code == 0
    assert result.stderr == ""
    when = local_time("2026-11-28T07:31:02.500000+00:00")
    border, heading, _, row, _ = result.stdout.splitlines()
    assert border.startswith("+ Incidents: demo ---")
    assert cells(heading) == [
        "Name",
        "When",
        "What",
        "Cause",
        "Leader",
        "NoWrites",
        "State",
    ]
    assert cells(row) == [
        "reign-10",
        when.replace(" ", ""),
        "failover",
        "postgres_killed",
        "n1→n2",
        "0.51s",
        "open",
    ]


def cells(line: str) -> list[str]:
    """Of a table's row, without blanks."""
    return [cell.replace(" ", "") for cell in line.strip("|").split("|")]


def test_programs_get_it_without_rounding(
    ctl: Ctl, members: dict[str, FakeMember]
) -> None:
    tell_all(members, told(**JUDGED))
    (row,) = json.loads(ctl("incidents", "-f", "json").stdout)
    assert row["No Writes"] == 0.514
    assert row["When"] == "2026-11-28T07:31:02.500000+00:00"
    assert yaml.safe_load(ctl("incidents", "-f", "yaml").stdout) == [row]
    assert ctl("incidents", "-f", "tsv").stdout.splitlines()[1].split("\t")[0] == (
        "reign-10"
    )


def test_closed_ones_are_shown_when_asked_for(
    ctl: Ctl, members: dict[str, FakeMember]
) -> None:
    closed = told(open=False, acknowledged_by="ann")
    planned = told("reign-4", weight="notice", open=False, change="planned")
    tell_all(members, closed, planned)
    assert "reign" not in ctl("incidents").stdout
    rows = json.loads(ctl("incidents", "--all", "-f", "json").stdout)
    assert [(r["What"], r["State"]) for r in rows] == [
        ("failover", "acknowledged by ann"),
        ("planned change of leader", "settled"),
    ]


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, "open"),
        ({"settled": None}, "going on, open"),
        ({"bars_leadership": "too often"}, "open, n1 must not lead"),
    ],
)
def test_the_state_says_what_is_to_be_known(
    ctl: Ctl, members: dict[str, FakeMember], fields: dict[str, Any], state: str
) -> None:
    tell_all(members)
    tell(members["n1"], told(**fields))
    (row,) = json.loads(ctl("incidents", "-f", "json").stdout)
    assert row["State"] == state


def test_an_incident_that_one_member_has_not_heard_the_end_of_is_open_there(
    ctl: Ctl, members: dict[str, FakeMember]
) -> None:
    tell_all(members, told(open=False, acknowledged_by="ann"))
    tell(members["n3"], told())
    (row,) = json.loads(ctl("incidents", "-f", "json").stdout)
    assert row["State"] == "open on n3, acknowledged by ann"


def test_whom_it_befell_says_what_it_was(
    ctl: Ctl, members: dict[str, FakeMember]
) -> None:
    """It alone knows that its daemon was told to stop."""
    tell_all(members, told())
    tell(members["n1"], told(weight="notice", open=False, change="planned"))
    assert json.loads(ctl("incidents", "-f", "json").stdout) == []


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("primary_interrupted", "PostgreSQL of n1 ended as primary"),
        ("store_outage", "n1 had no DCS"),
        ("comet", "comet"),
    ],
)
def test_other_incidents_say_whom_they_befell(
    ctl: Ctl, members: dict[str, FakeMember], what: str, text: str
) -> None:
    tell_all(members, told(what=what))
    (row,) = json.loads(ctl("incidents", "-f", "json").stdout)
    assert (row["What"], row["Leader"]) == (text, "n2")


def test_members_that_tell_nothing_are_named(
    ctl: Ctl, members: dict[str, FakeMember]
) -> None:
    tell_all(members, told())
    members["n1"].answers["GET /incidents"] = NOT_A_LIST
    members["n3"].close()
    result = ctl("incidents")
    assert result.exit_code == 0
    assert "reign-10" in result.stdout
    assert "no incidents of n1: it keeps no incidents" in result.stderr
    assert "no incidents of n3: no answer from" in result.stderr


def test_where_nobody_tells_anything_that_is_an_error(
    ctl: Ctl, members: dict[str, FakeMember]
) -> None:
    for member in members.values():
        member.answers["GET /incidents"] = NOT_A_LIST
    result = ctl("incidents")
    assert result.exit_code == 1
    assert "no member told its incidents" in result.stderr


# Acknowledging.


def hear(member: FakeMember, *acknowledged: str, unknown: tuple[str, ...] = ()) -> None:
    body = {"acknowledged": list(acknowledged), "unknown": list(unknown)}
    status = 200 if acknowledged or not unknown else 404
    member.answers["POST /incidents"] = (status, json.dumps(body))


def test_every_member_is_told(ctl: Ctl, members: dict[str, FakeMember]) -> None:
    for name in ("n1", "n2"):
        hear(members[name], "reign-10")
    hear(members["n3"], unknown=("reign-10",))  # it joined later
    result = ctl("ack", "reign-10", "-m", "power cut")
    assert result.stdout == "Success: reign-10 is acknowledged on n1, n2\n"
    assert result.exit_code == 0
    body = {"acknowledge": ["reign-10"], "comment": "power cut"}
    for member in members.values():
        assert member.asked == [Asked("POST", "/incidents", body)]


def test_all_at_once(ctl: Ctl, members: dict[str, FakeMember]) -> None:
    for member in members.values():
        hear(member)
    result = ctl("ack", "--all", "--cluster", "demo")
    assert result.stdout == "Nothing to acknowledge\n"
    assert members["n1"].asked == [Asked("POST", "/incidents", {"acknowledge": "all"})]


def test_a_name_that_nobody_knows_is_told(
    ctl: Ctl, members: dict[str, FakeMember]
) -> None:
    for member in members.values():
        hear(member, "reign-10", unknown=("x",))
    assert ctl("ack", "reign-10", "x").stdout.splitlines() == [
        "Success: reign-10 is acknowledged on n1, n2, n3",
        "Failed: no member knows an incident x",
    ]


def test_members_that_have_not_heard_are_named(
    ctl: Ctl, members: dict[str, FakeMember]
) -> None:
    hear(members["n1"], "reign-10")
    members["n2"].answers["POST /incidents"] = (401, "no auth header received")
    members["n3"].close()
    result = ctl("ack", "reign-10")
    assert result.exit_code == 1
    success = "Success: reign-10 is acknowledged on n1"
    assert success in result.stdout
    assert "member n2, status code=401, (no auth header received)" in result.stdout
    assert "Failed: acknowledge for member n3" in result.stdout
    assert "No answer from: n3" in result.stderr


@pytest.mark.parametrize("arguments", [(), ("reign-10", "--all")])
def test_names_or_all(ctl: Ctl, arguments: tuple[str, ...]) -> None:
    assert ctl("ack", *arguments).exit_code == 2


# The history.

HISTORY = json.dumps(
    [
        [1, 100, "no recovery target specified", "2026-11-28T07:31:05+00:00", "n2"],
        [2, 200, "no recovery target specified", "2026-11-28T09:00:00+00:00", "n3"],
        [3, 300, "no recovery target specified", "2026-11-29T07:31:05+00:00", "n2"],
        [4, 400, "no recovery target specified"],
    ]
)


@pytest.fixture
def with_history(tmp_path: Path, members: dict[str, FakeMember]) -> Ctl:
    store: MemoryStore = store_with(members, leader="n2")
    store.put("history", HISTORY)
    return Ctl(tmp_path, store)


def test_the_history_says_why_by_whom_and_for_how_long(
    with_history: Ctl, members: dict[str, FakeMember]
) -> None:
    asked_for = told(
        "reign-33",
        member="n2",
        leader="n3",
        began="2026-11-28T08:59:59+00:00",
        settled="2026-11-28T09:00:10+00:00",
        cause="switchover",
        author="ann",
        outage=0.3,
    )
    tell_all(members, asked_for, told(**JUDGED))
    rows = json.loads(with_history("history", "--causes", "-f", "json").stdout)
    assert [(r.get("Cause"), r.get("By"), r.get("Outage")) for r in rows] == [
        ("postgres_killed", None, 0.514),
        ("switchover", "ann", 0.3),
        (None, None, None),  # another day's
        (None, None, None),
    ]
    pretty = with_history("history", "--causes").stdout
    assert "| switchover      | ann | 0.30 s |" in pretty
    assert "| postgres_killed |     | 0.51 s |" in pretty


def test_without_the_option_nobody_is_asked(
    with_history: Ctl, members: dict[str, FakeMember]
) -> None:
    assert "Cause" not in with_history("history").stdout
    assert members["n1"].asked == []
