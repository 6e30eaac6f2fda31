"""The causal chain: from the end of the outage back to its first cause, also across
members.

Within a member every message names its cause.  What crosses from one member to
another is the leader key: who sees it go sees what the former leader did with it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic_core import to_json

from regnal.messages.base import MemberName, Seconds
from regnal.replay.evidence.wall import clock_text
from regnal.replay.explaining.story import Link, Reference
from regnal.replay.explaining.window import Surroundings, Told
from regnal.replay.explaining.words import words_of

LONGEST_FACTS = 8 * 1024
"""Bytes of the facts of one link; the journal has all of them."""

KEY_LEFT_BY = ("leader_released", "leader_handed_over", "release_leader")
"""With one of these the former leader let go of its key."""

SEEN_WITHIN: Seconds = 2.0
"""Of a change of the leader key, by those who watch it."""

NOTABLE = frozenset(
    {
        "actor_failed",
        "clock_skew_seen",
        "clock_stepped",
        "crash_recovered",
        "daemon_started",
        "database_initialised",
        "demote_postgres",
        "divergence_checked",
        "failsafe_answered",
        "fencing_judged",
        "guard_failed",
        "guard_fenced",
        "intent_failed",
        "leader_acquired",
        "leader_elected",
        "leader_handed_over",
        "leader_lost",
        "leader_released",
        "lease_refused",
        "lease_unconfirmed",
        "member_joined",
        "member_left",
        "operation_failed",
        "peers_probed",
        "postgres_cloned",
        "postgres_promoted",
        "postgres_rewound",
        "postgres_started",
        "postgres_stopped",
        "postmaster_exited",
        "pre_promote_ended",
        "replication_ended",
        "restart_requested",
        "shutdown_completed",
        "shutdown_requested",
        "stall_noticed",
        "store_answered",
        "store_unreachable",
        "switchover_requested",
    }
)
"""Messages that are told by themselves."""

TOLD_ACTORS = ("election", "postgres_supervisor", "sync_standby_manager")
"""Actors whose decisions are told."""

QUIET_RULES = frozenset(
    {
        "",
        "keep_leading",
        "keep_following",
        "keep_hands_off_in_pause",
        "wait_for_the_supervisor",
        "wait_to_be_informed",
        "look_whether_we_stream",
        "wait_for_the_answers",
        "wait_for_the_last_record",
    }
)
"""Rules that say that there is nothing to do, or not yet."""


def is_told(one: Told) -> bool:
    """Whether it belongs into the account of its member."""
    if not one.is_step:
        return one.what in NOTABLE
    return one.part in TOLD_ACTORS and one.what not in QUIET_RULES


def chain_to(
    end: Told | None,
    former: MemberName,
    around: Surroundings,
    roots: Iterable[str] = (),
) -> tuple[Link, ...]:
    """From the first cause to `end`; empty if there is no end.

    `roots` are ids of messages that show the cause, of whatever member; they come
    first where the chain does not lead back to them.
    """
    if end is None:
        return ()
    backwards = list(_backwards(end, around))
    first = backwards[-1]
    if first.member != former:
        left = _key_left(first, former, around)
        if left is not None:
            backwards += _backwards(left, around)
    known = {one.id for one in backwards}
    before = [
        around.messages[root]
        for root in roots
        if root in around.messages and root not in known
    ]
    before.sort(key=lambda one: one.moment)
    return links([*before, *reversed(backwards)], around)


def links(told: Iterable[Told], around: Surroundings) -> tuple[Link, ...]:
    """As the story tells them."""
    return tuple(link(one, around) for one in told)


def link(one: Told, around: Surroundings) -> Link:
    return Link(
        moment=one.moment,
        member=one.member,
        part=one.part,
        what=one.what,
        is_decision=one.is_step,
        heard=around.type_of(one.id) if one.is_step else None,
        facts=facts_of(one),
        said=tuple(filter(None, map(around.type_of, one.said))),
        text=words_of(one.what, one.data, is_decision=one.is_step, offset=one.offset),
        at=Reference(member=one.member, record=one.record),
    )


def facts_of(one: Told) -> dict[str, Any]:
    """Without the cluster's whole state, which `regnal replay state` shows."""
    facts = {
        name: value
        for name, value in one.data.items()
        if name not in ("view", "control")
    }
    if len(to_json(facts)) <= LONGEST_FACTS:
        return facts
    return {
        name: value
        for name, value in facts.items()
        if len(to_json(value)) <= LONGEST_FACTS // 8
    }


def moments_of(member: MemberName, around: Surroundings) -> tuple[Link, ...]:
    """What this member saw and decided; what it did again and again is told once, with
    how often and until when."""
    told: list[Link] = []
    often: list[int] = []
    last: list[float] = []
    for one in around.of(member):
        if not is_told(one):
            continue
        found = link(one, around)
        again = next(
            (i for i in range(-1, -1 - CYCLE, -1) if _is_like(told, i, found)), None
        )
        if again is None:
            told.append(found)
            often.append(1)
            last.append(found.moment)
        else:
            often[again] += 1
            last[again] = found.moment
    return tuple(
        _repeated(one, times, until)
        for one, times, until in zip(told, often, last, strict=True)
    )


CYCLE = 2
"""Moments that may take turns and still count as repetitions: a question and its answer."""


def _is_like(told: Sequence[Link], index: int, one: Link) -> bool:
    if -index > len(told):
        return False
    before = told[index]
    return (before.part, before.what, before.text) == (one.part, one.what, one.text)


def _repeated(one: Link, times: int, until: float) -> Link:
    if times == 1:
        return one
    text = f"{one.text}, {times} times until {clock_text(until)}"
    return one.model_copy(update={"text": text})


def _backwards(end: Told, around: Surroundings) -> Iterator[Told]:
    """From a message to its causes; each decision before what it heard."""
    seen: set[str] = set()
    message: Told | None = end
    while message is not None and message.id not in seen:
        seen.add(message.id)
        yield message
        step = around.sayers.get(message.id)
        if step is not None:
            yield step
        message = around.messages.get(message.cause or "")


def _key_left(seen: Told, former: MemberName, around: Surroundings) -> Told | None:
    """What the former leader did with its key, shortly before it was seen to change."""
    found: Sequence[Told] = [
        one
        for one in around.of(former)
        if not one.is_step
        and one.what in KEY_LEFT_BY
        and -SEEN_WITHIN <= one.moment - seen.moment <= SEEN_WITHIN
    ]
    return found[-1] if found else None
