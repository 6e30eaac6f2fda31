"""What kept others from taking over, and when that decided how it went."""

from typing import Any

from regnal.replay.evidence.incidents import Incident
from regnal.replay.explaining.advice import Told, advice
from regnal.replay.explaining.hindrances import hindrances
from regnal.replay.explaining.judging import Judgement, judge
from regnal.replay.explaining.look import Look
from regnal.replay.explaining.outage import phases_of
from tests.replay.scenes import SETTINGS, Scene

NOFAILOVER = {
    "code": "CANDIDATE_NOFAILOVER",
    "parameters": [{"name": "member", "value": "pg2"}],
}
LAG = {
    "code": "CANDIDATE_LAG",
    "parameters": [
        {"name": "member", "value": "pg3"},
        {"name": "lag", "value": 9000},
        {"name": "limit", "value": 1000},
    ],
}


def judged(scene: Scene) -> tuple[Incident, Judgement]:
    evidence = scene.evidence()
    (incident,) = scene.incidents()
    return incident, judge(evidence, incident)


def settings_advised(scene: Scene, root: str, **settings: Any) -> dict[str, str]:
    look = Look(scene.evidence(), scene.gap())
    told = Told(
        look=look,
        root=root,
        hindrances=hindrances(look),
        phases=phases_of(look),
        loss=None,
        settings={**SETTINGS, **settings},
    )
    return {one.setting: one.try_ for one in advice(told)}


def lost(**settings: Any) -> Scene:
    scene = Scene("pg1", "pg2", "pg3", **settings)
    return scene.vanish("pg1", 48.0).streams_end(50.0).key(None, 77.9)


def race(scene: Scene, *candidates: dict[str, Any]) -> Scene:
    return scene.mark(
        "pg2",
        78.0,
        "election/leave_the_race_to_a_better_one",
        candidates=[
            {"member": f"pg{i}", "verdict": c} for i, c in enumerate(candidates, 2)
        ],
    )


def test_where_nobody_may_lead_that_is_the_cause() -> None:
    scene = race(lost(), NOFAILOVER, LAG).start("pg1", 190.0)
    scene.lane("pg1", "postgres", 191.0, "absent")
    _, judgement = judged(scene)
    assert (judgement.cause.code, judgement.root.code) == (
        "no_eligible_candidate",
        "host_lost",
    )
    advised = settings_advised(scene, "host_lost")
    assert advised["maximum_lag_on_failover"] == "9000"
    assert any(name.startswith("tags.nofailover") for name in advised)


def test_each_that_stays_out_says_why_for_itself() -> None:
    """Members that must not lead judge nobody but themselves."""
    scene = lost()
    for name in ("pg2", "pg3"):
        own = {"member": name, "verdict": NOFAILOVER}
        scene.mark(name, 78.0, "election/stay_out_of_the_race", candidates=[own])
    _, judgement = judged(scene)
    assert judgement.cause.code == "no_eligible_candidate"
    told = [one["member"] for one in judgement.cause.facts["candidates"]]
    assert told == ["pg2", "pg3"]


def test_what_was_mended_late_is_the_cause_of_most_of_the_outage() -> None:
    scene = race(lost(), NOFAILOVER, NOFAILOVER)
    own = {"member": "pg2", "verdict": NOFAILOVER}
    scene.mark("pg2", 140.0, "election/stay_out_of_the_race", candidates=[own])
    best = {"code": "BEST", "parameters": []}
    scene.mark(
        "pg2",
        150.0,
        "election/acquire_as_the_best_candidate",
        candidates=[{"member": "pg2", "verdict": best}],
    )
    _, judgement = judged(scene.leads("pg2", 150.1))
    assert judgement.cause.code == "no_eligible_candidate"


def test_a_race_that_somebody_wins_hinders_nobody() -> None:
    best = {"code": "BEST", "parameters": []}
    scene = race(lost(), best, LAG).leads("pg2", 79.0)
    assert hindrances(Look(scene.evidence(), scene.gap())) == ()


def test_a_failed_promotion_is_told_beside_the_cause() -> None:
    reason = {"code": "PROMOTION_TIMEOUT", "parameters": []}
    scene = lost().mark(
        "pg3", 79.0, "intent_failed", intent="become_primary", reason=reason
    )
    scene.leads("pg2", 85.0).start("pg1", 190.0)
    scene.lane("pg1", "postgres", 191.0, "absent")
    incident, judgement = judged(scene)
    assert incident.successor == "pg2"
    assert judgement.cause.code == "host_lost"
    assert [one.code for one in judgement.hindrances] == ["promotion_failed"]


def test_a_hook_that_refuses_is_the_cause_where_nobody_else_can() -> None:
    reason = {"code": "PRE_PROMOTE_REFUSED", "parameters": []}
    scene = lost().mark(
        "pg2", 79.0, "intent_failed", intent="become_primary", reason=reason
    )
    _, judgement = judged(scene)
    assert judgement.cause.code == "pre_promote_refused"


def test_policy_is_the_cause_where_it_kept_others_from_leading() -> None:
    held = lost().mark("pg2", 78.0, "election/hold_the_failover_after_a_recent_one")
    _, judgement = judged(held)
    assert judgement.cause.code == "failover_held"
    assert judgement.cause.facts["member"] == "pg2"


def test_a_crash_loop_that_another_ends_is_told_beside_the_cause() -> None:
    scene = Scene("pg1", "pg2").exit("pg1", 50.0, signal=9)
    scene.mark("pg1", 50.1, "election/give_the_lease_up_after_too_many_crashes")
    scene.leads("pg2", 50.5)
    _, judgement = judged_outage(scene)
    assert judgement.cause.code == "postgres_killed"
    assert [one.code for one in judgement.hindrances] == ["crash_loop"]


def test_a_pause_is_the_cause_also_if_somebody_took_over_after_it() -> None:
    scene = Scene("pg1", "pg2")
    for name in ("pg1", "pg2"):
        scene.lane(name, "paused", 40.0, "paused")
    scene.exit("pg1", 50.0, signal=9)
    for name in ("pg1", "pg2"):
        scene.lane(name, "paused", 90.0, "automatic")
    scene.leads("pg2", 92.0)
    _, judgement = judged_outage(scene)
    assert (judgement.cause.code, judgement.root.code) == ("paused", "postgres_killed")
    assert settings_advised(scene, "postgres_killed")["pause"] == "false"


def judged_outage(scene: Scene) -> tuple[Incident, Judgement]:
    outage = next(one for one in scene.incidents() if one.gap is not None)
    return outage, judge(scene.evidence(), outage)


def test_a_restart_in_place_that_is_quick_is_nobodys_hindrance() -> None:
    scene = Scene("pg1", "pg2").exit("pg1", 50.0, signal=9).restarts("pg1", 51.0)
    scene.mark("pg2", 50.5, "election/stay_out_of_the_race", candidates=[])
    _, judgement = judged(scene)
    assert judgement.cause is judgement.root


def test_advice_for_a_lost_host_is_a_shorter_lease_and_its_price() -> None:
    scene = lost().leads("pg2", 78.0)
    assert settings_advised(scene, "host_lost")["ttl"] == "20"
    assert "ttl" not in settings_advised(scene, "host_lost", ttl=20.0)


def test_advice_for_a_lost_host_whose_ttl_is_the_least_is_a_lease_of_its_own() -> None:
    scene = lost().leads("pg2", 78.0)
    quick = {"ttl": 20.0, "loop_wait": 2.0, "retry_timeout": 5.0}
    advised = settings_advised(scene, "host_lost", **quick, watchdog_mode="off")
    assert advised["fencing.lease"] == "8"
    watched = quick | {"watchdog_mode": "automatic", "watchdog_safety_margin": 5}
    assert settings_advised(scene, "host_lost", **watched)["fencing.lease"] == "13"
    least = watched | {"ttl": 14.0}
    assert "fencing.lease" not in settings_advised(scene, "host_lost", **least)


def test_advice_for_a_slow_restart_is_to_fail_over() -> None:
    slow = Scene("pg1", "pg2").exit("pg1", 50.0, signal=9).restarts("pg1", 70.0)
    assert settings_advised(slow, "postgres_killed")["primary_start_timeout"] == "0"
    quick = Scene("pg1", "pg2").exit("pg1", 50.0, signal=9).restarts("pg1", 51.0)
    assert settings_advised(quick, "postgres_killed") == {}


def test_advice_for_a_lost_dcs_is_failsafe_mode() -> None:
    scene = Scene("pg1", "pg2").steps_down("pg1", 50.0, "LEASE_ENDING")
    scene.lane("pg1", "postgres", 50.2, "absent").restarts("pg1", 60.0)
    assert settings_advised(scene, "dcs_down") == {"failsafe_mode": "true"}
    assert settings_advised(scene, "dcs_down", failsafe_mode=True) == {}
