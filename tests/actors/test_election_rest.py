"""The rules of pause, of requests to one member, and of nothing special."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from regnal.actors import election_following as following
from regnal.actors import election_pause as pause
from regnal.actors.election import RULES
from regnal.actors.election_rule import Conclusion, Rule
from regnal.actors.election_state import Election, Reinitialize, Restart
from regnal.messages.base import Message
from regnal.messages.cluster import FailoverRequest
from regnal.messages.lease import AcquireLeader, ReleaseLeader
from regnal.messages.operations import (
    BecomePrimary,
    FollowLeader,
    ReinitializeMember,
    RestartInPlace,
)
from regnal.messages.postgres import ObservePostgres
from tests.actors.builders import standby
from tests.actors.election_views import (
    CHOSEN,
    CRASHED,
    LEADER,
    NOW,
    PG2,
    RACER,
    STANDBY,
    STOPPED,
    with_settings,
)

FOR_US = FailoverRequest(leader=None, candidate="pg1", scheduled_at=None, revision=9)


def paused(given: Election) -> Election:
    return with_settings(given, paused=True)


def asked_for(given: Election) -> Election:
    assert given.cluster is not None
    cluster = given.cluster.model_copy(update={"failover": FOR_US})
    return paused(replace(given, cluster=cluster))


def test_every_rule_has_tests() -> None:
    """A rule that no test of this folder names is a rule that nobody looked at."""
    texts = [path.read_text() for path in Path(__file__).parent.glob("test_*.py")]
    missing = [r.__name__ for r in RULES if not any(r.__name__ in t for t in texts)]
    assert missing == []


def without_leader(given: Election) -> Election:
    assert given.cluster is not None
    cluster = given.cluster.model_copy(update={"leader": None})
    return replace(given, cluster=cluster, lease_until=None)


def on_another_timeline(given: Election) -> Election:
    """The leader was promoted since."""
    assert given.cluster is not None
    promoted = {"role": "primary", "timeline": 7}
    members = tuple(m.model_copy(update=promoted) for m in given.cluster.members)
    cluster = given.cluster.model_copy(update={"members": members})
    return replace(given, cluster=cluster)


NOT_STREAMING = replace(
    STANDBY,
    postgres=standby().status.model_copy(update={"receiver": None, "timeline": 0}),
    told_to_follow_at=NOW - 1,
    looked_at=NOW - 1,
)
WAITING = replace(STOPPED, phase="checking", busy="follow_leader", following=PG2)
REBUILD = replace(
    STANDBY, reinitialize=Reinitialize("r1", force=False, from_leader=True)
)
RESTART = replace(STANDBY, restart=Restart("r2", 7.0))


@pytest.mark.parametrize(
    ("rule", "given", "said"),
    [
        pytest.param(
            pause.take_the_free_lease_in_pause,
            paused(without_leader(LEADER)),
            AcquireLeader,
            id="PAUSE-03: a running primary takes a free lease",
        ),
        pytest.param(
            pause.race_for_the_candidate_in_pause,
            asked_for(RACER),
            AcquireLeader,
            id="PAUSE-02: the named candidate takes it",
        ),
        pytest.param(
            pause.promote_the_candidate_in_pause,
            asked_for(CHOSEN),
            BecomePrimary,
            id="PAUSE-02: and is promoted",
        ),
        pytest.param(
            pause.release_the_lease_in_pause,
            paused(CRASHED),
            ReleaseLeader,
            id="PAUSE-03: a holder that is no primary gives it up",
        ),
        pytest.param(
            following.wait_no_longer_for_a_leader_that_is_gone,
            without_leader(WAITING),
            FollowLeader,
            id="RWD-05: whom it was to be compared with leads no more",
        ),
        pytest.param(
            following.reinitialize_this_member,
            REBUILD,
            ReinitializeMember,
            id="BOOT-29: a rebuild",
        ),
        pytest.param(
            following.restart_this_member,
            RESTART,
            RestartInPlace,
            id="REST-18: a restart",
        ),
        pytest.param(
            following.look_whether_we_stream,
            NOT_STREAMING,
            ObservePostgres,
            id="a standby that was just told to follow is looked at",
        ),
        pytest.param(
            following.compare_histories_of_a_standby_that_does_not_stream,
            on_another_timeline(replace(NOT_STREAMING, told_to_follow_at=NOW - 60)),
            FollowLeader,
            id="RWD-02: one that does not get there is compared",
        ),
    ],
)
def test_it_speaks(rule: Rule, given: Election, said: type[Message]) -> None:
    conclusion = rule(given, NOW)
    assert conclusion is not None
    assert [type(message) for message in conclusion.said] == [said]


@pytest.mark.parametrize(
    ("rule", "given"),
    [
        pytest.param(
            pause.take_the_free_lease_in_pause,
            without_leader(LEADER),
            id="not outside pause",
        ),
        pytest.param(
            pause.take_the_free_lease_in_pause,
            paused(RACER),
            id="PAUSE-03: no standby takes it by itself",
        ),
        pytest.param(
            pause.race_for_the_candidate_in_pause,
            paused(RACER),
            id="nobody asked for us",
        ),
        pytest.param(
            pause.promote_the_candidate_in_pause, paused(CHOSEN), id="PAUSE-01"
        ),
        pytest.param(
            pause.release_the_lease_in_pause, paused(LEADER), id="a primary keeps it"
        ),
        pytest.param(
            pause.keep_hands_off_in_pause, LEADER, id="hands on outside pause"
        ),
        pytest.param(
            following.wait_no_longer_for_a_leader_that_is_gone,
            WAITING,
            id="RWD-05: the leader is there",
        ),
        pytest.param(
            following.reinitialize_this_member,
            replace(REBUILD, lease_until=NOW + 20),
            id="BOOT-29: never the leader",
        ),
        pytest.param(
            following.restart_this_member,
            replace(RESTART, busy="follow_leader"),
            id="one thing at a time",
        ),
        pytest.param(
            following.look_whether_we_stream, STANDBY, id="it streams already"
        ),
        pytest.param(
            following.compare_histories_of_a_standby_that_does_not_stream,
            NOT_STREAMING,
            id="not before it had its time",
        ),
        pytest.param(following.wait_for_the_supervisor, STANDBY, id="not busy"),
        pytest.param(following.keep_leading, STANDBY, id="we do not lead"),
    ],
)
def test_it_is_silent(rule: Rule, given: Election) -> None:
    assert rule(given, NOW) is None


@pytest.mark.parametrize(
    ("rule", "given"),
    [
        (pause.keep_hands_off_in_pause, paused(STANDBY)),
        (following.wait_for_the_supervisor, replace(STANDBY, busy="clone_member")),
        (following.keep_leading, LEADER),
        (following.keep_following, STANDBY),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_it_decides_that_nothing_is_to_be_done(
    rule: Callable[[Election, float], Conclusion | None], given: Election
) -> None:
    conclusion = rule(given, NOW)
    assert conclusion is not None
    assert conclusion.said == ()
    assert conclusion.state == given
