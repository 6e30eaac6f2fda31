"""Switchover and failover by request (docs/contracts.md 4.7)."""

from typing import Any

import pytest

from regnal.actors.rest import REST
from regnal.actors.rest_state import Rest
from regnal.messages.cluster import (
    FailoverRequest,
    KeyRefused,
    KeyUnconfirmed,
    KeyWritten,
    SyncState,
)
from regnal.messages.probes import PeersProbed, PeerStatus, ProbePeers
from regnal.messages.requests import SwitchoverRequested
from regnal.messages.store import WriteFailover
from regnal.messages.timers import CancelTimer, SetTimer, TimerFired
from tests.actors.builders import Told, begun, configured, member, primary, seen
from tests.actors.rest_requests import (
    CANCEL_SWITCHOVER,
    answers,
    failover,
    leader,
    switchover,
)

AT = "2030-05-01T02:00:00+00:00"
WRITTEN = KeyWritten(key="failover", revision=9, request="r1")
MEMBERS = (member("pg1", role="primary"), member("pg2"), member("pg3"))
SYNC = {"synchronous_mode": "on"}
QUORUM = {"synchronous_mode": "quorum"}
SYNC_PG3 = seen(
    *MEMBERS, sync=SyncState(leader="pg1", standbys=("pg3",), quorum=0, revision=1)
)
SYNC_NOBODY = seen(
    *MEMBERS, sync=SyncState(leader="pg1", standbys=(), quorum=0, revision=1)
)
OUR_KEY = FailoverRequest(leader="pg1", candidate="pg2", scheduled_at=None, revision=9)


def probed(*names: str, request: str | None = "r1", **fields: Any) -> PeersProbed:
    return PeersProbed(
        peers=tuple(
            PeerStatus(**{"name": name, "answered": True, "state": "running", **fields})
            for name in names
        ),
        asked_at=100.0,
        request=request,
    )


def waiting(asked: SwitchoverRequested | None = None) -> Told[Rest]:
    """A leader whose failover key is written: the caller waits."""
    return leader(asked or switchover(), probed("pg2"), WRITTEN)


def refusal(told: Told[Rest]) -> tuple[int, str]:
    (answer,) = answers(told)
    assert not told.of(WriteFailover)
    assert not told.of(ProbePeers)
    assert not told.state.pending
    return answer


@pytest.mark.parametrize(
    ("given", "asked", "answer"),
    [
        pytest.param(
            leader(),
            failover(candidate=None),
            (400, "Failover could be performed only to a specific candidate"),
            id="failover to nobody",
        ),
        pytest.param(
            leader(),
            switchover(leader=None),
            (400, "Switchover could be performed only from a specific leader"),
            id="switchover from nobody",
        ),
        pytest.param(
            leader(),
            failover(scheduled_at=AT),
            (400, "Failover can't be scheduled"),
            id="failover later",
        ),
        pytest.param(
            leader(paused=True),
            switchover(scheduled_at=AT),
            (400, "Can't schedule switchover in the paused state"),
            id="later, in pause",
        ),
        pytest.param(
            leader(),
            switchover(scheduled_at="2030-05-01T02:00"),
            (400, "Timezone information is mandatory for the scheduled switchover"),
            id="no zone",
        ),
        pytest.param(
            leader(),
            switchover(scheduled_at="2020-05-01T02:00Z"),
            (422, "Cannot schedule switchover in the past"),
            id="past",
        ),
        pytest.param(
            leader(),
            switchover(scheduled_at="teatime"),
            (
                422,
                (
                    "Unable to parse scheduled timestamp. It should be in an unambiguous "
                    "format, e.g. ISO 8601"
                ),
            ),
            id="no time",
        ),
        pytest.param(
            leader(paused=True),
            switchover(candidate=None),
            (
                400,
                "Switchover is possible only to a specific candidate in a paused state",
            ),
            id="to anybody, in pause",
        ),
        pytest.param(
            leader(),
            switchover(candidate="pg1"),
            (400, "Switchover target and source are the same"),
            id="to itself",
        ),
        pytest.param(
            leader(),
            switchover(leader="pg3"),
            (412, "leader name does not match"),
            id="another leader",
        ),
        pytest.param(
            leader(seen(*MEMBERS, leader=None)),
            switchover(),
            (412, "leader name does not match"),
            id="no leader",
        ),
        pytest.param(
            leader(seen=SYNC_PG3, **SYNC),
            switchover(candidate="pg2"),
            (412, "candidate name does not match with sync_standby"),
            id="an asynchronous candidate",
        ),
        pytest.param(
            leader(),
            switchover(candidate="pg9"),
            (412, "candidate does not exists"),
            id="an unknown candidate",
        ),
        pytest.param(
            leader(),
            failover(candidate="pg9"),
            (412, "candidate does not exists"),
            id="failover to an unknown candidate",
        ),
        pytest.param(
            leader(seen=SYNC_NOBODY, **SYNC),
            switchover(candidate=None),
            (412, "switchover is not possible: can not find sync_standby"),
            id="no synchronous standby",
        ),
        pytest.param(
            leader(seen=seen(MEMBERS[0])),
            switchover(candidate=None),
            (
                412,
                (
                    "switchover is not possible: "
                    "cluster does not have members except leader"
                ),
            ),
            id="alone",
        ),
        pytest.param(
            leader(seen=seen(MEMBERS[0], member("pg2", api_url=None))),
            switchover(),
            (412, "switchover is not possible: no good candidates have been found"),
            id="a candidate that cannot be asked",
        ),
        pytest.param(
            leader(),
            failover(candidate="pg1"),
            (412, "failover is not possible: no good candidates have been found"),
            id="failover to the leader",
        ),
    ],
)
def test_refusals(
    given: Told[Rest], asked: SwitchoverRequested, answer: tuple[int, str]
) -> None:
    """REST-21, REST-22, SCHED-01, PAUSE-02: in the order of the table."""
    assert refusal(given.hear(asked)) == answer


def test_the_first_refusal_that_applies_is_the_answer() -> None:
    """REST-21: pause is looked at before the time is."""
    told = leader(paused=True).hear(switchover(scheduled_at="teatime", candidate="pg1"))
    assert refusal(told)[1] == "Can't schedule switchover in the paused state"


@pytest.mark.parametrize(
    ("given", "asked", "targets"),
    [
        pytest.param(leader(), switchover(), ("pg2",), id="the candidate"),
        pytest.param(leader(), switchover(candidate=None), ("pg2", "pg3"), id="all"),
        pytest.param(leader(), failover("pg3"), ("pg3",), id="failover"),
        pytest.param(
            leader(seen=SYNC_PG3, **SYNC),
            switchover(candidate=None),
            ("pg3",),
            id="synchronous standbys",
        ),
        pytest.param(
            leader(seen=SYNC_PG3, **SYNC),
            failover("pg2"),
            ("pg2",),
            id="a failover may go to an asynchronous one",
        ),
        pytest.param(
            leader(seen=SYNC_PG3, **QUORUM),
            switchover("pg1", "pg2"),
            ("pg2",),
            id="in quorum mode election asks the voters",
        ),
        pytest.param(
            leader(seen(*MEMBERS, leader=None)),
            failover("pg2"),
            ("pg2",),
            id="failover without a leader",
        ),
    ],
)
def test_who_is_probed(
    given: Told[Rest], asked: SwitchoverRequested, targets: tuple[str, ...]
) -> None:
    """REST-21, ELEC-25, ELEC-26."""
    told = given.hear(asked)
    (probe,) = told.of(ProbePeers)
    assert tuple(target.name for target in probe.targets) == targets
    assert (probe.request, probe.timeout) == ("r1", 2)
    assert not answers(told)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"answered": False, "error": "refused"}, id="not reachable"),
        pytest.param({"state": "creating replica"}, id="not running"),
        pytest.param({"nofailover": True}, id="nofailover"),
        pytest.param({"failover_priority": 0}, id="priority 0"),
        pytest.param({"watchdog_failed": True}, id="watchdog"),
    ],
)
def test_a_candidate_that_cannot_lead(fields: dict[str, Any]) -> None:
    """REST-21, ELEC-26, WDOG-04."""
    told = leader(switchover()).hear(probed("pg2", **fields))
    assert refusal(told) == (
        412,
        "switchover is not possible: no good candidates have been found",
    )


def test_a_good_candidate_gets_the_failover_key() -> None:
    """REST-21."""
    told = leader(switchover()).hear(probed("pg2"))
    (write,) = told.of(WriteFailover)
    assert (write.leader, write.candidate, write.scheduled_at) == ("pg1", "pg2", None)
    assert (write.request, write.deadline) == ("r1", 110.0)


def test_a_failover_names_no_leader() -> None:
    """REST-22."""
    (write,) = leader(failover()).hear(probed("pg2")).of(WriteFailover)
    assert (write.leader, write.candidate) == (None, "pg2")


def test_a_failover_with_a_leader_is_a_switchover() -> None:
    """REST-22."""
    told = leader(failover("pg2", "pg1")).hear(probed("pg2"))
    (write,) = told.of(WriteFailover)
    assert write.leader == "pg1"
    done = told.hear(WRITTEN, seen(*MEMBERS, leader="pg2"))
    assert answers(done) == [(200, 'Successfully switched over to "pg2"')]


def test_probes_of_others_are_not_ours() -> None:
    told = leader(switchover()).hear(
        probed("pg2", request=None), probed("pg2", request="x")
    )
    assert not told.of(WriteFailover)


@pytest.mark.parametrize(
    "outcome",
    [
        KeyRefused(key="failover", request="r1"),
        KeyUnconfirmed(key="failover", error="timeout", request="r1"),
    ],
)
def test_the_key_may_not_be_written(outcome: KeyRefused | KeyUnconfirmed) -> None:
    """REST-21."""
    told = leader(switchover(), probed("pg2")).hear(outcome)
    assert answers(told) == [(503, "failed to write failover key into DCS")]


def test_a_schedule_is_written_without_asking_anybody() -> None:
    """SCHED-01: who is able then is looked at then."""
    told = leader().hear(switchover(scheduled_at="2030-05-01 02:00 UTC"))
    (write,) = told.of(WriteFailover)
    assert write.scheduled_at == AT
    assert not told.of(ProbePeers)
    assert answers(told.hear(WRITTEN)) == [(202, "Switchover scheduled")]


@pytest.mark.parametrize(
    ("asked", "new", "text"),
    [
        (switchover(), "pg2", 'Successfully switched over to "pg2"'),
        (switchover(), "pg3", 'Switched over to "pg3" instead of "pg2"'),
        (switchover(candidate=None), "pg3", 'Successfully switched over to "pg3"'),
        (failover(), "pg2", 'Successfully failed over to "pg2"'),
        (failover(), "pg3", 'Failed over to "pg3" instead of "pg2"'),
    ],
)
def test_success_is_a_new_leader(
    asked: SwitchoverRequested, new: str, text: str
) -> None:
    """REST-21, REST-22, REST-24."""
    told = waiting(asked).hear(seen(*MEMBERS, leader=new))
    assert answers(told) == [(200, text)]
    assert told.of(CancelTimer) == (CancelTimer(name="rest:change:r1"),)
    assert not told.state.pending


def test_a_key_that_nobody_holds_is_no_result() -> None:
    """REST-24: never 'failed over to None'."""
    told = waiting().hear(
        seen(*MEMBERS, failover=OUR_KEY), seen(*MEMBERS, leader=None, failover=OUR_KEY)
    )
    assert not answers(told)
    assert answers(told.hear(seen(*MEMBERS, leader="pg2"))) == [
        (200, 'Successfully switched over to "pg2"')
    ]


def test_a_cleared_request_without_a_new_leader_has_failed() -> None:
    """REST-21."""
    told = waiting().hear(seen(*MEMBERS, failover=OUR_KEY), seen(*MEMBERS))
    assert answers(told) == [(503, "Switchover failed")]


def test_a_view_from_before_the_write_proves_nothing() -> None:
    """REST-24: the request is not cleared, it is not there yet."""
    assert not answers(waiting().hear(seen(*MEMBERS)))


def test_the_watch_may_be_quicker_than_the_answer_to_the_write() -> None:
    """REST-24: a hand-over takes milliseconds."""
    told = leader(switchover(), probed("pg2"), seen(*MEMBERS, leader="pg2")).hear(
        WRITTEN
    )
    assert answers(told) == [(200, 'Successfully switched over to "pg2"')]


def test_a_failover_without_a_leader_succeeds_with_any() -> None:
    """REST-22, ELEC-25."""
    nobody = seen(*MEMBERS, leader=None)
    told = leader(nobody, failover(), probed("pg2"), WRITTEN)
    assert answers(told.hear(seen(*MEMBERS, leader="pg2"))) == [
        (200, 'Successfully failed over to "pg2"')
    ]


@pytest.mark.parametrize(("loop_wait", "seconds"), [(10.0, 20), (1.0, 20), (30.0, 60)])
def test_at_last_nobody_knows(loop_wait: float, seconds: int) -> None:
    """REST-21, P-REST-20."""
    told = leader(switchover(), probed("pg2"), WRITTEN, loop_wait=loop_wait)
    (timer,) = told.of(SetTimer)
    assert timer == SetTimer(name="rest:change:r1", at=100.0 + seconds)
    fired = told.hear(TimerFired(name=timer.name, due_at=timer.at), at=timer.at)
    assert answers(fired) == [
        (
            503,
            (
                f"Switchover status unknown after {seconds} seconds; "
                "operation may still be in progress"
            ),
        )
    ]


def test_nothing_can_be_said_before_the_store_has_answered() -> None:
    told = begun(REST, configured(), primary()).hear(switchover())
    assert [status for status, _ in answers(told)] == [503]


SCHEDULED = FailoverRequest(leader="pg1", candidate="pg2", scheduled_at=AT, revision=5)


def test_a_scheduled_switchover_is_removed_if_it_is_still_that_one() -> None:
    """REST-23, SCHED-05."""
    told = leader(seen(*MEMBERS, failover=SCHEDULED)).hear(CANCEL_SWITCHOVER)
    (write,) = told.of(WriteFailover)
    assert (write.leader, write.candidate, write.scheduled_at) == (None, None, None)
    assert write.if_revision == 5
    assert answers(told.hear(WRITTEN)) == [(200, "scheduled switchover deleted")]


def test_it_may_have_changed_meanwhile() -> None:
    """REST-23."""
    told = leader(seen(*MEMBERS, failover=SCHEDULED), CANCEL_SWITCHOVER)
    (answer,) = answers(told.hear(KeyRefused(key="failover", request="r1")))
    assert answer[0] == 409


@pytest.mark.parametrize("failover_key", [None, OUR_KEY])
def test_there_may_be_nothing_to_remove(failover_key: FailoverRequest | None) -> None:
    """REST-23: a switchover that is not scheduled is under way."""
    told = leader(seen(*MEMBERS, failover=failover_key)).hear(CANCEL_SWITCHOVER)
    assert answers(told) == [(404, "no switchover is scheduled")]
