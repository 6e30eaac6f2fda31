"""Values as markup: moments, spans, facts as nested tables, commands to be copied."""

import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from regnal.bridges.postgres.wal import format_lsn
from regnal.messages.base import Seconds
from regnal.replay.evidence.wall import clock_text
from regnal.replay.explaining.story import Moment, Reference
from regnal.replay.explaining.words import INSTANTS, sentence_of
from regnal.replay.telling.html.markup import Content, Markup, join, tag

DEEPEST_TABLE = 6
"""Tables in tables; what is deeper is shown as JSON.  A reader is lost before that."""

WIDEST_TABLE = 12
"""Columns of a table of like facts; of more, each is a table of its own."""

EARLIEST_MOMENT: Moment = 1e9
"""What is less is an instant of a clock that began when the host did."""

UNITS = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
"""Seconds of a unit, its name, and those of the next smaller one."""


def clock(moment: Moment, *, with_date: bool = False) -> Markup:
    """The time of day in UTC; the page's script can turn it into local time."""
    text = clock_text(moment, with_date=with_date)
    return tag(
        "time", text, datetime=_iso(moment), class_="dated" if with_date else None
    )


def since_zero(seconds: Seconds) -> str:
    """`+16.838`: how long after the outage began, or before."""
    return f"{round(seconds, 3) + 0.0:+.3f}"  # never -0.000


def span_text(seconds: Seconds) -> str:
    """`0.23 s`, `16.93 s`, `4 min 05 s`, `2 h 10 min`."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds >= 0.01 else f"{seconds * 1000:.1g} ms"
    size, unit, smaller, name = next(one for one in UNITS if seconds >= one[0])
    whole, rest = divmod(round(seconds), size)
    return f"{whole} {unit} {rest // smaller:02} {name}"


def command_of(at: Reference) -> Markup:
    """The command that prints the record."""
    # The member may have named itself to be dangerous when pasted.
    journal = shlex.quote(f"{at.member}.journal")
    after = max(at.record - 1, 0)
    return tag(
        "code", f"regnal journal show {journal} --after {after} -n 1", class_="command"
    )


def facts_table(facts: Mapping[str, Any]) -> Markup:
    """Names and values; tables where a value has facts of its own."""
    return _mapping(facts, depth=1)


def _mapping(facts: Mapping[str, Any], depth: int) -> Markup:
    return tag(
        "table",
        tag(
            "tbody",
            (
                tag(
                    "tr",
                    tag("th", _spoken(name), scope="row"),
                    tag("td", _value(name, value, depth)),
                )
                for name, value in facts.items()
            ),
        ),
        class_="facts",
    )


def _value(name: str, value: Any, depth: int) -> Content:
    if isinstance(value, dict | list) and depth >= DEEPEST_TABLE:
        return tag("code", json.dumps(value))
    if isinstance(value, dict):
        if "code" in value and set(value) <= {"code", "parameters", "kind"}:
            return join(sentence_of(value), " ", tag("small", str(value["code"])))
        return _mapping(value, depth + 1) if value else "none"
    if isinstance(value, list):
        return _list(name, value, depth)
    return _plain(name, value)


def _list(name: str, values: Sequence[Any], depth: int) -> Content:
    if not values:
        return "none"
    if not any(isinstance(one, dict | list) for one in values):
        return [", ".join(map(str, values))]
    columns = list(
        dict.fromkeys(key for one in values if isinstance(one, dict) for key in one)
    )
    if all(isinstance(one, dict) for one in values) and len(columns) <= WIDEST_TABLE:
        return _grid(columns, values, depth + 1)
    return tag("ol", (tag("li", _value(name, one, depth + 1)) for one in values))


def _grid(
    columns: Sequence[str], rows: Sequence[Mapping[str, Any]], depth: int
) -> Markup:
    """Like things under one heading, such as what each member answered."""
    return tag(
        "table",
        tag(
            "thead",
            tag("tr", (tag("th", _spoken(one), scope="col") for one in columns)),
        ),
        tag(
            "tbody",
            (
                tag(
                    "tr",
                    (
                        tag("td", _value(one, row[one], depth) if one in row else "")
                        for one in columns
                    ),
                )
                for row in rows
            ),
        ),
        class_="facts grid",
    )


def _plain(name: str, value: Any) -> Content:
    match value:
        case None:
            return tag("small", "none")
        case bool():
            return "yes" if value else "no"
        case int() if name == "position" or name.endswith("lsn"):
            return join(format_lsn(value), " ", tag("small", str(value)))
        case float() if name in INSTANTS or name.endswith("_at"):
            if value >= EARLIEST_MOMENT:
                return clock(value)
            return join(f"{value:.3f} ", tag("small", "s, clock of that boot"))
        case float():
            return f"{value:.6f}".rstrip("0").rstrip(".")
        case _:
            return str(value)


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def _iso(moment: Moment) -> str | None:
    """None: it is beyond what a calendar has."""
    try:
        text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return None
    return text.replace("+00:00", "Z")
