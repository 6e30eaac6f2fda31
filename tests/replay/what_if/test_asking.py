"""What would have been decided otherwise, in recordings of simulated and real clusters."""

import shutil
from pathlib import Path

import pytest

from regnal.replay.what_if.findings import Answer
from tests.replay.what_if.asked import MUSEUM, asked, inferred, serious, shown


def rules(answer: Answer) -> list[tuple[str, str | None, str | None]]:
    """Of election: who, by which rule then and now."""
    return [
        (
            one.member,
            one.then.rule if one.then is not None else None,
            one.now.rule if one.now is not None else None,
        )
        for one in serious(answer)
        if one.actor == "election"
    ]


def ends(answer: Answer) -> dict[str, str]:
    return {member.member: member.end.why for member in answer.members}


@pytest.mark.parametrize(
    ("which", "as_it_was"),
    [
        ("takeover", "ttl=30"),
        pytest.param("lagging", "ttl=30", marks=pytest.mark.slow),
        pytest.param("lost_store", "ttl=30", marks=pytest.mark.slow),
        ("museum", "ttl=20"),
    ],
)
def test_without_another_value_nothing_is_another(
    which: str, as_it_was: str, request: pytest.FixtureRequest
) -> None:
    """The closed loop comes out the same as the recording, step by step."""
    directory = MUSEUM if which == "museum" else request.getfixturevalue(which)
    answer = asked(directory, as_it_was)
    assert answer.verdict == "unchanged"
    assert answer.first is None
    assert answer.end is None
    assert not serious(answer)
    # In quiet time the renewals are not in the journal.
    assert {one.command for one in answer.assumed} <= {"renew_leader"}
    assert not answer.consequences
    assert sum(member.steps for member in answer.members) > 500
    assert set(ends(answer).values()) == {"recording"}


def test_a_shorter_ttl_brings_an_earlier_takeover(takeover: Path) -> None:
    answer = asked(takeover, "ttl=20", "loop_wait=2", since=20, incident="latest")
    assert not serious(answer)
    (text,) = inferred(answer)
    assert "the lease of pg1" in text
    assert "10.0 s earlier" in text
    assert "nobody could write for about 20.6 s instead of 30.6 s" in text
    assert set(ends(answer).values()) == {"recording"}


def test_a_change_holds_from_its_moment_on(
    takeover: Path,
) -> None:
    answer = asked(takeover, "synchronous_mode=true", since=20)
    first = answer.first
    assert first is not None
    assert (first.member, first.actor) == ("pg1", "sync_standby_manager")
    assert first.now is not None
    assert first.now.rule == "claim_the_sync_key"
    assert answer.since is not None
    assert first.moment == pytest.approx(answer.since, abs=0.1)
    assumed = [(one.member, one.command) for one in answer.assumed]
    assert assumed.count(("pg1", "write_sync")) == 2
    assert ("pg1", "set_synchronous_standbys") in assumed


def test_in_synchronous_mode_the_other_standby_is_promoted() -> None:
    """A real cluster: pg3 would be the synchronous standby, and not pg2."""
    answer = asked(MUSEUM, "synchronous_mode=true", incident="reign-10")
    assert (
        "pg3",
        "leave_the_race_to_a_better_one",
        "acquire_as_the_best_candidate",
    ) in rules(answer)
    assert any(
        "pg2 would not ask for the leader key" in text
        and "pg2 is not a synchronous standby" in text
        for text in shown(answer)
    )
    assert any(
        "pg3 would lead" in text and "not pg2" in text for text in inferred(answer)
    )
    assert answer.end is not None
    assert (answer.end.member, answer.end.command) == ("pg3", "acquire_leader")
    assert answer.end.record == 327


@pytest.mark.slow
def test_a_candidate_that_is_too_far_behind_does_not_ask(lagging: Path) -> None:
    answer = asked(lagging, "maximum_lag_on_failover=1000", since=40)
    (text, *_) = shown(answer)
    assert "would not ask for the leader key" in text
    assert "bytes behind, 1000 are allowed" in text
    (whole,) = inferred(answer)
    assert "nobody whose journal is here would ask for the key" in whole
    assert answer.end is not None
    assert (answer.end.why, answer.end.command) == ("does_not_act", "acquire_leader")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("pg2:tags.nofailover=true", "pg2 is tagged nofailover"),
        pytest.param(
            "pg3:tags.failover_priority=5",
            "pg2 has a lower failover_priority than pg3",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_tags_make_another_the_best_candidate(
    takeover: Path, change: str, why: str
) -> None:
    answer = asked(takeover, change, since=60)
    texts = shown(answer)
    assert any("pg3 would ask for the leader key" in text for text in texts)
    assert any(why in text for text in texts)
    assert ends(answer)["pg3"] == "acts"


def test_with_the_best_candidate_down_the_next_one_asks(takeover: Path) -> None:
    answer = asked(takeover, downs={"pg2": 50}, since=45)
    assert rules(answer) == [
        ("pg3", "leave_the_race_to_a_better_one", "acquire_as_the_best_candidate")
    ]
    first = answer.first
    assert first is not None
    assert first.now is not None
    assert [word.kind for word in first.now.said] == ["acquire_leader"]
    assert ends(answer) == {"pg1": "recording", "pg2": "is_down", "pg3": "acts"}


def test_with_the_leader_down_its_keys_expire_and_another_asks(takeover: Path) -> None:
    answer = asked(takeover, downs={"pg1": 25})
    assert any("pg2 would ask for the leader key" in text for text in shown(answer))
    assert ends(answer)["pg1"] == "is_down"
    assert any(one.command == "probe_peers" for one in answer.assumed)


@pytest.mark.slow
def test_with_all_candidates_down_nobody_asks(takeover: Path) -> None:
    answer = asked(takeover, downs={"pg2": 50, "pg3": 50}, since=45)
    assert not any("would ask" in text for text in shown(answer))
    assert ends(answer) == {"pg1": "recording", "pg2": "is_down", "pg3": "is_down"}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("ttl=20", "pg1 would stop taking writes at 08:01:04.001, 1.0 s earlier"),
        ("fencing.margin=2", "pg1 would not stop taking writes at 08:01:05.002"),
    ],
)
def test_without_the_store_a_leader_stops_by_the_other_lease(
    lost_store: Path, change: str, text: str
) -> None:
    answer = asked(lost_store, change, since=40)
    assert any(one.startswith(text) for one in shown(answer))
    if change == "fencing.margin=2":
        assert any(
            "stops taking writes at 08:01:08.002, 3.0 s later" in one
            for one in inferred(answer)
        )


def test_a_guard_that_was_off_is_armed_before_the_promotion(unguarded: Path) -> None:
    """WDOG-03: nobody recorded what a guard says, and without it nobody is promoted."""
    answer = asked(unguarded, "fencing.guard=true", since=10)
    assumed = {(one.member, one.command, one.text) for one in answer.assumed}
    assert ("pg1", "arm_guard", "the guard is armed") in assumed
    assert ("pg2", "arm_guard", "the guard is armed") in assumed
    assert not serious(answer)
    assert set(ends(answer).values()) == {"recording"}


def test_without_the_guard_nobody_waits_for_it(takeover: Path) -> None:
    answer = asked(takeover, "fencing.guard=false", since=65)
    assert not serious(answer)
    assert not answer.assumed
    assert set(ends(answer).values()) == {"recording"}


def test_a_watchdog_that_is_required_and_does_not_work_ends_the_lead(
    takeover: Path,
) -> None:
    """WDOG-04: pg1 had found no device, and did without; that much is recorded."""
    answer = asked(takeover, "pg1:watchdog.mode=required", since=35)
    assert ("pg1", None, "step_down_without_fencing") in rules(answer)
    assert "check_watchdog" in {one.command for one in answer.assumed}
    assert ends(answer)["pg1"] == "acts"
    assert any(
        "pg1 would stop taking writes at 08:00:40.0" in text for text in shown(answer)
    )


def test_of_a_required_watchdog_that_nobody_looked_for_nothing_is_known(
    takeover: Path,
) -> None:
    answer = asked(takeover, "pg2:watchdog.mode=required", since=60)
    assert answer.end is not None
    assert (answer.end.member, answer.end.command) == ("pg2", "check_watchdog")


def test_failsafe_mode_asks_the_members_and_there_the_evidence_ends(
    lost_store: Path,
) -> None:
    answer = asked(lost_store, "failsafe_mode=true", since=40)
    assert ("pg1", None, "ask_the_members_before_stepping_down") in rules(answer)
    assert answer.end is not None
    assert (answer.end.member, answer.end.command) == ("pg1", "ask_failsafe")


def test_members_without_a_journal_are_done_without(takeover: Path) -> None:
    """pg1's word is missing; what the others saw of it counts."""
    answer = asked(takeover, downs={"pg2": 50}, since=45, without=("pg1",))
    assert [member.member for member in answer.members] == ["pg2", "pg3"]
    assert any("pg3 would ask for the leader key" in text for text in shown(answer))


def test_a_member_that_would_be_asked_and_has_no_journal_ends_the_evidence(
    takeover: Path,
) -> None:
    answer = asked(takeover, downs={"pg1": 25}, without=("pg3",))
    assert answer.end is not None
    assert answer.end.command == "probe_peers"
    assert "the journals of all that are asked would tell" in answer.end.text


@pytest.mark.slow
def test_a_journal_that_is_cut_is_used_as_far_as_it_goes(
    takeover: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "cut"
    shutil.copytree(takeover, copy)
    (segment,) = (copy / "pg2").glob("journal-*.jsonl")
    content = segment.read_bytes()
    segment.write_bytes(content[: int(len(content) * 0.6)])
    answer = asked(copy, "ttl=20", "loop_wait=2", since=20)
    assert not serious(answer)
    assert {member.member for member in answer.members} == {"pg1", "pg2", "pg3"}


def test_damage_in_the_middle_is_told_and_the_rest_used(
    takeover: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "hurt"
    shutil.copytree(takeover, copy)
    (segment,) = (copy / "pg3").glob("journal-*.jsonl")
    lines = segment.read_bytes().splitlines(keepends=True)
    middle = len(lines) // 2
    lines[middle] = b"no record\n"
    segment.write_bytes(b"".join(lines))
    answer = asked(copy, "pg2:tags.nofailover=true", since=20)
    assert any(trouble.code == "UNUSABLE" for trouble in answer.troubles)
    assert any("pg2 is tagged nofailover" in text for text in shown(answer))
