"""Who took writes, from when until when, and how that is known."""

from regnal.replay.evidence.evidence import Evidence
from regnal.replay.evidence.reigns import reigns
from regnal.replay.evidence.writing import Writable, overlaps, writable
from tests.replay.scenes import END, WALL, Scene


def stretches(scene: Scene) -> list[tuple[str, float, float, str]]:
    """Members, and the seconds of the boot clock."""
    return [
        (one.member, round(one.since - WALL, 2), round(one.until - WALL, 2), one.known)
        for one in of(scene.evidence())
    ]


def of(evidence: Evidence) -> tuple[Writable, ...]:
    return writable(evidence, reigns(evidence))


def test_a_primary_that_goes_on_has_no_end() -> None:
    assert stretches(Scene("pg1", "pg2")) == [("pg1", 5.0, END, "open")]


def test_the_daemon_sees_its_postgresql_end() -> None:
    scene = Scene("pg1", "pg2").exit("pg1", 50.0).leads("pg2", 60.0)
    assert stretches(scene) == [
        ("pg1", 5.0, 50.0, "observed"),
        ("pg2", 60.1, END, "open"),
    ]


def test_where_the_daemon_vanished_its_standbys_tell() -> None:
    scene = Scene("pg1", "pg2", "pg3").vanish("pg1", 48.0).streams_end(50.0, "pg3")
    scene.leads("pg2", 78.0, key_gone=77.9)
    assert stretches(scene)[0] == ("pg1", 5.0, 50.0, "standbys")


def test_where_the_guard_fenced_its_record_tells() -> None:
    scene = Scene("pg1", "pg2").vanish("pg1", 48.0).streams_end(76.0)
    scene.leads("pg2", 78.0, key_gone=77.9).start("pg1", 90.0)
    scene.mark("pg1", 90.5, "guard_fenced", postmaster_pid=1, at=75.0, late_by=0.0)
    assert stretches(scene)[0] == ("pg1", 5.0, 75.0, "fenced")


def test_another_fencing_of_the_same_member_does_not_hide_it() -> None:
    """The member leads again later, and is fenced again."""
    scene = Scene("pg1", "pg2").vanish("pg1", 48.0).streams_end(76.0)
    scene.leads("pg2", 78.0, key_gone=77.9).start("pg1", 90.0)
    scene.mark("pg1", 90.5, "guard_fenced", postmaster_pid=1, at=75.0, late_by=0.0)
    scene.mark("pg1", 95.0, "guard_fenced", postmaster_pid=2, at=94.0, late_by=0.0)
    assert stretches(scene)[0] == ("pg1", 5.0, 75.0, "fenced")


def test_a_guard_that_stood_still_with_its_host_proves_no_writes() -> None:
    """A host that a hypervisor stops runs on after somebody else leads: what its guard
    does then is late, and PostgreSQL stood as still as it did."""
    scene = Scene("pg1", "pg2").vanish("pg1", 48.0)
    scene.leads("pg2", 78.0, key_gone=77.9).start("pg1", 95.0)
    scene.mark("pg1", 95.5, "guard_fenced", postmaster_pid=1, at=90.0, late_by=20.0)
    assert stretches(scene)[0] == ("pg1", 5.0, 70.0, "late")
    assert overlaps(of(scene.evidence())) == ()


def test_where_nobody_saw_it_the_last_record_is_all_there_is() -> None:
    """A host that loses its power ends no stream: its standbys wait for long."""
    scene = Scene("pg1", "pg2").vanish("pg1", 48.0)
    scene.leads("pg2", 78.0, key_gone=77.9).streams_end(150.0, "pg1")
    assert stretches(scene)[0] == ("pg1", 5.0, 48.0, "last_record")


def test_a_fencing_before_the_host_was_started_anew_is_told_by_the_wall_clock() -> None:
    """The boot clock began anew since: its 75 seconds are others than the guard's."""
    scene = Scene("pg1", "pg2").vanish("pg1", 48.0).streams_end(76.0)
    scene.leads("pg2", 78.0, key_gone=77.9).start("pg1", 90.0, boot="other")
    life = scene.tracks["pg1"].lives[-1]
    life.began = life.began._replace(at=20.0)
    life.wall_offset = WALL + 70.0
    scene.mark(
        "pg1",
        90.5,
        "guard_fenced",
        postmaster_pid=1,
        at=75.0,
        late_by=0.0,
        wall_us=int((WALL + 75) * 1e6),
    )
    assert stretches(scene)[0] == ("pg1", 5.0, 75.0, "fenced")


def test_a_daemon_that_is_started_beside_a_running_primary_finds_it_running() -> None:
    scene = Scene("pg1", "pg2").vanish("pg1", 48.0).start("pg1", 60.0)
    scene.lane("pg1", "postgres", 60.5, "primary")
    assert stretches(scene) == [("pg1", 5.0, END, "open")]


def test_of_a_member_without_a_journal_the_key_tells() -> None:
    scene = Scene("pg1", "pg2").leads("pg2", 78.0, key_gone=77.9).without("pg1")
    assert stretches(scene)[0] == ("pg1", 5.0, 77.9, "key")


def test_two_members_that_take_writes_at_once_are_told() -> None:
    scene = Scene("pg1", "pg2", "pg3").leads("pg2", 60.0).exit("pg1", 63.0)
    (overlap,) = overlaps(of(scene.exit("pg2", 90.0).evidence()))
    assert overlap.members == ("pg1", "pg2")
    assert round(overlap.until - overlap.since, 2) == 2.9


def test_one_after_the_other_is_no_overlap() -> None:
    scene = Scene("pg1", "pg2").exit("pg1", 50.0).leads("pg2", 50.0)
    assert overlaps(of(scene.exit("pg2", 90.0).evidence())) == ()
