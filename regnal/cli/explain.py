"""`regnal explain`: what happened, and why, from the journals."""

import json
import shutil
from pathlib import Path
from typing import Any, TextIO

import click
from pydantic_core import to_json

from regnal.journal.places import journals
from regnal.journal.reader import Record, scan
from regnal.replay.explaining.causes import CAUSES
from regnal.replay.explaining.explain import (
    LATEST,
    Investigation,
    NoSuchIncident,
)
from regnal.replay.explaining.story import Story
from regnal.replay.telling.html.page import story_html
from regnal.replay.telling.markdown import story_markdown
from regnal.replay.telling.text import incidents_text, story_text

COLOURS: dict[str, dict[str, Any]] = {
    "heading": {"bold": True},
    "bad": {"bold": True, "fg": "red"},
    "good": {"fg": "green"},
    "dim": {"dim": True},
}


@click.command("explain")
@click.argument(
    "directories",
    nargs=-1,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option(
    "-i",
    "--incident",
    default=LATEST,
    show_default=True,
    metavar="WHICH",
    help="latest, latest~1 (the one before), a name or a number of --list.",
)
@click.option("-l", "--list", "is_list", is_flag=True, help="List all incidents.")
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "json", "html"]),
    default="text",
    show_default=True,
)
@click.option(
    "-o",
    "--output",
    type=click.File("w", encoding="utf-8", lazy=True),
    default="-",
    metavar="FILE",
    help="Write it there; html is one file that needs no other.",
)
@click.option("--full", "is_full", is_flag=True, help="Leave nothing out.")
@click.option("--causes", is_flag=True, help="Print the list of causes, and end.")
@click.option("--schema", is_flag=True, help="Print the JSON's schema, and end.")
def explain_command(
    directories: tuple[Path, ...],
    incident: str,
    form: str,
    output: TextIO,
    is_list: bool,
    is_full: bool,
    causes: bool,
    schema: bool,
) -> None:
    """Tell what happened, and why.

    The more members' journals there are, the more can be told.  Exit status 1: there is
    no journal, or no such incident.

    \b
    Examples:
      regnal explain /var/lib/postgresql/15/main.journal
      regnal explain --list pg1.journal pg2.journal pg3.journal
      regnal explain journals -i reign-4711 -f markdown > post-mortem.md
      regnal explain journals -f html -o incident.html
    """
    if causes:
        _print_causes(form)
        return
    if schema:
        click.echo(json.dumps(Story.model_json_schema(), indent=2))
        return
    investigation = Investigation(_found(directories))
    if is_list:
        _print_list(investigation, form)
        return
    try:
        story = investigation.story(investigation.find(incident))
    except NoSuchIncident as error:
        raise click.ClickException(str(error)) from error
    if form == "json":
        click.echo(story.model_dump_json(indent=2), file=output)
    elif form == "markdown":
        click.echo(story_markdown(story, is_full=is_full), file=output, nl=False)
    elif form == "html":
        click.echo(story_html(story, is_full=is_full), file=output, nl=False)
    else:
        told = story_text(story, width=_width(), style=_style, is_full=is_full)
        click.echo(told, file=output)


def _found(directories: tuple[Path, ...]) -> dict[str, Path]:
    found = [journal for given in directories for journal in journals(given)]
    if not found:
        names = ", ".join(map(str, directories)) or "nothing"
        raise click.ClickException(f"there is no journal in {names}")
    return {_member(journal): journal for journal in found}


def _member(journal: Path) -> str:
    for item in scan(journal):
        if isinstance(item, Record) and item.kind == "start":
            return str(item.fields.get("member"))
    return journal.name


def _print_list(investigation: Investigation, form: str) -> None:
    listed = investigation.listed()
    if form == "json":
        click.echo(to_json(listed, indent=2))
    else:
        click.echo(incidents_text(listed, width=_width(), style=_style))


def _print_causes(form: str) -> None:
    if form == "json":
        click.echo(
            json.dumps(
                {code: cause._asdict() for code, cause in CAUSES.items()}, indent=2
            )
        )
        return
    for code, cause in CAUSES.items():
        click.echo(f"{code}\n    {cause.sentence.format(member='MEMBER')}")
        click.echo(f"    shown by: {cause.proof}\n    remedy: {cause.remedy}")


def _width() -> int:
    return shutil.get_terminal_size((100, 24)).columns


def _style(text: str, kind: str) -> str:
    """click leaves the codes out where the output is no terminal."""
    return click.style(text, **COLOURS[kind])
