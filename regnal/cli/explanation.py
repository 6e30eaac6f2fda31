"""What `regnal explain` and `regnalctl explain` have in common: options and output."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TextIO

import click
from pydantic_core import to_json

from regnal.cli.progress import progress_shown
from regnal.replay.case import Case
from regnal.replay.explaining.causes import CAUSES
from regnal.replay.explaining.explain import LATEST, Investigation, NoSuchIncident
from regnal.replay.explaining.story import Story, Trouble
from regnal.replay.telling.html.page import story_html
from regnal.replay.telling.markdown import causes_markdown, story_markdown
from regnal.replay.telling.text import incidents_text, story_text

Form = Literal["text", "markdown", "json", "html"]

COLOURS: dict[str, dict[str, Any]] = {
    "heading": {"bold": True},
    "bad": {"bold": True, "fg": "red"},
    "good": {"fg": "green"},
    "dim": {"dim": True},
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What shall be told, and how."""

    incident: str
    form: Form
    output: TextIO
    is_list: bool
    is_full: bool


def telling_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that make up a `Wanted`."""
    for option in reversed(
        (
            click.option(
                "-l", "--list", "is_list", is_flag=True, help="List all incidents."
            ),
            click.option(
                "-f",
                "--format",
                "form",
                type=click.Choice(["text", "markdown", "json", "html"]),
                default="text",
                show_default=True,
                is_eager=True,  # --causes looks at it
            ),
            click.option(
                "-o",
                "--output",
                type=click.File("w", encoding="utf-8", lazy=True),
                default="-",
                metavar="FILE",
                help="Write it there; html is one file that needs no other.",
            ),
            click.option("--full", "is_full", is_flag=True, help="Leave nothing out."),
        )
    ):
        command = option(command)
    return command


incident_option = click.option(
    "-i",
    "--incident",
    default=LATEST,
    show_default=True,
    metavar="WHICH",
    help="latest, latest~1 (the one before), a name or a number of --list.",
)


def explain(case: Case, wanted: Wanted, since: str | None = None) -> None:
    """Tell what is wanted, of journals from `since` on (None: from their beginning).

    Raises ClickException: there is no such incident.
    """
    with progress_shown() as progress:
        investigation = Investigation(
            {journal.member: journal.directory for journal in case.journals},
            since=since,
            expected=case.expected,
            troubles=tuple(
                Trouble(code=one.code.upper(), text=str(one)) for one in case.troubles
            ),
            progress=progress,
        )
    if wanted.is_list:
        _tell_list(investigation, wanted)
        return
    try:
        story = investigation.story(investigation.find(wanted.incident))
    except NoSuchIncident as error:
        raise click.ClickException(str(error)) from error
    _tell(story, wanted)


def _tell(story: Story, wanted: Wanted) -> None:
    match wanted.form:
        case "json":
            click.echo(story.model_dump_json(indent=2), file=wanted.output)
        case "markdown":
            told = story_markdown(story, is_full=wanted.is_full)
            click.echo(told, file=wanted.output, nl=False)
        case "html":
            told = story_html(story, is_full=wanted.is_full)
            click.echo(told, file=wanted.output, nl=False)
        case "text":
            told = story_text(
                story, width=_width(), style=coloured, is_full=wanted.is_full
            )
            click.echo(told, file=wanted.output)


def _tell_list(investigation: Investigation, wanted: Wanted) -> None:
    listed = investigation.listed()
    if wanted.form == "json":
        click.echo(to_json(listed, indent=2), file=wanted.output)
        return
    told = incidents_text(listed, width=_width(), style=coloured)
    click.echo(told, file=wanted.output)
    for trouble in investigation.troubles:
        click.echo(f"Warning: {trouble.text}", err=True)


def tell_causes(form: Form) -> None:
    """The published list of causes."""
    if form == "json":
        causes = {code: cause._asdict() for code, cause in CAUSES.items()}
        click.echo(json.dumps(causes, indent=2))
    elif form == "markdown":
        click.echo(causes_markdown(), nl=False)
    else:
        for code, cause in CAUSES.items():
            click.echo(f"{code}\n    {cause.sentence.format(member='MEMBER')}")
            click.echo(f"    shown by: {cause.proof}\n    remedy: {cause.remedy}")


def _width() -> int:
    return shutil.get_terminal_size((100, 24)).columns


def coloured(text: str, kind: str) -> str:
    """click leaves the codes out where the output is no terminal."""
    return click.style(text, **COLOURS[kind])
