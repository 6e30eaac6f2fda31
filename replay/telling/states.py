"""A rebuilt member, for a terminal: the cluster as it saw it, then its actors."""

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic_core import to_json

from regnal.replay.rebuild import ActorState, Rebuilt
from regnal.replay.telling.text import Style, plain

LONGEST_VALUE = 160
"""Characters, unless everything is wanted."""

_SETTINGS = (
    *("ttl", "loop_wait", "retry_timeout", "maximum_lag_on_failover"),
    *("synchronous_mode", "failsafe_mode", "primary_start_timeout", "use_pg_rewind"),
)
"""Those that a failover is about; --full and --json have all."""


def rebuilt_text(
    rebuilt: Rebuilt, *, style: Style = plain, is_full: bool = False
) -> str:
    """What differs from the state in which a daemon starts; `is_full`: everything."""
    when = rebuilt.at[:-1].replace("T", " ")[:-3]
    head = f"{rebuilt.member} at record {rebuilt.record}, {when}"
    lines = [style(head, "heading")]
    if rebuilt.kind == "seal":
        lines.append("  the journal was closed then")
    if rebuilt.cluster is None:
        lines.append("  how it saw the cluster is not known")
    else:
        lines += [f"  {line}" for line in _cluster(rebuilt.cluster)]
    for actor in rebuilt.actors:
        lines += ["", *_actor(actor, style, is_full=is_full)]
    lines += [f"  not used: {trouble}" for trouble in rebuilt.troubles]
    return "\n".join(lines)


def _cluster(seen: dict[str, Any]) -> Iterator[str]:
    store = "" if seen["store_answers"] else "  (the store does not answer)"
    own = "  (this member)" if seen["is_leader"] else ""
    yield f"leader      {seen['leader'] or 'nobody'}{own}{store}"
    for member in seen["members"]:
        timeline = member.get("timeline")
        yield (
            f"member      {member['name']}: {member['role']}, {member['state']}"
            + ("" if timeline is None else f", timeline {timeline}")
        )
    if seen["sync"] is not None:
        sync = seen["sync"]
        standbys = ", ".join(sync["standbys"]) or "nobody"
        yield f"sync        {standbys} of {sync['leader'] or 'nobody'}"
    if seen["failover"] is not None:
        yield f"asked for   {_shown(seen['failover'], is_full=False)}"
    if seen["settings"] is not None:
        values = ", ".join(f"{name} {seen['settings'][name]}" for name in _SETTINGS)
        yield f"settings    {'paused, ' if seen['paused'] else ''}{values}"
    yield f"PostgreSQL  {_postgres(seen)}"


def _postgres(seen: dict[str, Any]) -> str:
    status = seen["postgres"]
    if status is None:
        return f"{seen['phase']}, never looked at"
    told = [seen["phase"], status["process"]]
    if status["in_recovery"] is not None:
        told.append("standby" if status["in_recovery"] else "primary")
    if status["timeline"]:
        told.append(f"timeline {status['timeline']}")
    for name in ("write_lsn", "received_lsn", "replayed_lsn"):
        if status[name] is not None:
            told.append(f"{name.removesuffix('_lsn')} {_lsn(status[name])}")
    return ", ".join(told)


def _lsn(value: int) -> str:
    return f"{value >> 32:X}/{value & 0xFFFFFFFF:X}"


def _actor(actor: ActorState, style: Style, *, is_full: bool) -> Sequence[str]:
    head = style(actor.actor, "heading")
    if actor.is_doubtful:
        head += style("  (records before this are missing)", "bad")
    if actor.state is None:
        return [head, "  not known: there is no snapshot of it before"]
    fields = {
        name: value
        for name, value in actor.state.items()
        if is_full or value != actor.usual.get(name)
    }
    if not fields:
        return [head, style("  as at its start", "dim")]
    return [
        head,
        *(f"  {name}: {_shown(v, is_full=is_full)}" for name, v in fields.items()),
    ]


def _shown(value: Any, *, is_full: bool) -> str:
    text = value if isinstance(value, str) else to_json(value).decode()
    if is_full or len(text) <= LONGEST_VALUE:
        return text
    return f"{text[:LONGEST_VALUE]}…"
