"""A promotion that fails: the lease is released, and it is somebody else's turn."""

from regnal.actors.election import ELECTION
from regnal.actors.election_state import Election
from regnal.messages.cluster import FailoverRequest
from regnal.messages.fencing import FencingJudged
from regnal.messages.lease import AcquireLeader, LeaderReleased, ReleaseLeader
from regnal.messages.operations import BecomePrimary, IntentFailed
from regnal.messages.probes import PeersProbed, PeerStatus
from regnal.messages.reasons import because
from regnal.messages.store import WriteFailover
from tests.actors.builders import (
    BEAT,
    Told,
    acquired,
    begun,
    configured,
    phase,
    seen,
    standby,
)

LOOP_WAIT = 10.0
REFUSED = IntentFailed(
    intent="become_primary", reason=because("PRE_PROMOTE_REFUSED", status=1)
)


def promoting(asked_for: str | None) -> Told[Election]:
    """pg1 got the lease by a switchover's hand-over, and promotes."""
    request = FailoverRequest(
        leader="pg2", candidate=asked_for, scheduled_at=None, revision=7
    )
    told = begun(
        ELECTION,
        configured(loop_wait=LOOP_WAIT),
        phase("standby"),
        standby(receiver=None),
        seen("pg1", "pg2", leader="pg1", failover=request),
        acquired(until=130.0),
        FencingJudged(verdict="stands"),
    )
    assert told.of(BecomePrimary), told.step
    return told


def test_the_lease_is_released_and_the_request_that_named_us_cleared() -> None:
    """CB-08"""
    told = promoting("pg1").hear(REFUSED)
    assert told.of(ReleaseLeader)
    (cleared,) = told.of(WriteFailover)
    assert (cleared.candidate, cleared.if_revision) == (None, 7)


def test_a_request_for_another_stays() -> None:
    told = promoting("pg2").hear(REFUSED)
    assert told.of(ReleaseLeader)
    assert not told.of(WriteFailover)


def test_we_do_not_take_back_at_once_what_we_released() -> None:
    """Others race meanwhile; if nobody leads by then, we try again."""
    told = promoting("pg1").hear(REFUSED, LeaderReleased(member="pg1"))
    told = told.hear(seen("pg1", "pg2", leader="pg1"))
    assert not told.of(AcquireLeader), "an old view still names us"
    told = told.hear(seen("pg1", "pg2", leader=None), at=101.0)
    told = told.hear(answer_of_the_other(at=101.0))
    assert not told.of(AcquireLeader)
    later = 100.0 + LOOP_WAIT
    told = told.hear(BEAT, answer_of_the_other(at=later), at=later)
    assert told.of(AcquireLeader)


def answer_of_the_other(at: float) -> PeersProbed:
    other = PeerStatus(
        name="pg2", answered=True, role="replica", state="running", position=800
    )
    return PeersProbed(peers=(other,), asked_at=at)
