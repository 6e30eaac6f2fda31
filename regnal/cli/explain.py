"""`regnal explain`: what happened, and why, from the journals."""

import json
from typing import Any, TextIO

import click

from regnal.cli.explanation import (
    Form,
    Wanted,
    explain,
    incident_option,
    tell_causes,
    telling_options,
)
from regnal.cli.places import PLACES_HELP, PlaceOptions, opened_places, place_options
from regnal.replay.explaining.story import Story

HELP = f"""\
Tell what happened, and why.

The more members' journals there are, the more can be told.  {PLACES_HELP}
Exit status 1: there is no such incident; 2: there is no journal.

\b
Examples:
  regnal explain /var/lib/postgresql/15/main.journal
  regnal explain --list pg1.journal pg2.journal pg3.journal
  regnal explain http://127.0.0.1:8008 --since 2h
  regnal explain incident.tar.gz -i reign-4711 -f markdown > post-mortem.md
  regnal explain journals -f html -o incident.html
"""


def _published(
    context: click.Context, parameter: click.Parameter, wanted: bool
) -> None:
    """Lists that need no journal: printed before any is asked for."""
    if not wanted or context.resilient_parsing:
        return
    if parameter.name == "schema":
        click.echo(json.dumps(Story.model_json_schema(), indent=2))
    else:
        form: Form = context.params.get("form") or "text"
        tell_causes(form)
    context.exit()


@click.command("explain", help=HELP)
@telling_options
@incident_option
@click.option(
    "--causes",
    is_flag=True,
    callback=_published,
    expose_value=False,
    is_eager=True,
    help="Print the list of causes, and end (after -f: as json or markdown).",
)
@click.option(
    "--schema",
    is_flag=True,
    callback=_published,
    expose_value=False,
    is_eager=True,
    help="Print the schema of -f json, and end.",
)
@place_options
def explain_command(
    incident: str,
    form: Form,
    output: TextIO,
    is_list: bool,
    is_full: bool,
    **places: Any,
) -> None:
    wanted = Wanted(incident, form, output, is_list, is_full)
    options = PlaceOptions(**places)
    with opened_places(options) as case:
        explain(case, wanted, options.since)
