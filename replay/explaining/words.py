"""Words: what a message or a decision says, in a sentence for people."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from regnal.bridges.postgres.wal import format_lsn
from regnal.messages.base import Seconds
from regnal.messages.reasons import SENTENCES
from regnal.replay.evidence.wall import clock_text

LONGEST_VALUE = 80
"""Characters of a value in a sentence."""

INSTANTS = frozenset(
    {
        "at",
        "deadline",
        "due_at",
        "fence_at",
        "handed_at",
        "leader_gone_at",
        "lease_until",
        "not_after",
        "promised_until",
        "suspicious_since",
        "valid_until",
    }
)
"""Names under which messages and facts have instants of the host's own clock."""

Data = dict[str, Any]


def sentence_of(reason: Any) -> str:
    """The sentence of a reason, as the journal has it."""
    if not isinstance(reason, dict):
        return "" if reason is None else str(reason)
    code = str(reason.get("code"))
    parameters = reason.get("parameters")
    values = {
        str(p.get("name")): p.get("value")
        for p in (parameters if isinstance(parameters, list) else ())
        if isinstance(p, dict)
    }
    try:
        return SENTENCES[code].format(**values)
    except (KeyError, ValueError, TypeError, IndexError):
        return code


def words_of(
    what: str, data: Data, *, is_decision: bool, offset: Seconds | None = None
) -> str:
    """What happened, in a few words.

    `offset` turns instants of the host's boot clock into moments; None: they are left
    out.
    """
    shown = {name: _in_time(name, value, offset) for name, value in data.items()}
    if is_decision:
        return _decision(what, shown)
    phrase = PHRASES.get(what)
    if phrase is not None:
        return phrase(shown)
    values = " ".join(
        f"{name}={_short(value)}"
        for name, value in shown.items()
        if value is not None and not isinstance(value, dict | list)
    )
    return f"{what.replace('_', ' ')} {values}".rstrip()


def _in_time(name: str, value: Any, offset: Seconds | None) -> Any:
    """An instant as the time of day."""
    if name not in INSTANTS or not isinstance(value, float):
        return value
    return None if offset is None else clock_text(value + offset)


def _decision(rule: str, facts: Data) -> str:
    """The rule's name is its headline; what it saw that is plain follows."""
    parts = [rule.replace("_", " ")]
    transitions = facts.get("transitions")
    if isinstance(transitions, list) and transitions:
        return "; ".join(map(str, transitions))
    if "reason" in facts:
        parts.append(f"because {sentence_of(facts['reason'])}")
    parts += [
        f"{name.replace('_', ' ')} {_short(value)}"
        for name, value in facts.items()
        if isinstance(value, int | float | str)
    ]
    return parts[0] + (f" ({', '.join(parts[1:])})" if parts[1:] else "")


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _lsn(value: Any) -> str:
    return format_lsn(value) if isinstance(value, int) else "an unknown position"


def _exit(data: Data) -> str:
    if data.get("signal") is not None:
        how = f"by signal {data['signal']}"
    elif data.get("exit_status") is not None:
        how = f"with exit status {data['exit_status']}"
    else:
        how = "in a way that is not known"
    order = "as ordered" if data.get("expected") else "which nobody had ordered"
    oom = ", killed by the kernel for want of memory" if data.get("oom_killed") else ""
    return f"PostgreSQL ended {how}, {order}{oom}"


def _cluster(data: Data) -> str:
    view = data.get("view")
    leader = view.get("leader") if isinstance(view, dict) else None
    name = leader.get("name") if isinstance(leader, dict) else None
    return f"the leader key: {name or 'nobody'}"


def _probed(data: Data) -> str:
    answers = [
        f"{peer.get('name')} "
        + (
            f"{peer.get('role')} {peer.get('state')} at {_lsn(peer.get('position'))}"
            if peer.get("answered")
            else f"did not answer ({_short(str(peer.get('error')))})"
        )
        for peer in data.get("peers") or ()
        if isinstance(peer, dict)
    ]
    return f"members asked: {'; '.join(answers) or 'nobody'}"


def _requested(data: Data) -> str:
    caller = data.get("caller")
    who = caller if isinstance(caller, dict) else {}
    by = who.get("username") or who.get("user_agent") or "somebody"
    to = f" to {data['candidate']}" if data.get("candidate") else ""
    at = f" at {data['scheduled_at']}" if data.get("scheduled_at") else ""
    return f"{data.get('action')}{to}{at} asked for by {by} from {who.get('address')}"


class _Plain(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


def _plain(data: Data) -> dict[str, Any]:
    values = {
        name: _short(v) if v is not None else "nobody" for name, v in data.items()
    }
    return _Plain(values)


class _Formatter:
    """`str.format` that forgives what is missing."""

    def __init__(self, phrase: str) -> None:
        self._phrase = phrase

    def __call__(self, data: Data) -> str:
        return self._phrase.format_map(_plain(data))


FENCING: Mapping[str, str] = {
    "idle": "nothing has to be fenced",
    "stands": "the guard is armed: what takes writes ends with the lease",
    "failed": "it must not lead: what took writes could not be fenced",
}
"""By the verdict."""

PHRASES: Mapping[str, Callable[[Data], str]] = {
    "daemon_started": _Formatter("the daemon started (incarnation {incarnation})"),
    "shutdown_requested": _Formatter("the daemon was told to stop (signal {signal})"),
    "shutdown_completed": _Formatter("the daemon is about to end, as it was told"),
    "stall_noticed": _Formatter("the daemon had not run for {missing} s"),
    "clock_stepped": _Formatter("the wall clock was set by {step} s"),
    "clock_skew_seen": _Formatter("the wall clock of {member} is {ahead} s ahead"),
    "actor_failed": _Formatter("the actor {actor} failed: {error}"),
    "guard_fenced": _Formatter("the guard ended PostgreSQL (pid {postmaster_pid})"),
    "guard_failed": _Formatter("the guard does not work: {error}"),
    "guard_started": _Formatter("a guard runs (pid {pid})"),
    "fencing_judged": lambda d: FENCING[str(d.get("verdict"))],
    "watchdog_failed": _Formatter("the hardware watchdog does not work: {error}"),
    "watchdog_activated": _Formatter(
        "the hardware watchdog resets the host {timeout} s after the last renewal"
    ),
    "postmaster_exited": _exit,
    "replication_ended": lambda d: f"its stream ended at {_lsn(d.get('received_lsn'))}",
    "postgres_started": _Formatter("PostgreSQL started as {role}"),
    "postgres_stopped": lambda d: "PostgreSQL stopped",
    "postgres_promoted": lambda d: (
        f"PostgreSQL takes writes on timeline {d.get('timeline')} from {_lsn(d.get('lsn'))}"
    ),
    "postgres_rewound": lambda d: "the data were rewound to the leader's history",
    "postgres_cloned": _Formatter("the data were copied anew ({method})"),
    "crash_recovered": lambda d: "crash recovery has ended",
    "divergence_checked": lambda d: (
        f"histories compared: {d.get('verdict')}; {_short(d.get('explanation', ''))}"
    ),
    "operation_failed": lambda d: (
        f"{d.get('command')} failed: {sentence_of(d.get('reason'))}"
    ),
    "intent_failed": lambda d: (
        f"{d.get('intent')} failed: {sentence_of(d.get('reason'))}"
    ),
    "pre_promote_ended": _Formatter("pre_promote ended with status {exit_status}"),
    "stop_postgres": _Formatter("PostgreSQL is told to stop ({mode})"),
    "demote_postgres": lambda d: (
        f"to be demoted ({d.get('mode')}): {sentence_of(d.get('reason'))}"
    ),
    "become_primary": lambda d: "to be promoted",
    "leader_acquired": _Formatter("the lease is ours until {valid_until}"),
    "acquire_leader": lambda d: "the lease is asked for",
    "promote_postgres": _Formatter(
        "PostgreSQL is told to promote, not after {not_after}"
    ),
    "leader_released": lambda d: "the lease was given back",
    "leader_handed_over": _Formatter("the leader key was handed over to {to}"),
    "lease_refused": _Formatter("the DCS refused to {action}; the key is {holder}'s"),
    "lease_unconfirmed": _Formatter("no answer to {action}: {error}"),
    "leader_elected": _Formatter("{member} leads now, before it {previous}"),
    "leader_lost": _Formatter("the leader key of {previous} is gone"),
    "store_unreachable": _Formatter("the DCS does not answer: {error}"),
    "store_answered": lambda d: "the DCS answers again",
    "store_lost": _Formatter("the DCS is lost: {error}"),
    "store_back": _Formatter("the DCS is back after {away_for} s"),
    "cluster_observed": _cluster,
    "peers_probed": _probed,
    "switchover_requested": _requested,
    "request_answered": _Formatter("answered {status}: {body}"),
    "member_joined": _Formatter("{member} is there"),
    "member_left": _Formatter("the key of {member} is gone"),
    "timer_fired": _Formatter("the timer {name} fired"),
}
"""What a message says, by its type."""
