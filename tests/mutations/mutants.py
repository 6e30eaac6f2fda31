"""The mutants: each breaks one rule that a safety law rests on.

Read a mutant as: what if somebody changed the rule like this?  The name says what the
daemon then does.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from regnal.actors import (
    candidates,
    election,
    election_creation,
    election_following,
    election_learning,
    election_lease,
    election_race,
    election_shutdown,
    postgres_supervisor,
    postmaster,
    supervisor_taking,
    sync_plan,
    watchdog,
    watchdog_state,
)
from regnal.actors.election_rule import Conclusion
from regnal.actors.election_state import Election
from regnal.actors.rule_list import Remark
from regnal.actors.supervisor_state import Supervisor
from regnal.actors.sync_plan import Electors, SetValue, SyncSituation
from regnal.actors.watchdog_state import Watchdog
from regnal.messages.base import Command, Instant, Message
from regnal.messages.cluster import KeyRefused, KeyWritten
from regnal.messages.fencing import ArmGuard
from regnal.messages.lease import (
    LeaderAcquired,
    LeaderRenewed,
    LeaseRefused,
    LeaseUnconfirmed,
    ReleaseLeader,
)
from regnal.messages.operations import BecomePrimary, FollowLeader
from regnal.messages.reasons import because
from regnal.replay.model.bounds import Bounds
from tests.mutations.mutant import Mutant, Patch

Rule = Callable[[Election, Instant], Conclusion | None]
ASYNCHRONOUS = Bounds(reorderings=0, writes=0, mended=())
SYNCHRONOUS = Bounds(reorderings=0, mended=(), synchronous_mode="on")
QUORUM = replace(
    SYNCHRONOUS, synchronous_mode="quorum", members=3, writes=0, symmetric=False
)
THAW: Any = ("thaw daemon",)
START: Any = ("start daemon",)


def _only(bounds: Bounds, *kinds: Any, faults: int = 1, **others: Any) -> Bounds:
    return replace(bounds, kinds=kinds, faults=faults, **others)


def _without(*rules: Rule) -> Patch:
    """The table of election lacks these rules."""
    names = [rule.__name__ for rule in rules]

    def become(table: tuple[Rule, ...]) -> tuple[Rule, ...]:
        return tuple(rule for rule in table if rule.__name__ not in names)

    return Patch(election, "RULES", become)


def _instead(rule: Rule, other: Rule) -> Patch:
    """The table of election has the other rule in its place."""

    def become(table: tuple[Rule, ...]) -> tuple[Rule, ...]:
        return tuple(other if r.__name__ == rule.__name__ else r for r in table)

    return Patch(election, "RULES", become)


def _always(where: Any, name: str, value: Any) -> Patch:
    return Patch(where, name, lambda _: lambda *_, **__: value)


def _property(where: Any, name: str, value: Callable[[Any], Any]) -> Patch:
    return Patch(where, name, lambda _: property(value))


def _heard_as(other: Callable[[Election, Message, Instant], Message]) -> Patch:
    """Election takes one message for another."""

    def become(learn: Any) -> Any:
        return lambda view, message, now: learn(view, other(view, message, now), now)

    return Patch(election_learning, "learn_of_lease", become)


# Law 1 and 3: the lock.


def _promote_without_the_lease(view: Election, now: Instant) -> Conclusion | None:
    """That nobody leads is enough."""
    if view.settings is None or not view.is_standby or view.leader is not None:
        return None
    if view.cluster is None or not view.cluster.is_initialized:
        return None
    return Conclusion(
        replace(view, busy="become_primary"),
        said=(BecomePrimary(reason=because("LEADER_CHANGED", leader=view.member)),),
    )


def _refusal_is_a_yes(learn: Any) -> Any:
    """Whoever asked for the lease is told that it got it."""

    def granted(state: Any, *arguments: Any) -> Any:
        message, now = _message_and_now(arguments)
        if isinstance(message, LeaseRefused) and message.action == "acquire":
            message = LeaderAcquired(member=state.member, valid_until=now + 20)
        return _again(learn, state, arguments, message)

    return granted


def _silence_is_a_yes(view: Election, message: Message, now: Instant) -> Message:
    if isinstance(message, LeaseUnconfirmed) and message.action == "renew":
        return LeaderRenewed(member=view.member, valid_until=now + 20)
    return message


def _count_from_the_answer(learn: Any) -> Any:
    """The lease is taken to begin when the answer comes."""

    def later(state: Any, *arguments: Any) -> Any:
        message, now = _message_and_now(arguments)
        if isinstance(message, LeaderAcquired | LeaderRenewed):
            message = message.model_copy(update={"valid_until": now + 20})
        return _again(learn, state, arguments, message)

    return later


def _message_and_now(arguments: tuple[Any, ...]) -> tuple[Message, Instant]:
    if len(arguments) == 2:
        return arguments[0], arguments[1]
    return arguments[0].message, arguments[0].at


def _again(learn: Any, state: Any, arguments: tuple[Any, ...], message: Message) -> Any:
    if len(arguments) == 2:
        return learn(state, message, arguments[1])
    return learn(state, replace(arguments[0], message=message))


def _start_again_without_the_lease(view: Election, now: Instant) -> Conclusion | None:
    """A crashed primary starts again, whoever leads."""
    if view.phase != "stopped" or view.busy is not None or not view.was_primary:
        return None
    if view.settings is None or view.shutdown:
        return None
    safe = replace(view, lease_until=now + 100, asking=None, fencing="stands")
    return election_creation.start_the_primary_again(safe, now)


def _release_before_the_stop(view: Election, now: Instant) -> Conclusion | None:
    """A switchover gives the key up when it begins, not when PostgreSQL has stopped."""
    begun = election_shutdown.begin_the_switchover(view, now)
    if begun is None or begun.state.switchover is None:
        return begun
    assert view.settings is not None
    release = ReleaseLeader(
        member=view.member, last_lsn=None, deadline=now + view.settings.retry_timeout
    )
    return replace(begun, said=(*begun.said, release))


def _hand_over_before_the_stop(view: Election, now: Instant) -> Conclusion | None:
    if view.switchover is None or view.phase == "stopped":
        return election_shutdown.hand_the_lease_over(view, now)
    return election_shutdown.hand_the_lease_over(
        replace(view, shutdown_lsn=view.position), now
    )


def _without_a_limit(say: Any) -> Any:
    """The order to PostgreSQL may be carried out however late."""

    def order(supervisor: Supervisor) -> Command:
        command: Command = say(supervisor)
        return command.model_copy(update={"not_after": None})

    return order


def _rows_with(name: str, change: Callable[[Any], Any]) -> Patch:
    """The table of the supervisor, rows that say `name` changed."""

    def become(table: Any) -> Any:
        return tuple(
            replace(row, say=change(row.say))
            if row.say is not None and row.say.__name__ == name
            else row
            for row in table
        )

    return Patch(supervisor_taking, "TRANSITIONS", become)


def _rows_without(condition: str) -> Patch:
    def become(table: Any) -> Any:
        return tuple(
            row for row in table if row.when is None or row.when.__name__ != condition
        )

    return Patch(supervisor_taking, "TRANSITIONS", become)


# Law 2: the guard.


def _guard_without(rule: Any) -> Patch:
    def become(table: Any) -> Any:
        return tuple(r for r in table if r is not rule)

    return Patch(watchdog, "RULES", become)


def _arm_once(state: Watchdog, now: Instant) -> Remark[Watchdog] | None:
    """A renewal does not move the deadline; nor does it need to, says the mutant."""
    return watchdog.arm_the_guard(state, now) if state.armed_until is None else None


def _arm_late(state: Watchdog, now: Instant) -> Remark[Watchdog] | None:
    armed = watchdog.arm_the_guard(state, now)
    if armed is None:
        return None
    said = tuple(
        ArmGuard(deadline=one.deadline + 10) if isinstance(one, ArmGuard) else one
        for one in armed.said
    )
    return replace(armed, said=said)


def _guard_instead(rule: Any, other: Any) -> Patch:
    def become(table: Any) -> Any:
        return tuple(other if r is rule else r for r in table)

    return Patch(watchdog, "RULES", become)


# Law 4 and 5: synchronous mode, divergence.


def _value_first(proposals: Any) -> Any:
    """Out of PostgreSQL before out of the key."""

    def proposed(situation: SyncSituation, key: Electors) -> Any:
        yield SetValue(situation.target, "choose_synchronous_standbys")
        yield from proposals(situation, key)

    return proposed


def _no_lag_is_too_large(judge: Any) -> Any:
    def judged(peers: Any, cluster: Any, settings: Any, **others: Any) -> Any:
        careless = settings.model_copy(update={"maximum_lag_on_failover": 10**9})
        return judge(peers, cluster, careless, **others)

    return judged


def _follow_without_a_look(accept: Any) -> Any:
    def accepted(supervisor: Supervisor, wanted: Any) -> Any:
        if isinstance(wanted, FollowLeader):
            wanted = wanted.model_copy(update={"check_divergence": False})
        return accept(supervisor, wanted)

    return accepted


def _creation_refused_is_a_yes(learn: Any) -> Any:
    def learned(view: Election, message: Message, now: Instant) -> Election:
        if isinstance(message, KeyRefused) and message.key == "initialize":
            message = KeyWritten(key="initialize", revision=None)
        return learn(view, message, now)  # type: ignore[no-any-return]

    return learned


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "promote without the lease",
        (
            _instead(
                election_race.acquire_as_the_best_candidate, _promote_without_the_lease
            ),
        ),
        _only(ASYNCHRONOUS, faults=0),
        begins="leaderless",
    ),
    Mutant(
        "take a refusal of the lease for a yes",
        (
            Patch(election_learning, "learn_of_lease", _refusal_is_a_yes),
            Patch(watchdog, "learn", _refusal_is_a_yes),
        ),
        _only(ASYNCHRONOUS, "late request", members=3, symmetric=False),
        begins="leaderless",
    ),
    Mutant(
        "take silence for a renewal",
        (_heard_as(_silence_is_a_yes),),
        _only(ASYNCHRONOUS, "cut from store"),
    ),
    Mutant(
        "count the lease from the answer",
        (
            Patch(election_learning, "learn_of_lease", _count_from_the_answer),
            Patch(watchdog, "learn", _count_from_the_answer),
        ),
        _only(ASYNCHRONOUS, "late request", "cut from store", faults=2),
    ),
    Mutant(
        "renew after the deadline and not step down",
        (_without(election_lease.step_down_before_the_lease_ends),),
        _only(ASYNCHRONOUS, "cut from store"),
    ),
    Mutant(
        "take the late end of a postmaster for that of the one that runs",
        (_always(postmaster.Postmaster, "is_late", False),),
        _only(
            ASYNCHRONOUS,
            "crash postgres",
            "late end",
            faults=2,
            wishes=1,
            wished=("switchover",),
        ),
    ),
    Mutant(
        "start as primary after a crash without the lease",
        (
            _instead(
                election_creation.start_the_primary_again,
                _start_again_without_the_lease,
            ),
        ),
        _only(ASYNCHRONOUS, "kill host", mended=START),
    ),
    Mutant(
        "release the key before PostgreSQL has stopped",
        (_instead(election_shutdown.begin_the_switchover, _release_before_the_stop),),
        _only(ASYNCHRONOUS, "late order", wishes=1, wished=("switchover",)),
    ),
    Mutant(
        "hand the key over before PostgreSQL has stopped",
        (_instead(election_shutdown.hand_the_lease_over, _hand_over_before_the_stop),),
        _only(ASYNCHRONOUS, "late order", wishes=1, wished=("switchover",)),
    ),
    Mutant(
        "start as primary however late the order is read",
        (_rows_with("start_primary", _without_a_limit),),
        _only(
            ASYNCHRONOUS,
            "crash postgres",
            "freeze daemon",
            faults=2,
            mended=THAW,
            members=1,
        ),
    ),
    Mutant(
        "create the cluster although another does",
        (Patch(election_learning, "_learn_of_keys", _creation_refused_is_a_yes),),
        _only(ASYNCHRONOUS, faults=0, reorderings=3),
        begins="empty",
    ),
    Mutant(
        "not stand back for a primary that runs",
        (_without(election_race.stand_back_for_a_running_primary),),
        _only(ASYNCHRONOUS, "delete leader key", "late watch", faults=2),
    ),
    Mutant(
        "never arm the guard",
        (_guard_without(watchdog.arm_the_guard),),
        _only(ASYNCHRONOUS, "freeze daemon"),
    ),
    Mutant(
        "never move the guard's deadline",
        (_guard_instead(watchdog.arm_the_guard, _arm_once),),
        _only(ASYNCHRONOUS, faults=0),
    ),
    Mutant(
        "arm the guard for a moment after the lease",
        (_guard_instead(watchdog.arm_the_guard, _arm_late),),
        _only(ASYNCHRONOUS, "freeze daemon"),
    ),
    Mutant(
        "disarm the guard when told to stop, not when stopped",
        (
            _property(watchdog_state.Watchdog, "is_harmless", lambda w: w.leaving),
            Patch(
                watchdog_state.Watchdog,
                "needs_guard",
                lambda old: lambda self, now: not self.leaving and old(self, now),
            ),
        ),
        _only(ASYNCHRONOUS, "cut from store", "late order", faults=2),
    ),
    Mutant(
        "forget the sync key in the race",
        (
            _always(candidates, "_sync_allows", True),
            _without(election_race.claim_the_sync_key),
            _always(election_race, "_sync_is_ours", True),
        ),
        _only(SYNCHRONOUS, "kill host", members=3, writes=0, symmetric=False),
        begins="leaderless",
    ),
    Mutant(
        "lead without the votes",
        (_always(election_race, "_has_the_votes", True),),
        _only(QUORUM, "kill host"),
        begins="uneven",
    ),
    Mutant(
        "promote without claiming the sync key",
        (
            _without(election_race.claim_the_sync_key),
            _always(election_race, "_sync_is_ours", True),
        ),
        _only(SYNCHRONOUS, faults=0),
        begins="leaderless",
    ),
    Mutant(
        "let go of a synchronous standby before the key does",
        (
            _always(sync_plan, "may_set_value", True),
            Patch(sync_plan, "_towards_priority", _value_first),
        ),
        _only(SYNCHRONOUS, "kill host"),
    ),
    Mutant(
        "name a standby in the key that has not caught up",
        (
            Patch(
                sync_plan,
                "_is_synchronous",
                lambda _: lambda situation, name: name in situation.streaming,
            ),
            _always(sync_plan, "may_write_key", True),
            _always(sync_plan, "is_safe", True),
        ),
        _only(SYNCHRONOUS, "late stream", mended=START),
        begins="alone",
    ),
    Mutant(
        "ignore the maximum lag",
        (Patch(election_race, "judge", _no_lag_is_too_large),),
        _only(
            ASYNCHRONOUS,
            "late stream",
            "kill host",
            faults=2,
            writes=1,
            settings={"maximum_lag_on_failover": 50},
        ),
    ),
    Mutant(
        "follow without a look at the histories",
        (Patch(postgres_supervisor, "accept", _follow_without_a_look),),
        _only(ASYNCHRONOUS, faults=0, mended=START),
        begins="diverged",
    ),
    Mutant(
        "take diverged data for data that may follow",
        (_rows_without("diverged"), _rows_without("diverged_and_rewindable")),
        _only(ASYNCHRONOUS, faults=0, mended=START),
        begins="diverged",
    ),
)

LIVENESS: tuple[Mutant, ...] = (
    Mutant(
        "never race for a free lease",
        (
            _without(
                election_race.acquire_as_the_best_candidate,
                election_race.acquire_as_the_next_candidate,
            ),
        ),
        _only(ASYNCHRONOUS, faults=0),
        begins="leaderless",
        recovers=True,
    ),
    Mutant(
        "never start a stopped standby",
        (_without(election_creation.start_as_standby),),
        _only(ASYNCHRONOUS, faults=0),
        begins="leaderless",
        recovers=True,
    ),
    Mutant(
        "never follow another leader",
        (
            _without(
                election_following.follow_the_leader,
                election_following.compare_histories_of_a_standby_that_does_not_stream,
            ),
        ),
        _only(ASYNCHRONOUS, faults=0, members=3),
        begins="leaderless",
        recovers=True,
    ),
    Mutant(
        "never rewind what has diverged",
        (_rows_without("diverged_and_rewindable"),),
        _only(ASYNCHRONOUS, faults=0),
        begins="diverged",
        recovers=True,
    ),
    Mutant(
        "never clone a member without data",
        (_without(election_creation.clone_this_member),),
        _only(ASYNCHRONOUS, faults=0),
        begins="empty",
        recovers=True,
    ),
)
"""Mutants after which the cluster does not come to rest any more."""

MASKED: tuple[Mutant, ...] = (
    Mutant(
        "promote however late the order is read",
        (_rows_with("promote", _without_a_limit),),
        _only(ASYNCHRONOUS, "freeze daemon", mended=THAW),
        begins="leaderless",
    ),
)
"""Mutants that break no law, because another rule stands behind the broken one: here the
guard, which ends the standby before its lease ends.  They are explored to the end."""
