"""Records of a journal as lines for people: what, who, when, and the values."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_core import to_json

from regnal.journal.chain_check import Damage
from regnal.journal.reader import Record

LONGEST_VALUE = 160
"""Characters of a value on one line, unless everything is asked for."""

_OWN_WORDS = {
    "start": ("member", "scope", "incarnation", "why"),
    "snapshot": ("actor",),
    "gap": ("lost", "why"),
    "tail_cut": ("bytes",),
    "expired": ("first", "last"),
    "seal": ("why",),
}
"""What is shown of the records that the journal writes of itself."""


def line_of(record: Record, *, is_full: bool) -> str:
    """`   812  2026-11-23 07:31:02.114901  dcs  · leader_renewed x5  member=pg2 …`"""
    number = f"~{record.n}" if record.is_held else str(record.n)
    when = record.wall[:-1].replace("T", " ")
    who, what, values = _told(record.fields)
    repeats = record.fields.get("repeats")
    if repeats and isinstance(repeats, int):
        what += f" x{repeats + 1}"
    text = " ".join(_shown(values, is_full=is_full))
    return f"{number:>8}  {when}  {who:<20}  {what:<32}  {text}".rstrip()


def damage_line(damage: Damage) -> str:
    return f"{'!':>8}  {damage}"


def _told(fields: Mapping[str, Any]) -> tuple[str, str, Mapping[str, Any]]:
    """Who, what, and the values of it."""
    kind = fields["kind"]
    if kind == "message":
        return fields["from"], f"· {fields['type']}", fields["data"]
    if kind == "step":
        values = {"heard": fields["heard"], **fields.get("facts", {})}
        if "said" in fields:
            values["said"] = fields["said"]
        return fields["actor"], f"→ {fields.get('rule') or '(learned)'}", values
    shown = _OWN_WORDS.get(kind)
    values = {
        name: value
        for name, value in fields.items()
        if (name in shown if shown else name not in ("n", "hlc", "at", "kind", "hash"))
    }
    return "journal", f"# {kind}", values


def _shown(values: Mapping[str, Any], *, is_full: bool) -> Iterator[str]:
    for name, value in values.items():
        text = value if isinstance(value, str) else to_json(value).decode()
        if not is_full and len(text) > LONGEST_VALUE:
            text = f"{text[:LONGEST_VALUE]}…"
        yield f"{name}={text}"
