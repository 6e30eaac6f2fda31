"""The causes: each rule of the table, in the situation that it is for.

`test_every_rule_is_tested` fails when a rule comes without one.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from regnal.replay.explaining.cause_rules import CAUSE_RULES, root_cause
from regnal.replay.explaining.causes import CAUSES
from regnal.replay.explaining.judging import judge
from regnal.replay.explaining.look import Look
from tests.replay.scenes import WALL, Scene

MIB = 1024 * 1024
FULL = ({"path": "/data", "free": 4096, "size": 100 * MIB},)
ROOMY = ({"path": "/data", "free": 50 * MIB, "size": 100 * MIB},)

ACCOUNT = {
    "ran": 0.0,
    "over": 34.0,
    "cpus": 4,
    "waited": 0.0,
    "blocked_on_io": None,
    "major_faults": 0,
    "stolen": 0.0,
    "throttled": None,
    "cpu_pressure": 0.0,
    "memory_pressure": 0.0,
    "io_pressure": 0.0,
}


def three(**settings: Any) -> Scene:
    return Scene("pg1", "pg2", "pg3", **settings)


def crashed(**exit_data: Any) -> Scene:
    """Started again in place after two seconds."""
    return three().exit("pg1", 50.0, **exit_data).restarts("pg1", 52.0)


def stall(scene: Scene, at: float, missing: float, **account: Any) -> Scene:
    return scene.mark(
        "pg1",
        at,
        "stall_noticed",
        missing=missing,
        suspended=0.0,
        wall_step=0.0,
        continued=False,
        account={**ACCOUNT, **account},
        mailboxes=[],
    )


def begun(at: float, **request: Any) -> Scene:
    """The leader stops for a request, and pg2 takes over."""
    scene = three().mark(
        "pg1", at, "election/begin_the_switchover", request=request, candidates=[]
    )
    scene.lane("pg1", "postgres", at + 0.1, "stopping")
    scene.lane("pg1", "postgres", at + 0.2, "absent")
    scene.mark("pg1", at + 0.25, "leader_handed_over", to="pg2")
    return scene.leads("pg2", at + 0.3)


def told_to_stop() -> Scene:
    scene = three().mark("pg1", 50.0, "shutdown_requested", signal=15)
    scene.lane("pg1", "postgres", 50.1, "stopping")
    return scene.leads("pg2", 50.5)


def restarted() -> Scene:
    scene = three().mark("pg1", 50.0, "election/restart_this_member")
    scene.lane("pg1", "postgres", 50.1, "stopping")
    return scene.restarts("pg1", 51.0)


def not_startable() -> Scene:
    scene = three().exit("pg1", 50.0, signal=11)
    scene.mark("pg1", 51.0, "intent_failed", intent="start_as_primary", reason=None)
    return scene.leads("pg2", 52.0)


def frozen() -> Scene:
    """Stopped at 50; the guard fences at 72.5; pg2 leads; it goes on at 80."""
    scene = three().streams_end(72.6).leads("pg2", 76.0, key_gone=75.9)
    scene.mark("pg1", 80.0, "guard_fenced", postmaster_pid=1, at=72.5, late_by=0.0)
    scene.exit("pg1", 80.05, signal=3)
    return stall(scene, 80.0, 30.0)


def key_deleted() -> Scene:
    scene = three().key(None, 50.0)
    scene.mark("pg1", 50.2, "lease_refused", action="renew", holder=None)
    scene.steps_down("pg1", 50.3, "LEASE_GONE")
    return scene.leads("pg2", 51.0)


def no_answer(*away: str, slow: bool = False, others: bool = True) -> Scene:
    """No answer for these members from 40 on; pg1 steps down at 65."""
    scene = three()
    for name in away:
        scene.cut_from_store(name, 42.0)
    scene.mark("pg1", 45.0, "lease_unconfirmed", action="renew", error="timed out")
    if slow:
        scene.mark("pg1", 50.0, "slow_renewal", took=9.0)
    scene.steps_down("pg1", 65.0, "LEASE_ENDING")
    if others:
        scene.leads("pg2", 70.5, key_gone=70.0)
    return scene


def down_and_slow_to_come_back() -> Scene:
    """It answers again, late, just after the leader has stepped down."""
    scene = three()
    for name in ("pg1", "pg2", "pg3"):
        scene.cut_from_store(name, 50.0, until=66.0)
    scene.mark("pg1", 55.0, "lease_unconfirmed", action="renew", error="timed out")
    scene.steps_down("pg1", 65.0, "LEASE_ENDING")
    scene.mark("pg1", 66.0, "slow_renewal", took=1.1)
    return scene.restarts("pg1", 70.0)


def slow_once_and_cut_off_later() -> Scene:
    """Renewals were late from 20 to 30, and answered at once from 40 on."""
    scene = three().mark("pg1", 20.0, "slow_renewal", took=3.0)
    for name in ("pg1", "pg2", "pg3"):
        scene.cut_from_store(name, 22.0, until=25.0)
    scene.mark("pg1", 30.0, "lease_unconfirmed", action="renew", error="late")
    scene.mark("pg1", 40.0, "prompt_renewal", took=0.1)
    scene.cut_from_store("pg1", 50.0)
    scene.mark("pg1", 55.0, "lease_unconfirmed", action="renew", error="timed out")
    scene.steps_down("pg1", 65.0, "LEASE_ENDING")
    return scene.leads("pg2", 70.5, key_gone=70.0)


def answers_now_and_then() -> Scene:
    """And too late, to everybody."""
    scene = three()
    for second in (40.0, 50.0):
        scene.mark("pg1", second, "lease_unconfirmed", action="renew", error="late")
        for name in ("pg1", "pg2", "pg3"):
            scene.cut_from_store(name, second, until=second + 5)
    scene.cut_from_store("pg1", 60.0)
    return scene.steps_down("pg1", 65.0, "LEASE_ENDING").leads("pg2", 70.5)


def killed_daemon_fenced_by_guard() -> Scene:
    scene = three().vanish("pg1", 48.0).streams_end(75.1)
    scene.leads("pg2", 78.0, key_gone=77.9).start("pg1", 90.0)
    scene.mark("pg1", 90.5, "guard_fenced", postmaster_pid=1, at=75.0, late_by=0.0)
    return scene.lane("pg1", "postgres", 91.0, "standby")


def lost_host(*, boot: str = "boot", last_reset: str | None = None) -> Scene:
    """Everything on it ends between two heartbeats."""
    scene = three().vanish("pg1", 48.0).streams_end(50.0)
    scene.leads("pg2", 78.0, key_gone=77.9)
    scene.start("pg1", 90.0, boot=boot, last_reset=last_reset)
    return scene.lane("pg1", "postgres", 91.0, "absent")


def daemon_first() -> Scene:
    """PostgreSQL is seen to go on for 20 seconds after the daemon's last word."""
    scene = three().vanish("pg1", 40.0).streams_end(60.0)
    scene.leads("pg2", 78.0, key_gone=77.9).start("pg1", 90.0)
    return scene.lane("pg1", "postgres", 91.0, "absent")


def no_guard() -> Scene:
    """It stops in good order and gives its lease back."""
    scene = three().mark(
        "pg1",
        60.0,
        "demote_postgres",
        mode="graceful",
        reason={"code": "GUARD_FAILED", "parameters": []},
    )
    scene.lane("pg1", "postgres", 60.1, "stopping").streams_end(60.3)
    return scene.lane("pg1", "postgres", 60.4, "absent").leads("pg2", 61.0)


def fenced_for_no_known_reason() -> Scene:
    scene = three().streams_end(72.6).leads("pg2", 76.0, key_gone=75.9)
    scene.mark("pg1", 73.0, "guard_fenced", postmaster_pid=1, at=72.5, late_by=0.0)
    return scene.exit("pg1", 72.6, signal=3)


def copy_of_a_lost_host() -> Scene:
    scene = three().vanish("pg1", 48.0).streams_end(50.0)
    scene.tracks["pg1"].lives[-1].end = "open"
    return scene.leads("pg2", 78.0, key_gone=77.9)


def unseen_switchover() -> Scene:
    request = {"leader": "pg1", "candidate": "pg2", "scheduled_at": None}
    scene = three().key("pg1", 49.0, request).streams_end(50.0)
    scene.key("pg2", 50.2, request).leads("pg2", 50.3)
    return scene.without("pg1")


def unseen_loss() -> Scene:
    scene = three().streams_end(50.0).leads("pg2", 78.0, key_gone=77.9)
    return scene.without("pg1")


def silent_end() -> Scene:
    scene = three().lane("pg1", "postgres", 50.0, "absent")
    return scene.leads("pg2", 55.0)


class Case(NamedTuple):
    rule: str
    scene: Callable[[], Scene]
    code: str
    alternatives: tuple[str, ...] = ()


CASES = [
    Case(
        "somebody_asked_for_it",
        lambda: begun(50.0, leader="pg1", candidate="pg2"),
        "switchover",
    ),
    Case(
        "somebody_asked_for_it",
        lambda: begun(50.0, leader="pg1", scheduled_at="2026-11-28T07:00:00Z"),
        "scheduled_switchover",
    ),
    Case(
        "somebody_asked_for_it",
        lambda: begun(50.0, leader=None, candidate="pg2"),
        "manual_failover",
    ),
    Case("the_daemon_was_told_to_stop", told_to_stop, "leader_shut_down"),
    Case("a_restart_was_asked_for", restarted, "restart_requested"),
    Case("the_disk_was_full", lambda: crashed(exit_status=1, disks=FULL), "disk_full"),
    Case(
        "postgres_could_not_be_started_again",
        not_startable,
        "start_failed_after_crash",
    ),
    Case("postgres_ended", lambda: crashed(signal=9), "postgres_killed"),
    Case(
        "postgres_ended",
        lambda: crashed(signal=9, oom_killed=True),
        "postgres_oom_killed",
    ),
    Case("postgres_ended", lambda: crashed(signal=11), "postgres_crashed"),
    Case(
        "postgres_ended",
        lambda: crashed(exit_status=1, disks=ROOMY),
        "postgres_crashed",
    ),
    Case("postgres_ended", lambda: crashed(signal=2), "postgres_stopped_by_hand"),
    Case("postgres_ended", lambda: crashed(exit_status=0), "postgres_stopped_by_hand"),
    Case(
        "postgres_ended",
        crashed,
        "postgres_crashed",
        ("postgres_killed", "postgres_stopped_by_hand"),
    ),
    Case("the_daemon_was_away", frozen, "daemon_frozen"),
    Case("the_key_was_deleted", key_deleted, "dcs_key_deleted"),
    Case(
        "the_store_did_not_answer",
        lambda: no_answer("pg1"),
        "leader_cut_off_from_dcs",
    ),
    Case(
        "the_store_did_not_answer",
        lambda: no_answer("pg1", "pg2", "pg3", others=False),
        "dcs_down",
    ),
    Case(
        "the_store_did_not_answer",
        lambda: no_answer("pg1", "pg2", "pg3", slow=True, others=False),
        "dcs_slow",
    ),
    Case(
        "the_store_did_not_answer",
        lambda: no_answer("pg1", others=False).without("pg2", "pg3"),
        "dcs_down",
        ("leader_cut_off_from_dcs",),
    ),
    Case("the_store_did_not_answer", answers_now_and_then, "dcs_slow"),
    Case("the_store_did_not_answer", down_and_slow_to_come_back, "dcs_down"),
    Case(
        "the_store_did_not_answer",
        slow_once_and_cut_off_later,
        "leader_cut_off_from_dcs",
    ),
    Case(
        "the_daemon_vanished_and_the_guard_fenced",
        killed_daemon_fenced_by_guard,
        "daemon_killed",
    ),
    Case(
        "the_watchdog_reset_the_host",
        lambda: lost_host(boot="other", last_reset="watchdog"),
        "watchdog",
    ),
    Case("the_host_was_started_anew", lambda: lost_host(boot="other"), "host_lost"),
    Case("everything_ended_together", lost_host, "host_lost"),
    Case("the_daemon_vanished_alone", daemon_first, "daemon_killed"),
    Case("it_could_not_be_fenced", no_guard, "fencing_failed"),
    Case("the_guard_fenced", fenced_for_no_known_reason, "fenced_by_guard"),
    Case(
        "its_journal_ends_there",
        copy_of_a_lost_host,
        "unknown",
        ("host_lost", "daemon_killed", "daemon_frozen"),
    ),
    Case("others_saw_the_request", unseen_switchover, "switchover"),
    Case(
        "its_journal_is_missing",
        unseen_loss,
        "unknown",
        (
            "host_lost",
            "daemon_killed",
            "daemon_frozen",
            "leader_cut_off_from_dcs",
        ),
    ),
    Case("nothing_is_known", silent_end, "unknown"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}: {case.code}")
def test_the_rule_speaks_in_its_situation(case: Case) -> None:
    scene = case.scene()
    rule, finding = root_cause(Look(scene.evidence(), scene.gap()))
    assert (rule, finding.code) == (case.rule, case.code)
    assert finding.alternatives == case.alternatives
    assert bool(finding.missing) == bool(
        case.code in ("unknown", "fenced_by_guard") or case.alternatives
    )


def test_trouble_of_the_store_that_was_over_is_no_sign_of_the_next() -> None:
    assert slow_once_and_cut_off_later().gap().began == WALL + 50.0


def test_a_store_that_answers_late_is_slow_and_not_down() -> None:
    """Nobody stopped to write."""
    scene = three().mark("pg1", 52.0, "slow_renewal", took=3.6)
    for name in ("pg1", "pg2", "pg3"):
        scene.cut_from_store(name, 50.0, until=58.0)
    (incident,) = scene.incidents()
    assert judge(scene.evidence(), incident).cause.code == "dcs_slow"


def test_every_rule_is_tested() -> None:
    assert {case.rule for case in CASES} == {rule.__name__ for rule in CAUSE_RULES}


def test_every_cause_that_a_rule_finds_is_published() -> None:
    assert {case.code for case in CASES} <= set(CAUSES)
