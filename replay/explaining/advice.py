"""Advice: which setting would have made it faster or safer, and at what price.

Read ADVISERS: each looks at one outage and knows one setting.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from regnal.messages.base import Seconds
from regnal.replay.explaining.findings import Finding
from regnal.replay.explaining.hindrances import candidates_of, verdict_of
from regnal.replay.explaining.look import Look
from regnal.replay.explaining.story import Advice, Loss, Phase

LEAST_TTL: Seconds = 20.0
"""The smallest that is allowed."""

WORTH_A_CHANGE: Seconds = 2.0

LONG: Seconds = 5.0
"""A restart in place that takes longer than this is slower than most failovers."""

WAITED_FOR_THE_LEASE = (
    "host_lost",
    "daemon_killed",
    "daemon_frozen",
    "daemon_stalled",
    "fenced_by_guard",
    "watchdog",
    "leader_cut_off_from_dcs",
    "unknown",
)


@dataclass(frozen=True)
class Told:
    """What the advisers look at."""

    look: Look
    root: str
    hindrances: tuple[Finding, ...]
    phases: tuple[Phase, ...]
    loss: Loss | None
    settings: dict[str, Any]
    """Of the former leader, as it stopped writing."""


Adviser = Callable[[Told], Iterator[Advice]]


def advice(told: Told) -> tuple[Advice, ...]:
    return tuple(one for adviser in ADVISERS for one in adviser(told))


def shorter_lease(told: Told) -> Iterator[Advice]:
    """Most of the time went by until the key expired."""
    lease = told.settings.get("ttl")
    if told.root not in WAITED_FOR_THE_LEASE or not isinstance(lease, int | float):
        return
    decision = next((p for p in told.phases if p.code == "decision"), None)
    if decision is None or decision.seconds < lease / 2:
        return
    if lease > LEAST_TTL:
        yield Advice(
            setting="ttl",
            now=f"{lease:g}",
            try_=f"{LEAST_TTL:g}",
            gain=f"the leader key would have expired {lease - LEAST_TTL:.0f} s earlier; a "
            "shorter lease also ends sooner when the DCS or the daemon only stumbles (with "
            "loop_wait and retry_timeout lowered to fit: loop_wait + 2 * retry_timeout <= ttl)",
        )
        return
    shortest = _shortest_lease(told.settings)
    if shortest is not None and lease - shortest >= WORTH_A_CHANGE:
        yield Advice(
            setting="fencing.lease",
            now=f"{lease:g}",
            try_=f"{shortest:g}",
            gain=f"the leader key would have expired {lease - shortest:.0f} s earlier; a "
            f"daemon or a host that stands still for {shortest:g} s is then replaced, too",
        )


def _shortest_lease(settings: dict[str, Any]) -> Seconds | None:
    """See `regnal.configuration.timers.lease_of`; None: not known."""
    loop_wait, retry_timeout = settings.get("loop_wait"), settings.get("retry_timeout")
    if loop_wait is None or retry_timeout is None:
        return None
    room: Seconds = loop_wait + retry_timeout + 1
    if settings.get("watchdog_mode") == "off":
        return room
    margin: Seconds = settings.get("watchdog_safety_margin", 0)
    return 2 * room if margin < 0 else room + margin


def failover_at_once(told: Told) -> Iterator[Advice]:
    """PostgreSQL was restarted in place, and that took long."""
    timeout = told.settings.get("primary_start_timeout")
    is_same = told.look.gap.successor == told.look.member
    took = told.look.end - told.look.ended_writing
    if not told.root.startswith(("postgres_", "disk_", "start_")) or timeout == 0:
        return
    if (
        took < LONG
        or not told.look.others
        or not (is_same or told.root == START_FAILED)
    ):
        return
    yield Advice(
        setting="primary_start_timeout",
        now=f"{timeout}",
        try_="0",
        gain=f"a healthy standby would have taken over instead of the {took:.1f} s that the "
        "start in place took; every crash then is a failover, and in asynchronous mode "
        "may cost the last transactions",
    )


START_FAILED = "start_failed_after_crash"


def synchronous(told: Told) -> Iterator[Advice]:
    """Acknowledged transactions were lost."""
    mode = told.settings.get("synchronous_mode")
    lost = told.loss is not None and told.loss.acknowledged != 0
    if told.loss is None or not lost or mode not in (None, "off"):
        return
    if told.loss.wal_bytes == 0:
        return
    yield Advice(
        setting="synchronous_mode",
        now="off",
        try_="on",
        gain="no acknowledged transaction would have been lost; every commit then waits for "
        "a standby",
    )


def failsafe(told: Told) -> Iterator[Advice]:
    """The DCS was away, and the members still reached each other."""
    if told.root not in ("dcs_down", "dcs_slow", "leader_cut_off_from_dcs"):
        return
    if told.settings.get("failsafe_mode"):
        return
    yield Advice(
        setting="failsafe_mode",
        now="false",
        try_="true",
        gain="the primary would have gone on, as long as all members answered it",
    )


def passed_over(told: Told) -> Iterator[Advice]:
    """What kept each candidate from leading, where that is a setting."""
    for hindrance in told.hindrances:
        if hindrance.code == "paused":
            yield Advice(
                setting="pause",
                now="true",
                try_="false",
                gain="a standby would have taken over (`regnalctl resume`)",
            )
        for step in hindrance.shown_by:
            for one in candidates_of(step):
                yield from _for_candidate(one, told.settings)


def _for_candidate(one: dict[str, Any], settings: dict[str, Any]) -> Iterator[Advice]:
    name, code = one.get("member"), verdict_of(one)
    values = _parameters(one)
    if code == "CANDIDATE_NOFAILOVER":
        yield Advice(
            setting=f"tags.nofailover, tags.failover_priority ({name})",
            now="nofailover",
            try_="failover_priority: 1",
            gain=f"{name} could have taken over; a low priority keeps it the last choice",
        )
    elif code == "CANDIDATE_LAG":
        yield Advice(
            setting="maximum_lag_on_failover",
            now=f"{values.get('limit')}",
            try_=f"{values.get('lag')}",
            gain=f"{name} could have taken over, without its last {values.get('lag')} bytes",
        )
    elif code == "CANDIDATE_NOT_SYNCHRONOUS":
        yield Advice(
            setting="synchronous_node_count",
            now=f"{settings.get('synchronous_node_count', 1)}",
            try_=f"{int(settings.get('synchronous_node_count') or 1) + 1}",
            gain=f"with more synchronous standbys {name} might have been one",
        )


def _parameters(candidate: dict[str, Any]) -> dict[str, Any]:
    verdict = candidate.get("verdict")
    parameters = verdict.get("parameters") if isinstance(verdict, dict) else None
    return {
        str(p.get("name")): p.get("value")
        for p in (parameters if isinstance(parameters, list) else ())
        if isinstance(p, dict)
    }


def guard(told: Told) -> Iterator[Advice]:
    """A daemon that could not act had nobody who fences for it."""
    if told.root not in ("daemon_killed", "daemon_frozen", "daemon_stalled"):
        return
    if told.settings.get("guard") is not False:
        return
    yield Advice(
        setting="fencing.guard",
        now="off",
        try_="on",
        gain="the guard would have ended PostgreSQL with the lease; without it a frozen "
        "daemon leaves a second primary",
    )


def rewind(told: Told) -> Iterator[Advice]:
    """The former leader was cloned anew where a rewind would have done."""
    cloned = told.look.evidence.first(
        told.look.ended_writing,
        told.look.evidence.end,
        "postgres_cloned",
        member=told.look.member,
    )
    if cloned is None or told.settings.get("use_pg_rewind"):
        return
    yield Advice(
        setting="postgresql.use_pg_rewind",
        now="false",
        try_="true",
        gain=f"{told.look.member} would have been rewound instead of copied anew (needs "
        "wal_log_hints or data checksums)",
    )


ADVISERS: tuple[Adviser, ...] = (
    shorter_lease,
    failover_at_once,
    synchronous,
    failsafe,
    passed_over,
    guard,
    rewind,
)
