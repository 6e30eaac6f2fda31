"""An incident on a real cluster, from its first moment to its acknowledgement."""

import json
import os
import signal
from typing import Any

import pytest
import urllib3

from regnal.demo.cluster import Member
from regnal.journal.places import segments
from tests.servers.members import PATIENCE, Stage, heard, postmaster_pid

pytestmark = pytest.mark.server


def test_a_killed_primary_is_remembered_until_somebody_has_seen_it(
    cluster: Stage,
) -> None:
    # A crash is a failover, and one is enough to bar a member from leading again.
    limit = "incident_policy.crash_loop_limit=1"
    cluster.ctl(
        "edit-config", "--set", "primary_start_timeout=0", "--set", limit, "--force"
    )
    former = cluster.leader()
    cluster.wait("the settings", lambda: is_strict(former))
    os.kill(postmaster_pid(former), signal.SIGKILL)
    leader = cluster.wait_for_another_leader(former)
    cluster.wait_until_complete()

    # Open on every member, under one name, and its segments are kept.
    cluster.wait("an incident on all", lambda: len(open_names(cluster)) == 1)
    (name,) = open_names(cluster)
    assert name.startswith("reign-")
    for member in cluster.members:
        (incident,) = incidents(member, "?open")
        assert (incident["member"], incident["leader"]) == (former.name, leader.name)
        cluster.wait("pins", lambda m=member: keeps(m, name))  # type: ignore[misc]

    # Judged by the leader, without anybody's doing.
    cluster.wait("a verdict", lambda: bool(heard(leader, "incident_judged")))
    (judged,) = heard(leader, "incident_judged")
    assert judged["data"]["cause"] == "postgres_killed"
    (row,) = json.loads(cluster.ctl("incidents", "-f", "json"))
    assert (row["Name"], row["Cause"]) == (name, "postgres_killed")
    assert f"{former.name} must not lead" in row["State"]
    history = json.loads(cluster.ctl("history", "--causes", "-f", "json"))
    assert history[-1]["Cause"] == "postgres_killed"
    assert history[-1]["Outage"] > 0

    # The same, told to whoever asks.
    status, story = ask(leader, f"explain?incident={name}")
    assert (status, story["verdict"]["cause"]) == (200, "postgres_killed")
    assert ask(leader, "explain?incident=reign-0")[0] == 404

    told = cluster.ctl("explain", name, "-f", "json")
    assert json.loads(told)["verdict"]["cause"] == "postgres_killed"

    # A daemon that starts again remembers.
    cluster.cluster.kill_daemon(former)
    cluster.cluster.start(former)
    cluster.wait("its answer", lambda: cluster.cluster.status(former, "health") == 200)
    assert [one["name"] for one in incidents(former, "?open")] == [name]

    # Nobody may make it the leader, until a person has seen it.
    refused = cluster.cluster.ctl(
        "failover", "--candidate", former.name, "--force"
    ).stdout
    assert "no good candidates have been found" in refused
    cluster.ctl("ack", name, "-m", "it was a test")
    assert heard(former, "leadership_allowed")
    for member in cluster.members:
        assert incidents(member, "?open") == []
        (closed,) = [i for i in incidents(member) if i["name"] == name]
        assert closed["comment"] == "it was a test"
        cluster.wait("no pins", lambda m=member: not keeps(m, name))  # type: ignore[misc]
    assert json.loads(cluster.ctl("incidents", "-f", "json")) == []

    # It may lead again; and what somebody asked for needs nobody's acknowledgement.
    cluster.ctl(
        "switchover", "--leader", leader.name, "--candidate", former.name, "--force"
    )
    cluster.wait("the switchover", lambda: cluster.cluster.leader() is former)
    cluster.wait("its record", lambda: changes(cluster) == {"planned"})
    assert open_names(cluster) == {"nothing"}


def is_strict(member: Member) -> bool:
    settings = heard(member, "configuration_applied")[-1]["data"]["settings"]
    return bool(settings["crash_loop_limit"] == 1)


def incidents(member: Member, query: str = "") -> list[dict[str, Any]]:
    status, found = ask(member, f"incidents{query}")
    assert status == 200
    assert isinstance(found, list)
    return found


def ask(member: Member, path: str) -> tuple[int, Any]:
    """Status and document of the member's REST API; the text where it is none."""
    url = f"http://127.0.0.1:{member.rest_port}/{path}"
    answer = urllib3.request("GET", url, retries=False, timeout=PATIENCE)
    text = answer.data.decode()
    return answer.status, json.loads(text) if answer.status == 200 else text


def open_names(cluster: Stage) -> set[str]:
    """Of all members; `nothing` where one of them has none."""
    return {
        one["name"]
        for member in cluster.members
        for one in incidents(member, "?open") or [{"name": "nothing"}]
    }


def changes(cluster: Stage) -> set[str | None]:
    """How the last change of leader came about, as each member knows it."""
    return {incidents(member)[0]["change"] for member in cluster.members}


def keeps(member: Member, name: str) -> bool:
    """Whether the newest segment of its journal is pinned for the incident."""
    pin = segments(member.journal)[-1].pin
    return pin.exists() and name in json.loads(pin.read_text()).get("incidents", [])
