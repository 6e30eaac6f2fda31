"""A story as Markdown: half of the post-mortem, to be pasted and gone on with."""

from collections.abc import Iterator

from regnal.replay.explaining.causes import CAUSES
from regnal.replay.explaining.story import Story
from regnal.replay.telling.outline import Section, Table, outline

PLACEHOLDERS = (
    ("What users noticed", "_to be written by those who were there_"),
    ("What we change", "_each with an owner and a date_"),
)
"""Parts of a post-mortem that no journal can know."""


def story_markdown(story: Story, *, is_full: bool = False) -> str:
    told = outline(story, is_full=is_full)
    lines = [
        f"# {_safe(told.title)}",
        "",
        _safe(told.when),
        "",
        f"> {_safe(told.verdict)}",
    ]
    for section in told.sections:
        lines += ["", f"## {_safe(section.title)}", "", *_section(section)]
    for title, text in PLACEHOLDERS:
        lines += ["", f"## {title}", "", text]
    return "\n".join(lines) + "\n"


def causes_markdown() -> str:
    """The published list of causes, as docs/causes.md has it."""
    lines = [
        "| code | what happened | shown by | remedy |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| `{code}` | {cause.sentence.format(member='_member_')} | {cause.proof} | "
        f"{cause.remedy.format(member='_member_')} |"
        for code, cause in CAUSES.items()
    ]
    return "\n".join(lines) + "\n"


def _section(section: Section) -> Iterator[str]:
    yield from (f"- {_safe(line)}" for line in section.lines)
    if section.table is not None:
        yield from _table(section.table)
    if section.more:
        yield ""
        yield f"_{_safe(section.more)}_"


def _table(table: Table) -> Iterator[str]:
    if not table.rows:
        return
    heading = table.heading or [""] * len(table.rows[0])
    yield f"| {' | '.join(map(_safe, heading))} |"
    yield "|" + " --- |" * len(heading)
    for row in table.rows:
        yield f"| {' | '.join(_safe(cell.strip()) for cell in row)} |"


def _safe(text: str) -> str:
    """Nothing that a journal holds may become markup."""
    for character in "\\`*_{}[]<>|#":
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", " ")
