"""`regnal explain`: the story of the last failover, from the journals."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from regnal.journal.places import journals
from regnal.replay.explain import explain
from regnal.replay.story_text import as_markdown, as_text


@click.command(
    "explain",
    epilog="Example:  regnal explain /var/lib/postgresql/journals",
)
@click.argument(
    "directories",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
)
def explain_command(directories: tuple[Path, ...], form: str) -> None:
    """Tell what happened at the last change of leader, and why.

    DIRECTORIES are the journals of one or more members, or directories above
    them.  The more members' journals there are, the more can be told.

    Exit status 1: there is no journal, or no change of leader in it.
    """
    found = [journal for given in directories for journal in journals(given)]
    if not found:
        names = ", ".join(str(given) for given in directories)
        raise click.ClickException(f"there is no journal in {names}")
    story = explain(found)
    if story is None:
        raise click.ClickException(
            "there is no change of leader in these journals: "
            + ", ".join(str(journal) for journal in found)
        )
    if form == "json":
        click.echo(json.dumps(asdict(story), indent=2))
    elif form == "markdown":
        click.echo(as_markdown(story))
    else:
        click.echo(as_text(story))
