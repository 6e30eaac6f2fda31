"""What verifying found, for a terminal: a diff for every step that came out otherwise."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from pydantic_core import to_json

from regnal.replay.playback.differing import NOT_THERE, Changed
from regnal.replay.telling.text import Style, plain
from regnal.replay.verify import Difference, Verification

SHOWN = 20
"""Steps and snapshots that differ, and troubles; all of them where that is wanted."""

LONGEST_VALUE = 160
"""Characters of a value, unless everything is wanted."""

_LONGEST_LIST = 12
"""Fields of one step."""


def verification_text(
    result: Verification, *, style: Style = plain, is_full: bool = False
) -> str:
    """The counts, then the differences, each step or snapshot with its diff."""
    lines = [_counts(result, style)]
    groups = [list(found) for _, found in groupby(result.differences, _place)]
    shown = groups if is_full else groups[:SHOWN]
    for group in shown:
        lines += ["", *_group(group, style, is_full=is_full)]
    left = result.difference_count - sum(map(len, shown))
    if left:
        lines += ["", f"  and {left} more differences; --full shows them"]
    lines += _troubles(result, is_full=is_full)
    return "\n".join(lines)


def difference_text(
    differences: Sequence[Difference], *, style: Style = plain, is_full: bool = False
) -> str:
    """Each step or snapshot with its diff."""
    lines: list[str] = []
    for _, group in groupby(differences, _place):
        lines += [*_group(list(group), style, is_full=is_full), ""]
    return "\n".join(lines)


def _place(difference: Difference) -> tuple[str, int, str]:
    return difference.actor, difference.record, difference.heard_id


def _counts(result: Verification, style: Style) -> str:
    compared = f"{result.steps:,} steps and {result.states:,} states compared"
    if not result.is_same:
        return f"{compared}: " + style(f"{result.difference_count:,} differ", "bad")
    if not result.steps and not result.states:
        return style("nothing in it can be compared", "heading")
    return f"{compared}: " + style("the same", "good")


def _group(group: Sequence[Difference], style: Style, *, is_full: bool) -> list[str]:
    first = group[0]
    when = first.at[:-1].replace("T", " ")[:-3]
    head = f"record {first.record}  {when}  {first.actor}"
    if first.heard:
        head += f" heard {first.heard}"
    lines = [f"  {style(head, 'heading')}"]
    if first.follows:
        lines[0] += style("  (may follow from what is above)", "dim")
    changed = [(one.what, change) for one in group for change in one.changes]
    shown = changed if is_full else changed[:_LONGEST_LIST]
    for what, change in shown:
        lines += _diff(what, change, style, is_full=is_full)
    if len(changed) > len(shown):
        lines.append(f"      and {len(changed) - len(shown)} more fields")
    return lines


def _diff(what: str, change: Changed, style: Style, *, is_full: bool) -> Iterator[str]:
    """`- facts.phase: "starting"`, `+ facts.phase: "running"`."""
    path = change.path if change.path.startswith("[") else f".{change.path}"
    name = what + (path if change.path else "")
    for sign, value, kind in (
        ("-", change.recorded, "bad"),
        ("+", change.replayed, "good"),
    ):
        if value is not NOT_THERE and value != NOT_THERE:
            yield style(f"    {sign} {name}: {_shown(value, is_full=is_full)}", kind)


def _shown(value: Any, *, is_full: bool) -> str:
    text = to_json(value).decode()
    if is_full or len(text) <= LONGEST_VALUE:
        return text
    return f"{text[:LONGEST_VALUE]}…"


def _troubles(result: Verification, *, is_full: bool) -> Iterator[str]:
    if result.doubtful:
        yield (
            f"  {result.doubtful:,} steps come out otherwise, but records before them are "
            "missing: that says nothing"
        )
    if result.passed:
        yield (
            f"  {result.passed:,} steps of quiet or broken stretches cannot be replayed"
        )
    shown = result.troubles if is_full else result.troubles[:SHOWN]
    for trouble in shown:
        yield f"  not used: {trouble}"
    if result.trouble_count > len(shown):
        yield f"  and {result.trouble_count - len(shown):,} more that are not used"
