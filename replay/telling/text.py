"""A story for a terminal."""

import textwrap
from collections.abc import Callable, Iterator, Sequence

from regnal.replay.evidence.wall import clock_text
from regnal.replay.explaining.story import IncidentTold, Story
from regnal.replay.telling.outline import KINDS, Section, Table, outline

Style = Callable[[str, str], str]
"""Colours a text as `heading`, `bad`, `good` or `dim`; or leaves it as it is."""

WIDEST = 200
"""Columns; wider terminals are no easier to read."""


def plain(text: str, kind: str) -> str:
    """The style of files and pipes."""
    return text


def story_text(
    story: Story, *, width: int, style: Style = plain, is_full: bool = False
) -> str:
    """The whole account, wrapped to `width` columns."""
    told = outline(story, is_full=is_full)
    width = min(width, WIDEST)
    kind = "bad" if story.weight == "outage" else "heading"
    lines = [style(told.title, kind), style(told.when, "dim"), ""]
    lines += [style(line, kind) for line in textwrap.wrap(told.verdict, width)]
    for section in told.sections:
        lines += ["", style(section.title.upper(), "heading")]
        lines += _section(section, width, style)
    return "\n".join(lines)


def incidents_text(
    incidents: Sequence[IncidentTold], *, width: int, style: Style = plain
) -> str:
    """The list: one incident a paragraph of two lines."""
    if not incidents:
        return "There is no incident in these journals."
    lines = []
    for number, one in enumerate(incidents, 1):
        kind = {"outage": "bad", "degraded": "heading"}.get(one.weight, "dim")
        outage = "" if one.outage is None else f"  no writes for {one.outage:.2f} s"
        state = "" if one.acknowledged_by is None else "  acknowledged"
        lines.append(
            f"{number:4}  {clock_text(one.began, with_date=True)[:-4]}  "
            + style(f"{one.name:<22} {one.cause:<24}", kind)
            + f" {KINDS.get(one.kind, one.kind)}{outage}{state}"
        )
        lines += textwrap.wrap(
            one.sentence,
            min(width, WIDEST),
            initial_indent=" " * 6,
            subsequent_indent=" " * 6,
        )
    return "\n".join(lines)


def _section(section: Section, width: int, style: Style) -> Iterator[str]:
    for line in section.lines:
        yield from textwrap.wrap(
            line, width, initial_indent="  ", subsequent_indent="    "
        )
    if section.table is not None:
        yield from _table(section.table, width, style)
    if section.more:
        yield style(f"  {section.more}", "dim")


def _table(table: Table, width: int, style: Style) -> Iterator[str]:
    """Columns that line up; the last one is wrapped."""
    rows = [*([table.heading] if table.heading else []), *table.rows]
    if not rows:
        return
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]) - 1)]
    for number, row in enumerate(rows):
        *cells, last = row
        head = "  " + "".join(
            f"{cell:<{size}}  " for cell, size in zip(cells, widths, strict=True)
        )
        room = max(width - len(head), 30)
        wrapped = textwrap.wrap(last, room) or [""]
        first = f"{head}{wrapped[0]}".rstrip()
        is_heading = bool(table.heading) and number == 0
        yield style(first, "dim") if is_heading else first
        for line in wrapped[1:]:
            yield " " * len(head) + line
