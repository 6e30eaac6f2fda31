"""The outline of a story: what is told in which order, whatever the form."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from regnal.bridges.postgres.wal import format_lsn
from regnal.replay.evidence.wall import clock_text
from regnal.replay.explaining.story import (
    Author,
    Candidate,
    Link,
    Phase,
    Story,
    View,
)

BAR_WIDTH = 30
"""Characters of the longest bar."""

SHORT_VIEW = 25
"""Lines of what a member saw, unless everything is asked for."""

SHORT_CHAIN = 40

ROLES = {"former_leader": "led before", "new_leader": "leads after", "other": ""}

KINDS = {
    "leader_changed": "the leader changed",
    "primary_interrupted": "the primary was interrupted",
    "leaderless": "the cluster lost its leader",
    "leader_key_lost": "the leader key was lost, and came back",
    "store_outage": "the DCS did not answer",
    "replica_lost": "a standby was lost",
    "replica_rebuilt": "a standby was rebuilt",
    "daemon_interrupted": "a daemon was gone for a while",
    "stall": "a daemon did not run for a while",
    "clock_stepped": "a wall clock was set",
    "request_failed": "a request was refused, or failed",
    "switchover_failed": "a switchover was given up",
    "synchronous_changed": "the synchronous standbys changed",
    "paused": "automatic failover was paused",
    "cluster_stopped": "the cluster was stopped",
    "cluster_created": "the cluster was created",
}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells; columns may be told apart by a heading."""

    rows: Sequence[Sequence[str]]
    heading: Sequence[str] = ()
    links: Sequence[Link] = ()
    """What the rows tell, one for each, for a form that can lead there; or none."""


SectionCode = Literal[
    "verdict",
    "phases",
    "chain",
    "candidates",
    "view",
    "episodes",
    "advice",
    "troubles",
]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the account."""

    code: SectionCode
    """What it is about, for a form that shows some in its own way."""

    title: str
    lines: Sequence[str] = ()
    table: Table | None = None
    more: str = ""
    """What was left out, and how it is seen."""


@dataclass(frozen=True, slots=True)
class Outline:
    title: str
    when: str
    verdict: str
    sections: Sequence[Section]


def outline(story: Story, *, is_full: bool) -> Outline:
    who = story.former
    if story.leader is not None and story.leader != story.former:
        who = f"{story.former}, then {story.leader}"
    began = clock_text(story.began, with_date=True)
    return Outline(
        title=f"{story.name}: {KINDS.get(story.kind, story.kind)} ({who})",
        when=f"Cluster {story.scope}, from {began} UTC for "
        f"{story.ended - story.began:.1f} s",
        verdict=f"{story.verdict.sentence}.",
        sections=tuple(_sections(story, is_full=is_full)),
    )


def _sections(story: Story, *, is_full: bool) -> Iterator[Section]:
    yield _verdict(story)
    if story.phases:
        yield _phases(story)
    if story.chain:
        shown = story.chain if is_full else story.chain[-SHORT_CHAIN:]
        yield Section(
            "chain",
            "What led to it, each line the cause of the next",
            table=_moments(shown, story),
            more=_left_out(len(story.chain) - len(shown)),
        )
    if story.candidates:
        yield _candidates(story)
    for view in story.views:
        yield _view(view, story, is_full=is_full)
    if story.episodes:
        yield Section(
            "episodes", "Meanwhile", [f"{episode.text}" for episode in story.episodes]
        )
    if story.advice:
        yield _advice(story)
    if story.troubles:
        yield Section(
            "troubles", "About the journals", [one.text for one in story.troubles]
        )


def _verdict(story: Story) -> Section:
    verdict = story.verdict
    cause = verdict.cause
    if verdict.root != cause:
        cause += f" (after {verdict.root})"
    rows = [["cause", cause]]
    if verdict.note:
        rows.append(["the kernel says", verdict.note])
    rows += [
        ["shown by", f"{_clock(p.moment)} {p.member}: {p.text} (record {p.at.record})"]
        for p in verdict.proofs
    ]
    rows.append(["judged by", f"{verdict.rule}{_facts(verdict.facts)}"])
    if story.author is not None:
        rows.append(["asked for by", author_text(story.author)])
    if story.outage is not None:
        rows.append(["the outage", story.outage.how])
    if story.loss is not None:
        rows.append(["lost", story.loss.sentence])
    rows += [["missing", text] for text in verdict.missing]
    if verdict.alternatives:
        rows.append(["not excluded", ", ".join(verdict.alternatives)])
    rows.append(["remedy", verdict.remedy])
    return Section("verdict", "Verdict", table=Table(rows))


def _facts(facts: dict[str, object]) -> str:
    plain = [
        f"{name.replace('_', ' ')} "
        + (_clock(value) if name.endswith("_at") else _number(value))
        for name, value in facts.items()
        if isinstance(value, int | float | str)
    ]
    return f": {', '.join(plain)}" if plain else ""


def _number(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def author_text(author: Author) -> str:
    """Who asked, and whom."""
    if author.address is None:
        how = {
            "shutdown": "a signal to the daemon",
            "switchover": "a request in the DCS",
            "restart": "a schedule",
        }.get(author.what, "somebody")
        return f"{how} of {author.through}"
    who = author.username or author.user_agent or "somebody without a name"
    return f"{who} from {author.address}, through {author.through} ({author.what})"


def _phases(story: Story) -> Section:
    longest = max((phase.seconds for phase in story.phases), default=0.0) or 1.0
    return Section(
        "phases",
        "How long it took",
        table=Table([_phase(phase, longest) for phase in story.phases]),
    )


def _phase(phase: Phase, longest: float) -> list[str]:
    bar = "█" * round(phase.seconds / longest * BAR_WIDTH) or "▏"
    return [
        phase.code.replace("_", " "),
        f"{phase.seconds:8.3f} s",
        bar.ljust(BAR_WIDTH),
        phase.what,
    ]


def _candidates(story: Story) -> Section:
    return Section(
        "candidates",
        "The candidates",
        table=Table(
            [_candidate(one) for one in story.candidates],
            heading=("member", "", "by", "position", "timeline", "why"),
        ),
    )


def _candidate(one: Candidate) -> list[str]:
    return [
        one.member,
        "taken" if one.taken else "passed over",
        one.judged_by,
        "" if one.position is None else format_lsn(one.position),
        "" if one.timeline is None else str(one.timeline),
        one.sentence,
    ]


def _view(view: View, story: Story, *, is_full: bool) -> Section:
    role = ROLES[view.role]
    title = f"What {view.member} saw" + (f" ({role})" if role else "")
    if not view.has_journal:
        return Section("view", title, ["its journal is missing"])
    if not view.moments:
        return Section("view", title, ["nothing of note"])
    shown = view.moments if is_full else view.moments[:SHORT_VIEW]
    return Section(
        "view",
        title,
        table=_moments(shown, story),
        more=_left_out(len(view.moments) - len(shown)),
    )


def _moments(links: Sequence[Link], story: Story) -> Table:
    return Table([_moment(link, story) for link in links], links=links)


def _moment(link: Link, story: Story) -> list[str]:
    since = story.outage.since if story.outage is not None else story.began
    sign = "→" if link.is_decision else "·"
    return [
        _clock(link.moment),
        f"{link.moment - since:+9.3f}",
        link.member,
        link.part,
        f"{sign} {link.text}",
    ]


def _advice(story: Story) -> Section:
    rows = []
    for one in story.advice:
        change = f"{one.now} → {one.try_}" if one.try_ else one.now
        rows.append([one.setting, change, one.gain])
    return Section("advice", "What would have helped", table=Table(rows))


def _left_out(count: int) -> str:
    return f"and {count} more (--full)" if count > 0 else ""


def _clock(moment: object) -> str:
    return clock_text(moment) if isinstance(moment, int | float) else "?"
