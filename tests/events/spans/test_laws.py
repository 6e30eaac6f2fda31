"""What holds for the spans of every life, however strange."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from regnal.events.spans.loom import is_sampled
from regnal.messages.base import Message, Seconds
from regnal.messages.changes import StoreBack, StoreLost
from regnal.messages.cluster import KeyUnconfirmed, KeyWritten, StoreUnreachable
from regnal.messages.fencing import ArmGuard, FencingJudged, FencingWanted, GuardArmed
from regnal.messages.lease import (
    HandOverLeader,
    LeaderAcquired,
    LeaderHandedOver,
    LeaderReleased,
    ReleaseLeader,
)
from regnal.messages.operations import (
    BecomePrimary,
    CloneMember,
    DemotePostgres,
    FollowLeader,
    IntentFailed,
    IntentFulfilled,
)
from regnal.messages.postgres import (
    FollowUpstream,
    OperationCancelled,
    PostgresPromoted,
    PostgresStopped,
    PromotePostgres,
    ReplicationEnded,
    StopPostgres,
    UpstreamFollowed,
)
from regnal.messages.probes import PeersProbed, ProbePeers
from regnal.messages.reasons import because
from regnal.messages.store import WriteHistory
from tests.events.spans.laws import broken
from tests.events.spans.lives import Life, led_by, phase
from tests.events.spans.test_weaver import (
    ACQUIRE,
    ASKED,
    CRASHED,
    PG2,
    STARTED,
    STREAMING,
)
from tests.examples import examples

WHY = because("SHUTDOWN")

WORDS: tuple[Message, ...] = (
    led_by(None),
    led_by("pg1", 10),
    led_by("pg2", 33),
    led_by("pg2", 34),
    led_by("pg3", 54, asked=ASKED),
    phase("primary"),
    phase("standby"),
    phase("stopped"),
    phase("promoting"),
    phase("following"),
    ACQUIRE,
    LeaderAcquired(member="pg2", valid_until=1e6),
    ReleaseLeader(member="pg2", last_lsn=None, deadline=1e6),
    LeaderReleased(member="pg2"),
    HandOverLeader(member="pg2", to="pg3", last_lsn=5, ttl=30.0, deadline=1e6),
    LeaderHandedOver(to="pg3"),
    FencingWanted(),
    ArmGuard(deadline=1e6),
    GuardArmed(guard_pid=8),
    FencingJudged(verdict="stands"),
    FencingJudged(verdict="failed", reason=WHY),
    BecomePrimary(reason=WHY),
    IntentFulfilled(intent="become_primary"),
    IntentFailed(intent="become_primary", reason=WHY),
    FollowLeader(upstream=PG2, check_divergence=True, reason=WHY),
    IntentFulfilled(intent="follow_leader"),
    DemotePostgres(mode="immediate", reason=WHY),
    IntentFulfilled(intent="demote_postgres"),
    CloneMember(source=PG2, upstream=PG2, reason=WHY),
    PromotePostgres(timeout=60.0),
    PostgresPromoted(timeline=2, lsn=5, history=()),
    StopPostgres(mode="fast", checkpoint_first=False, timeout=60.0),
    PostgresStopped(control=None),
    FollowUpstream(upstream=PG2, timeout=60.0),
    UpstreamFollowed(restarted=True),
    OperationCancelled(command="follow_upstream"),
    ProbePeers(targets=(), timeout=2.0),
    PeersProbed(peers=(), asked_at=1.0),
    WriteHistory(lines=(), deadline=1e6),
    KeyWritten(key="history", revision=7),
    KeyUnconfirmed(key="history", error="timed out"),
    StoreUnreachable(error="timed out", unanswered_for=1.0),
    StoreLost(error="timed out"),
    StoreBack(away_for=3.0),
    ReplicationEnded(received_lsn=None),
    STREAMING,
    CRASHED,
    STARTED,
)


@dataclass(frozen=True)
class Said:
    message: Message
    after: Seconds
    back: int
    """By which message before it was caused; 0: by none."""


SAID = st.builds(
    Said,
    st.sampled_from(WORDS),
    st.sampled_from([0.0, 0.001, 0.2, 4.0, 70.0]),
    st.integers(0, 6),
)
LIVES = st.lists(SAID, min_size=5, max_size=50)


def lived(
    life: Life, told: Sequence[Said], between: Callable[[Life], None] = lambda _: None
) -> Life:
    ids = ["pg2/1/0"]
    for one in told:
        cause = None if one.back == 0 else ids[-min(one.back, len(ids))]
        ids.append(life.says(one.message, after=one.after, cause=cause, rule="a_rule"))
        between(life)
    life.spans += life.weaver.finish()
    return life


@given(LIVES, st.sampled_from([0.0, 1.0]))
@examples(120)
def test_ids_parents_and_times_agree(told: list[Said], share: float) -> None:
    assert broken(lived(Life("pg2", share=share), told).spans) == []


@given(LIVES)
@examples(50)
def test_weaving_in_pieces_gives_the_same_as_in_one_go(told: list[Said]) -> None:
    whole = lived(Life("pg2"), told)
    parts = lived(Life("pg2"), told, Life.is_interrupted)
    assert parts.spans == whole.spans


@given(LIVES, LIVES)
@examples(50)
def test_what_is_read_again_is_told_again_with_the_same_ids(
    before: list[Said], after: list[Said]
) -> None:
    """As after a crash: the place up to which it was sent, and the memory of then."""
    first = Life("pg2")
    for one in before:
        first.says(one.message, after=one.after)
    memory, now, count = first.weaver.memory, first.now, first.count
    told = []
    for _ in range(2):
        again = Life("pg2", now=now, count=count)
        again.weaver.remember(memory)
        told.append(lived(again, after).spans)
    assert told[0] == told[1]


@given(LIVES)
@examples(20)
def test_the_memory_stays_small(told: list[Said]) -> None:
    life = lived(Life("pg2"), told * 8)
    life.is_interrupted()
    assert len(life.weaver.memory) < 200_000


@given(LIVES)
@examples(50)
def test_a_share_of_quiet_life_adds_and_takes_nothing_away(told: list[Said]) -> None:
    few = {span.trace for span in lived(Life("pg2"), told).spans}
    many = {span.trace for span in lived(Life("pg2", share=1.0), told).spans}
    assert few <= many


@given(st.integers(0, 2**64 - 1), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_holds_the_smaller_one(low: int, one: float, two: float) -> None:
    trace = f"{7:016x}{low:016x}"
    if is_sampled(trace, min(one, two)):
        assert is_sampled(trace, max(one, two))
