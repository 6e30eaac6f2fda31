"""What a failover lost: measured where both ends are known, and never guessed."""

from typing import Any

from regnal.replay.explaining.look import Look
from regnal.replay.explaining.losses import loss_of, size_text
from regnal.replay.explaining.story import Loss
from tests.replay.scenes import Scene


def lost_host(**settings: Any) -> Scene:
    """pg2 took over at 78; its timeline left the old one at 1000."""
    scene = Scene("pg1", "pg2", **settings).vanish("pg1", 48.0).streams_end(50.0)
    return scene.leads("pg2", 78.0, key_gone=77.9)


def compared(scene: Scene, verdict: str = "diverged", **data: Any) -> Scene:
    """pg1 came back and compared histories."""
    scene.start("pg1", 90.0)
    return scene.mark(
        "pg1",
        92.0,
        "divergence_checked",
        verdict=verdict,
        local_timeline=1,
        switch_lsn=1000,
        **data,
    )


def loss(scene: Scene, cause: str = "host_lost") -> Loss:
    found = loss_of(Look(scene.evidence(), scene.gap()), cause)
    assert found is not None
    return found


def test_the_former_leader_that_came_back_measures_it() -> None:
    found = loss(compared(lost_host(), local_lsn=1500, lost_commits=3))
    assert (found.wal_bytes, found.certainty) == (500, "measured")
    assert (found.transactions, found.acknowledged) == (3, 3)


def test_the_rest_of_a_file_is_nobodys_loss() -> None:
    """Crash recovery ends its file: 16 MiB that hold a checkpoint."""
    found = loss(
        compared(lost_host(), local_lsn=16_000_000, lost_commits=0, lost_wal=0)
    )
    assert (found.wal_bytes, found.transactions) == (0, 0)


def test_in_synchronous_mode_what_it_had_was_not_acknowledged() -> None:
    scene = compared(lost_host(synchronous_mode="on"), local_lsn=1500, lost_commits=3)
    found = loss(scene)
    assert (found.transactions, found.acknowledged) == (3, 0)


def test_a_former_leader_that_can_follow_lost_nothing() -> None:
    found = loss(compared(lost_host(), "can_follow", local_lsn=900))
    assert (found.wal_bytes, found.acknowledged) == (0, 0)


def test_commits_that_were_not_counted_are_not_known() -> None:
    found = loss(compared(lost_host(), local_lsn=1500, lost_commits=None))
    assert (found.wal_bytes, found.transactions, found.acknowledged) == (
        500,
        None,
        None,
    )


def test_before_it_comes_back_only_the_least_is_known() -> None:
    found = loss(lost_host().position("pg1", 45.0, 1700))
    assert (found.wal_bytes, found.certainty) == (700, "at_least")


def test_a_position_before_the_switch_shows_no_loss_and_excludes_none() -> None:
    found = loss(lost_host().position("pg1", 45.0, 900))
    assert (found.wal_bytes, found.certainty) == (None, "unknown")


def test_a_hand_over_loses_nothing() -> None:
    scene = Scene("pg1", "pg2").lane("pg1", "postgres", 50.0, "stopping")
    scene.mark("pg1", 50.2, "leader_handed_over", to="pg2").leads("pg2", 50.3)
    assert loss(scene, "switchover").wal_bytes == 0


def test_who_starts_again_in_place_leaves_nothing_behind() -> None:
    scene = Scene("pg1", "pg2").exit("pg1", 50.0).restarts("pg1", 52.0)
    assert loss_of(Look(scene.evidence(), scene.gap()), "postgres_killed") is None


def test_sizes_are_told_in_units_that_fit() -> None:
    assert [size_text(n) for n in (0, 1023, 1024, 16605632)] == [
        "0 bytes",
        "1023 bytes",
        "1.0 KiB",
        "15.8 MiB",
    ]
