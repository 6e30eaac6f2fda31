"""Episodes: what is worth telling beside the outages of writing.

Read FINDERS: each finds one kind of them in the evidence.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from regnal.messages.base import MemberName, Seconds
from regnal.replay.evidence.evidence import Evidence, Happening, Moment, Span
from regnal.replay.evidence.gaps import missing
from regnal.replay.evidence.reigns import Reign

EpisodeKind = Literal[
    "leader_key_lost",
    "store_outage",
    "replica_lost",
    "replica_rebuilt",
    "daemon_interrupted",
    "stall",
    "clock_stepped",
    "request_failed",
    "switchover_failed",
    "synchronous_changed",
    "paused",
    "cluster_created",
]

BLINK: Seconds = 3.0
"""A standby that streams again within this time was not lost."""

TOGETHER: Seconds = 5.0
"""What befalls several members within this time of each other is one episode."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One of them."""

    kind: EpisodeKind
    weight: Literal["outage", "degraded", "notice"]
    began: Moment
    ended: Moment
    member: MemberName
    members: tuple[MemberName, ...]
    """All that it befell."""

    name: str
    text: str
    """One sentence for people."""


Finder = Callable[[Evidence, Sequence[Reign]], Iterator[Episode]]


def episodes(evidence: Evidence, reigns: Sequence[Reign]) -> tuple[Episode, ...]:
    """All of them, in order."""
    found = [episode for find in FINDERS for episode in find(evidence, reigns)]
    return tuple(sorted(found, key=lambda episode: episode.began))


def leader_keys_lost(evidence: Evidence, reigns: Sequence[Reign]) -> Iterator[Episode]:
    """The key went, and came back to the same member."""
    for before, after in pairwise(reigns):
        if before.holder == after.holder and before.ended is not None:
            yield Episode(
                kind="leader_key_lost",
                weight="degraded",
                began=before.ended,
                ended=after.began,
                member=before.holder,
                members=(before.holder,),
                name=before.name,
                text=f"the leader key was gone for {after.began - before.ended:.1f} s, "
                f"then {before.holder} held it again",
            )


def store_outages(evidence: Evidence, reigns: Sequence[Reign]) -> Iterator[Episode]:
    """The store did not answer."""
    spans = [
        span
        for member in evidence.members
        for span in evidence.lane(member, "store")
        if span.state == "unreachable" and not _is_leaving(evidence, member, span.since)
    ]
    for together in _joined(evidence, spans):
        members = tuple(sorted({span.member for span in together}))
        ended = max(_until(evidence, span) for span in together)
        began = together[0].since
        yield Episode(
            kind="store_outage",
            weight="degraded",
            began=began,
            ended=ended,
            member=together[0].member,
            members=members,
            name=f"store-{together[0].member}-{together[0].record}",
            text=f"the DCS did not answer {_names(members)} for {ended - began:.1f} s",
        )


def replicas_lost(evidence: Evidence, reigns: Sequence[Reign]) -> Iterator[Episode]:
    """Standbys that streamed did so no more, for longer than a blink."""
    spans = [
        span
        for member in evidence.members
        for span in evidence.lane(member, "replication")
        if span.state == "ended"
        and _until(evidence, span) - span.since >= BLINK
        and not _is_leaving(evidence, member, span.since)
    ]
    for together in _joined(evidence, spans):
        members = tuple(sorted({span.member for span in together}))
        began = together[0].since
        ended = max(_until(evidence, span) for span in together)
        yield Episode(
            kind="replica_lost",
            weight="degraded",
            began=began,
            ended=ended,
            member=together[0].member,
            members=members,
            name=f"replica-{together[0].member}-{together[0].record}",
            text=f"{_names(members)} did not stream for {ended - began:.1f} s",
        )


def replicas_rebuilt(evidence: Evidence, reigns: Sequence[Reign]) -> Iterator[Episode]:
    for done in evidence.between(
        evidence.begin, evidence.end, "postgres_rewound", "postgres_cloned"
    ):
        how = "rewound" if done.what == "postgres_rewound" else "cloned"
        yield _at(done, "replica_rebuilt", "notice", f"{done.member} was {how}")


def daemons_interrupted(
    evidence: Evidence, reigns: Sequence[Reign]
) -> Iterator[Episode]:
    """A life ended without a word."""
    for member in evidence.members:
        for life in evidence.lives[member]:
            if life.life.end != "vanished":
                continue
            following = evidence.life_after(life)
            ended = following.began if following is not None else evidence.end
            yield Episode(
                kind="daemon_interrupted",
                weight="degraded",
                began=life.last,
                ended=ended,
                member=member,
                members=(member,),
                name=f"daemon-{member}-{life.life.incarnation}",
                text=f"the daemon of {member} ended without a word and was back after "
                f"{ended - life.last:.1f} s",
            )


def stalls(evidence: Evidence, reigns: Sequence[Reign]) -> Iterator[Episode]:
    for stall in evidence.between(evidence.begin, evidence.end, "stall_noticed"):
        began = stall.moment - missing(stall)
        text = f"the daemon of {stall.member} did not run for {missing(stall):.1f} s"
        yield _at(stall, "stall", "degraded", text, began=began)


def clocks_stepped(evidence: Evidence, reigns: Sequence[Reign]) -> Iterator[Episode]:
    for step in evidence.between(evidence.begin, evidence.end, "clock_stepped"):
        by = float(step.data.get("step", 0.0))
        text = f"the wall clock of {step.member} was set by {by:+.1f} s"
        yield _at(step, "clock_stepped", "notice", text)


def requests_failed(evidence: Evidence, reigns: Sequence[Reign]) -> Iterator[Episode]:
    """Refused, or could not be done."""
    for answer in evidence.between(
        evidence.begin, evidence.end, "request_answered", "request_rejected"
    ):
        status = answer.data.get("status")
        if not isinstance(status, int) or status < REFUSED:
            continue
        if answer.what == "request_rejected":
            asked = f"{answer.data.get('method')} {answer.data.get('path')}"
            why = answer.data.get("why")
        else:
            asked, why = "a request", answer.data.get("body")
        yield _at(
            answer,
            "request_failed",
            "notice",
            f"{answer.member} answered {status} to {asked}: {str(why)[:SHOWN]}",
        )


REFUSED = 400
SHOWN = 120
"""Characters of an answer in a sentence."""


def switchovers_failed(
    evidence: Evidence, reigns: Sequence[Reign]
) -> Iterator[Episode]:
    for step in evidence.between(
        evidence.begin,
        evidence.end,
        "election/begin_the_switchover",
        "election/withdraw_an_unanswered_hand_over",
        "election/drop_a_stale_schedule",
    ):
        if step.what == "election/begin_the_switchover" and not step.data.get(
            "refused"
        ):
            continue
        text = {
            "election/begin_the_switchover": "nobody could take over",
            "election/drop_a_stale_schedule": "its time had passed, or could not be read",
        }.get(step.what, "the candidate did not take the leader key")
        yield _at(
            step,
            "switchover_failed",
            "degraded",
            f"a switchover from {step.member} was given up: {text}",
        )


def synchronous_changes(
    evidence: Evidence, reigns: Sequence[Reign]
) -> Iterator[Episode]:
    for write in evidence.between(evidence.begin, evidence.end, "write_sync"):
        standbys = write.data.get("standbys")
        names = ", ".join(map(str, standbys)) if isinstance(standbys, list) else ""
        text = f"synchronous standbys of {write.data.get('leader')}: {names or 'none'}"
        yield _at(write, "synchronous_changed", "notice", text)


def pauses(evidence: Evidence, reigns: Sequence[Reign]) -> Iterator[Episode]:
    """Told once for the cluster: by the first member that shows it."""
    told_until = evidence.begin - 1
    spans = sorted(
        (
            span
            for member in evidence.members
            for span in evidence.lane(member, "paused")
            if span.state == "paused"
        ),
        key=lambda span: span.since,
    )
    for span in spans:
        ended = _until(evidence, span)
        if span.since > told_until:
            yield Episode(
                kind="paused",
                weight="notice",
                began=span.since,
                ended=ended,
                member=span.member,
                members=(span.member,),
                name=f"pause-{span.member}-{span.record}",
                text=f"automatic failover was paused for {ended - span.since:.0f} s",
            )
        told_until = max(told_until, ended)


def clusters_created(evidence: Evidence, reigns: Sequence[Reign]) -> Iterator[Episode]:
    for done in evidence.between(evidence.begin, evidence.end, "database_initialised"):
        text = f"{done.member} created the cluster"
        yield _at(done, "cluster_created", "notice", text)


FINDERS: tuple[Finder, ...] = (
    leader_keys_lost,
    store_outages,
    replicas_lost,
    replicas_rebuilt,
    daemons_interrupted,
    stalls,
    clocks_stepped,
    requests_failed,
    switchovers_failed,
    synchronous_changes,
    pauses,
    clusters_created,
)


def _joined(evidence: Evidence, spans: Sequence[Span]) -> Iterator[list[Span]]:
    """Spans that overlap, or nearly do, in one."""
    together: list[Span] = []
    for span in sorted(spans, key=lambda span: span.since):
        if together:
            ended = max(_until(evidence, one) for one in together)
            if span.since > ended + TOGETHER:
                yield together
                together = []
        together.append(span)
    if together:
        yield together


def _until(evidence: Evidence, span: Span) -> Moment:
    return evidence.end if span.until is None else span.until


def _is_leaving(evidence: Evidence, member: MemberName, moment: Moment) -> bool:
    """Whether the member's daemon was told to end shortly before."""
    told = evidence.last(
        moment - TOGETHER * 2, moment + TOGETHER, "shutdown_requested", member=member
    )
    return told is not None


def _at(
    happening: Happening,
    kind: EpisodeKind,
    weight: Literal["outage", "degraded", "notice"],
    text: str,
    *,
    began: Moment | None = None,
) -> Episode:
    word = kind.partition("_")[0]
    return Episode(
        kind=kind,
        weight=weight,
        began=happening.moment if began is None else began,
        ended=happening.moment,
        member=happening.member,
        members=(happening.member,),
        name=f"{word}-{happening.member}-{happening.record}",
        text=text,
    )


def _names(members: Sequence[MemberName]) -> str:
    return " and ".join(members) if len(members) <= 2 else ", ".join(members)
