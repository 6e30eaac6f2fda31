"""Explain: the story of the last change of leader, told from the members' journals.

Everything in the story is in a journal; where a journal ends or is missing, the
story says so instead of guessing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from regnal.messages.base import MemberName, Seconds
from regnal.replay.merge import Entry, merged

LOOK_BACK: Seconds = 120.0
"""How long before a promotion its story may begin."""

LOOK_ON: Seconds = 10.0
"""How long after a promotion its story goes on: the others follow, the former
leader comes back."""

NOTABLE = (
    "switchover_requested",
    "shutdown_requested",
    "postmaster_exited",
    "replication_ended",
    "store_unreachable",
    "store_answered",
    "lease_refused",
    "lease_unconfirmed",
    "leader_acquired",
    "leader_released",
    "leader_handed_over",
    "postgres_promoted",
    "postgres_stopped",
    "postgres_started",
    "postgres_rewound",
    "postgres_cloned",
    "divergence_checked",
    "operation_failed",
    "guard_fenced",
    "actor_failed",
    "stall_noticed",
    "daemon_started",
)
"""Messages that belong into a story by themselves."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the story."""

    at: float
    """Seconds since 1970."""

    member: MemberName
    actor: str
    what: str
    """A rule that spoke, or the kind of a message."""

    is_decision: bool
    heard: str | None
    """What the decision was an answer to."""

    facts: dict[str, Any]
    said: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the story."""

    name: str
    began_at: float
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class Story:
    """A change of leader."""

    verdict: str
    cause: str
    """A code: `switchover`, `leader_shut_down`, `postgres_crashed`, `lease_lost`,
    `leader_lost` or `unknown`."""

    former: MemberName | None
    leader: MemberName
    timeline: int
    promoted_at: float
    phases: tuple[Phase, ...]
    chain: tuple[Moment, ...]
    """From the first cause to the promotion, each moment the cause of the next."""

    moments: tuple[Moment, ...]
    missing: tuple[str, ...]
    """What would be needed to know more."""


@dataclass
class _Window:
    """The entries around a promotion."""

    promotion: Entry
    entries: list[Entry] = field(default_factory=list)
    last_heard_of: dict[MemberName, float] = field(default_factory=dict)

    def take(self, entry: Entry) -> None:
        since = entry.seconds - self.promotion.seconds
        self.last_heard_of[entry.member] = entry.seconds
        if -LOOK_BACK <= since <= LOOK_ON:
            self.entries.append(entry)


def explain(directories: Sequence[Path]) -> Story | None:
    """The last change of leader in these journals; None: there is none."""
    # Read twice, so that what is kept does not grow with the journals.
    promotion = None
    for entry in merged(directories, []):
        if entry.type == "postgres_promoted":
            promotion = entry
    if promotion is None:
        return None
    troubles: list[str] = []
    window = _Window(promotion)
    for entry in merged(directories, troubles):
        window.take(entry)
    return _tell(window, promotion, troubles)


def _tell(window: _Window, promotion: Entry, troubles: list[str]) -> Story:
    # A journal keeps back what is routine, so its order is not quite that of time.
    around = sorted(window.entries, key=lambda entry: entry.hlc)
    entries = _of_this_change(around, promotion)
    leader = promotion.member
    former = _former_leader(around, promotion)
    cause = _cause(around, entries, promotion, former)
    chain = _chain(entries, promotion)
    moments = tuple(_moments(entries))
    phases = _phases(around, entries, promotion, former)
    outage = sum(phase.seconds for phase in phases[-2:])
    timeline = int(promotion.data.get("timeline", 0))
    verdict = (
        f"{leader} took over from {former or 'nobody'} on timeline {timeline}: "
        f"{CAUSES[cause].format(former=former)}; {outage:.2f} s from the first notice to "
        "the promotion"
    )
    missing = list(troubles)
    if former is not None and former not in window.last_heard_of:
        missing.append(f"the journal of {former}, the former leader")
    return Story(
        verdict=verdict,
        cause=cause,
        former=former,
        leader=leader,
        timeline=timeline,
        promoted_at=promotion.seconds,
        phases=phases,
        chain=chain,
        moments=moments,
        missing=tuple(missing),
    )


TROUBLE = (
    "replication_ended",
    "postmaster_exited",
    "switchover_requested",
    "shutdown_requested",
    "store_unreachable",
    "lease_refused",
    "lease_unconfirmed",
)
"""With one of these the story of a change begins."""

BEFORE_TROUBLE: Seconds = 1.0
"""How much of the quiet before is told."""


def _of_this_change(entries: list[Entry], promotion: Entry) -> list[Entry]:
    """Without what belongs to an earlier change, and without the quiet before."""
    before = [entry for entry in entries if entry.hlc < promotion.hlc]
    earlier = [e.seconds for e in before if e.type == "postgres_promoted"]
    # The standbys of an earlier change settle for a moment; that is not our trouble.
    settled = max(earlier) + BEFORE_TROUBLE if earlier else 0.0
    troubles = [e.seconds for e in before if e.type in TROUBLE and e.seconds >= settled]
    begin = min([*troubles, promotion.seconds]) - BEFORE_TROUBLE
    return [entry for entry in entries if entry.seconds >= begin]


CAUSES = {
    "switchover": "a switchover that was asked for",
    "leader_shut_down": "the daemon of {former} was stopped",
    "postgres_crashed": "PostgreSQL of {former} ended and was not started again",
    "lease_lost": "{former} could not keep its lease and stepped down",
    "leader_lost": "{former} fell silent (its host or its daemon was lost)",
    "bootstrap": "the cluster is new",
    "unknown": "the journals do not say why",
}


def _former_leader(entries: list[Entry], promotion: Entry) -> MemberName | None:
    """Whoever held the key last, by what the new leader observed."""
    holder: MemberName | None = None
    for entry in entries:
        if entry.hlc >= promotion.hlc:
            break
        if entry.member != promotion.member or entry.type != "cluster_observed":
            continue
        leader = entry.data["view"].get("leader")
        if leader and leader["name"] != promotion.member:
            holder = leader["name"]
    return holder


def _cause(
    around: list[Entry],
    entries: list[Entry],
    promotion: Entry,
    former: MemberName | None,
) -> str:
    """What the former leader's own journal says; `entries` are those of the change."""
    if former is None:
        return "unknown"
    if not any(e.member == former and e.hlc < promotion.hlc for e in around):
        return "unknown"
    own = [e for e in entries if e.member == former and e.hlc < promotion.hlc]
    rules = {
        e.rule for e in own if e.kind == "step" and e.fields["actor"] == "election"
    }
    if "begin_the_switchover" in rules:
        return "switchover"
    if any(e.type == "shutdown_requested" for e in own):
        return "leader_shut_down"
    if any(rule and rule.startswith("step_down") for rule in rules):
        return "lease_lost"
    if "release_the_lease_of_a_dead_primary" in rules:
        return "postgres_crashed"
    return "leader_lost"


def _phases(
    around: list[Entry],
    entries: list[Entry],
    promotion: Entry,
    former: MemberName | None,
) -> tuple[Phase, ...]:
    """Stretches from the first notice to the promotion.

    A leader that fell silent wrote its last record some time before anybody could
    notice; the first stretch begins there, and may hold up to a heartbeat of quiet.
    """
    before = [entry for entry in entries if entry.hlc <= promotion.hlc]
    marks: list[tuple[str, float]] = []
    signs = [e for e in around if e.member == former and e.hlc < promotion.hlc]
    noticed = _first(before, lambda e: e.type in TROUBLE)
    acquired = _last(
        before, lambda e: e.type == "leader_acquired" and e.member == promotion.member
    )
    if noticed is not None:
        earlier = [e for e in signs if e.hlc < noticed.hlc]
        if earlier and signs[-1].hlc < noticed.hlc:
            marks.append(
                ("from its last record until somebody noticed", earlier[-1].seconds)
            )
        if acquired is not None and noticed.hlc < acquired.hlc:
            marks.append(("until the lease was free and taken", noticed.seconds))
    if acquired is not None:
        marks.append(("until PostgreSQL took writes", acquired.seconds))
    if not marks:
        return ()
    ends = [at for _, at in marks[1:]] + [promotion.seconds]
    return tuple(
        Phase(name, at, max(0.0, end - at))
        for (name, at), end in zip(marks, ends, strict=True)
    )


def _chain(entries: list[Entry], promotion: Entry) -> tuple[Moment, ...]:
    """Back from the promotion, from each message to its cause."""
    messages = {e.fields["id"]: e for e in entries if e.kind == "message"}
    steps = {
        said: e
        for e in entries
        if e.kind == "step"
        for said in e.fields.get("said", ())
    }
    chain: list[Moment] = []
    seen: set[str] = set()
    entry: Entry | None = promotion
    while entry is not None and entry.fields["id"] not in seen:
        identifier = entry.fields["id"]
        seen.add(identifier)
        chain.append(_message_moment(entry))
        step = steps.get(identifier)
        if step is not None:
            chain.append(_step_moment(step, messages))
        entry = messages.get(entry.fields.get("cause", ""))
    return tuple(reversed(chain))


def _moments(entries: list[Entry]) -> Iterable[Moment]:
    """What belongs into the story: notable messages and decisions."""
    messages = {e.fields["id"]: e for e in entries if e.kind == "message"}
    for entry in entries:
        if entry.kind == "message":
            if entry.type in NOTABLE:
                yield _message_moment(entry)
        elif _is_decision(entry, messages):
            yield _step_moment(entry, messages)


def _is_decision(entry: Entry, messages: dict[str, Entry]) -> bool:
    if entry.fields["actor"] not in STORY_ACTORS:
        return False
    said = [messages[i].type for i in entry.fields.get("said", ()) if i in messages]
    return bool(entry.fields.get("facts")) or any(t not in CHORES for t in said)


STORY_ACTORS = ("election", "postgres_supervisor", "sync_standby_manager", "watchdog")
CHORES = (
    "set_timer",
    "observe_postgres",
    "renew_leader",
    "touch_member",
    "publish_status",
    "arm_guard",
    "phase_changed",
    "intent_fulfilled",
)
"""What is said so often that it makes no decision."""


def _message_moment(entry: Entry) -> Moment:
    return Moment(
        at=entry.seconds,
        member=entry.member,
        actor=str(entry.fields["from"]),
        what=entry.type,
        is_decision=False,
        heard=None,
        facts={} if entry.type == "cluster_observed" else entry.data,
    )


def _step_moment(entry: Entry, messages: dict[str, Entry]) -> Moment:
    heard = messages.get(entry.fields["heard"])
    return Moment(
        at=entry.seconds,
        member=entry.member,
        actor=str(entry.fields["actor"]),
        what=entry.rule or "",
        is_decision=True,
        heard=heard.type if heard else None,
        facts=entry.fields.get("facts", {}),
        said=tuple(
            messages[i].type for i in entry.fields.get("said", ()) if i in messages
        ),
    )


def _first(entries: Iterable[Entry], wanted: Any) -> Entry | None:
    return next((entry for entry in entries if wanted(entry)), None)


def _last(entries: Sequence[Entry], wanted: Any) -> Entry | None:
    return _first(reversed(entries), wanted)
