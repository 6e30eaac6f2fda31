"""Campaigns: faults drawn by chance from a seed, and lived in episodes."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from regnal.replay.simulation.campaign import (
    MOST_FAULTS,
    QUIET,
    Cluster,
    Episode,
    draw,
    lives,
    play,
)
from regnal.replay.simulation.faults import KINDS, Fault, last_end, parse_fault
from regnal.replay.simulation.life import BEGINNING, Life, Lived, Outage
from regnal.replay.simulation.minimise import minimise
from regnal.replay.simulation.profiles import PROFILES, ZONES
from regnal.replay.simulation.report import Report, quantile, report_text

NAMES = ("a", "b", "c")
CLUSTER = Cluster(NAMES, {})
WELL = Lived(
    broken="",
    why="",
    outages=(),
    stranded=(),
    played=60.0,
    acknowledged=10,
    lost=0,
)


@settings(max_examples=20)
@given(st.sampled_from(sorted(PROFILES)), st.integers(0, 10_000))
def test_the_same_seed_draws_the_same_faults_and_all_have_a_text(
    name: str, seed: int
) -> None:
    hours = 60 / PROFILES[name].per_hour
    faults = draw(PROFILES[name], hours, NAMES, seed)
    assert faults == draw(PROFILES[name], hours, NAMES, seed)
    assert all(fault.at < hours * 3600 for fault in faults)
    for fault in faults:
        assert parse_fault(str(fault)).kind == fault.kind
        assert len(fault.targets) in (KINDS[fault.kind].targets, 0)


@settings(max_examples=20)
@given(st.sampled_from(["everything", "hell", "az-loss"]), st.integers(0, 10_000))
def test_episodes_have_every_fault_once_and_quiet_between_them(
    name: str, seed: int
) -> None:
    faults = draw(PROFILES[name], 100 / PROFILES[name].per_hour, NAMES, seed)
    episodes = list(lives(CLUSTER, faults, seed))
    assert sum(len(life.schedule) for life in episodes) == len(faults)
    for life in episodes:
        at = [fault.at for fault in life.schedule]
        assert BEGINNING <= at[0] < BEGINNING + 10
        assert at == sorted(at)
        for number in range(1, len(at)):
            assert at[number] <= last_end(life.schedule[:number]) + QUIET + 0.02
        assert len(life.schedule) <= MOST_FAULTS + ZONES + 1


def test_a_zone_is_lost_with_all_its_members() -> None:
    names = tuple("abcde")
    faults = draw(PROFILES["az-loss"], 400, names, 5)
    together = {f.targets[0] for f in faults if f.at == faults[0].at and f.targets}
    assert together in ({"a", "d"}, {"b", "e"}, {"c"})


def test_lives_come_back_in_their_order() -> None:
    todo = [Life(("a",), seed, ()) for seed in range(3)]
    told: list[tuple[int, int | None]] = []
    played = list(play(todo, 1, lambda what, done, total: told.append((done, total))))
    assert [episode.life for episode in played] == todo
    assert told == [(0, 3), (1, 3), (2, 3)]


def breaks_with(*kinds: str) -> Lived:
    return replace(WELL, broken="safety", why=f"because of {kinds}")


def test_the_fewest_faults_that_still_fail_are_found() -> None:
    faults = tuple(
        Fault(float(number), kind, ("a",))
        for number, kind in enumerate(["kill_postgres"] * 5 + ["failover"] * 6)
    )
    guilty = {faults[1], faults[8]}

    def live(life: Life) -> Lived:
        return breaks_with("x") if guilty <= set(life.schedule) else WELL

    life, lived = minimise(Life(NAMES, 1, faults), breaks_with("x"), live)
    assert set(life.schedule) == guilty
    assert lived.is_broken


def test_another_way_of_breaking_is_not_the_same_failure() -> None:
    faults = tuple(Fault(float(n), "kill_postgres", ("a",)) for n in range(4))

    def live(life: Life) -> Lived:
        return replace(WELL, broken="liveness") if len(life.schedule) < 4 else WELL

    life, _ = minimise(Life(NAMES, 1, faults), breaks_with("x"), live)
    assert life.schedule == faults


def report_of(*durations: float) -> Report:
    outages = tuple(Outage(40.0, d, "kill_host a") for d in durations)
    life = Life(NAMES, 7, (Fault(40.0, "kill_host", ("a",), 60.0),))
    return Report(1000.0, (Episode(life, replace(WELL, outages=outages)),))


def test_the_report_tells_how_often_and_how_long() -> None:
    text = report_text(report_of(1.5, 26.0, 29.0), lambda text, kind: text)
    assert "Writes stopped 3 times (3.0 in 1000 hours), 56 s in all" in text
    assert "20 to 30 s       2        55  ########################" in text
    assert "longest 29.0 s" in text
    assert "kill_host       1               3    26.0 s    29.0 s" in text
    assert "No safety law broke" in text


def test_a_quiet_campaign_says_so() -> None:
    report = Report(5.0, ())
    text = report_text(report, lambda text, kind: text)
    assert "Writes never stopped" in text
    assert report.worst is None
    assert report.as_json()["writable"] == 1.0


def test_quantiles_are_values_that_occurred() -> None:
    assert quantile([3, 1, 2], 0.5) == 2
    assert quantile([3, 1, 2], 0.99) == 3
    assert quantile([], 0.5) == 0
