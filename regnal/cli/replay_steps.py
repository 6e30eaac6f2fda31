"""`regnal replay steps`: what this program makes of a recording, for another version."""

import json
from typing import Any

import click

from regnal.cli.places import PlaceOptions, opened_places, place_options, tell_troubles
from regnal.journal.reader import Window
from regnal.replay.what_if.steps import step_lines

HELP = """\
Print every step that the deciders of this program take, one JSON object a line.

`regnal replay what-if --code` compares the steps of two versions so.
"""


@click.command("steps", help=HELP)
@place_options
def steps_command(**places: Any) -> None:
    options = PlaceOptions(**places)
    window = Window(since=options.since, until=options.until)
    with opened_places(options) as case:
        for journal in case.journals:
            for line in step_lines(journal.member, journal.directory, window):
                click.echo(json.dumps(line, separators=(",", ":")))
        tell_troubles(case)
