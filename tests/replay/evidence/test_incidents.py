"""What counts as an incident, how it is named, and what belongs to it."""

from regnal.replay.evidence.incidents import Incident
from tests.replay.scenes import WALL, Scene


def told(scene: Scene) -> list[tuple[str, str, str]]:
    return [(one.kind, one.weight, one.member) for one in scene.incidents()]


def only(scene: Scene) -> Incident:
    (incident,) = scene.incidents()
    return incident


def lost_host() -> Scene:
    scene = Scene("pg1", "pg2", "pg3").vanish("pg1", 48.0).streams_end(50.0)
    return scene.leads("pg2", 78.0, key_gone=77.9)


def test_a_cluster_in_which_nothing_happens_has_none() -> None:
    assert told(Scene("pg1", "pg2", "pg3")) == []


def test_a_change_of_leader_is_named_by_the_key_of_the_reign_that_ended() -> None:
    """So every member, and every later reading, names it alike."""
    whole, survivors = lost_host(), lost_host().without("pg1")
    assert [one.name for one in whole.incidents()] == ["reign-11"]
    assert [one.name for one in survivors.incidents()] == ["reign-11"]


def test_what_follows_from_an_outage_belongs_to_it() -> None:
    """Lost standbys, a daemon that vanished, a rewind: one incident, not four."""
    scene = lost_host().start("pg1", 85.0).lane("pg1", "postgres", 85.5, "absent")
    scene.mark("pg1", 88.0, "postgres_rewound")
    scene.lane("pg1", "replication", 89.0, "streaming")
    incident = only(scene)
    kinds = {episode.kind for episode in incident.episodes}
    assert kinds == {"replica_lost", "replica_rebuilt", "daemon_interrupted"}
    assert round(incident.began - WALL, 1) == 50.0
    assert round(incident.ended - WALL, 1) == 89.0


def test_a_member_that_comes_back_much_later_is_an_incident_of_its_own() -> None:
    scene = lost_host().start("pg1", 185.0)
    scene.mark("pg1", 188.0, "postgres_rewound")
    assert told(scene) == [
        ("leader_changed", "outage", "pg1"),
        ("replica_rebuilt", "notice", "pg1"),
    ]


def test_a_restart_in_place_is_an_interruption() -> None:
    scene = Scene("pg1", "pg2").exit("pg1", 50.0, signal=9).restarts("pg1", 52.0)
    assert told(scene) == [("primary_interrupted", "outage", "pg1")]


def test_crashes_in_a_row_are_told_apart() -> None:
    scene = Scene("pg1", "pg2")
    for second in (50.0, 51.0, 52.0):
        scene.exit("pg1", second, signal=9).restarts("pg1", second + 0.5)
    assert len(told(scene)) == 3
    assert len({one.name for one in scene.incidents()}) == 3


def test_without_a_successor_the_cluster_is_leaderless() -> None:
    scene = Scene("pg1", "pg2").exit("pg1", 50.0, signal=9).key(None, 51.0)
    assert told(scene) == [("leaderless", "outage", "pg1")]


def test_what_somebody_asked_for_is_a_notice() -> None:
    scene = Scene("pg1", "pg2")
    scene.mark("pg1", 50.0, "election/begin_the_switchover", request={"leader": "pg1"})
    scene.lane("pg1", "postgres", 50.1, "stopping").leads("pg2", 50.4)
    assert told(scene) == [("leader_changed", "notice", "pg1")]


def test_a_key_that_is_deleted_and_taken_again_is_told() -> None:
    scene = Scene("pg1", "pg2").key(None, 50.0).key("pg1", 50.02)
    assert told(scene) == [("leader_key_lost", "degraded", "pg1")]


def test_a_key_that_is_written_anew_by_its_holder_is_the_same_reign() -> None:
    assert told(Scene("pg1", "pg2").key("pg1", 50.0)) == []


def test_an_outage_of_the_dcs_that_all_see_is_one() -> None:
    scene = Scene("pg1", "pg2", "pg3")
    for number, name in enumerate(("pg1", "pg2", "pg3")):
        scene.cut_from_store(name, 50.0 + number, until=58.0)
    assert told(scene) == [("store_outage", "degraded", "pg1")]
    assert only(scene).episodes[0].members == ("pg1", "pg2", "pg3")


def test_a_stream_that_breaks_for_a_blink_is_not_told() -> None:
    scene = Scene("pg1", "pg2").streams_end(50.0)
    assert told(scene.lane("pg2", "replication", 51.0, "streaming")) == []


def test_a_standby_that_stays_away_is_told() -> None:
    scene = Scene("pg1", "pg2").streams_end(50.0)
    scene.lane("pg2", "replication", 60.0, "streaming")
    assert told(scene) == [("replica_lost", "degraded", "pg2")]


def test_a_refused_request_is_told_with_its_answer() -> None:
    scene = Scene("pg1", "pg2")
    scene.mark("pg1", 50.0, "request_answered", status=200, body="fine")
    scene.mark("pg1", 60.0, "request_answered", status=412, body="no such member")
    assert told(scene) == [("request_failed", "notice", "pg1")]
    assert "no such member" in only(scene).episodes[0].text


def test_a_pause_is_told_once_for_all_members() -> None:
    scene = Scene("pg1", "pg2")
    for name in ("pg1", "pg2"):
        scene.lane(name, "paused", 50.0, "paused").lane(
            name, "paused", 70.0, "automatic"
        )
    assert told(scene) == [("paused", "notice", "pg1")]
