"""`regnal testcase`: an incident as a regression test."""

from pathlib import Path
from typing import Any

import click

from regnal.cli.places import (
    PLACES_HELP,
    PlaceOptions,
    opened_places,
    place_options,
    tell_troubles,
)
from regnal.cli.progress import progress_shown
from regnal.replay.case import Case
from regnal.replay.evidence.incidents import Incident
from regnal.replay.explaining.explain import Investigation, NoSuchIncident
from regnal.replay.testcase import file_name, write_testcase

HELP = f"""\
Make a regression test of an incident: what was decided then stays so.

INCIDENT is a name or a number as `regnal explain --list` shows them, or latest.  Written
are a file for pytest, and beside it a directory with the part of each journal that the
incident is in: the states at its beginning, what was heard, what was decided; secrets are
masked.  The test fails with a diff when an actor decides otherwise.  {PLACES_HELP}
Exit status 1: there is no such incident, or the file exists; 2: there is no journal.

\b
Examples:
  regnal testcase latest /var/lib/postgresql/journals
  regnal testcase reign-33 incident.tar.gz -o tests/incidents/test_lost_host.py
"""

_LISTED = 30
"""Incidents that an error names."""


@click.command("testcase", help=HELP)
@click.argument("incident")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The file for pytest, test_*.py; without it, named after the incident.",
)
@place_options
def testcase_command(incident: str, output: Path | None, **places: Any) -> None:
    options = PlaceOptions(**places)
    with opened_places(options) as case:
        tell_troubles(case)
        investigation = _investigation(case, options.since)
        found = _find(investigation, incident)
        file = output or Path(file_name(found))
        _check(file)
        try:
            written = write_testcase(investigation, case, found, file)
        except FileExistsError as error:
            raise click.ClickException(
                f"{error.filename} exists already: remove it, or name another file "
                "with --output"
            ) from error
        except OSError as error:
            raise click.ClickException(f"{file} cannot be written: {error}") from error
    parts = ", ".join(
        f"{member} ({count} records)" for member, count in written.records.items()
    )
    click.echo(f"{written.file}\n{written.journals}: {parts}")
    click.echo(f"Run it: python -m pytest {written.file}")


def _investigation(case: Case, since: str | None) -> Investigation:
    with progress_shown() as progress:
        return Investigation(
            {journal.member: journal.directory for journal in case.journals},
            since=since,
            expected=case.expected,
            progress=progress,
        )


def _find(investigation: Investigation, wanted: str) -> Incident:
    try:
        return investigation.find(wanted)
    except NoSuchIncident as error:
        names = [one.name for one in investigation.incidents]
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        there = f"; there are: {', '.join(names[-_LISTED:])}{more}" if names else ""
        raise click.ClickException(f"{error}{there}") from error


def _check(file: Path) -> None:
    """Raises BadParameter: pytest would not find it."""
    if file.suffix != ".py" or not file.stem.removeprefix("test_").isidentifier():
        raise click.BadParameter(
            f"{file.name} is no name for a test: it ends in .py, and has letters, digits "
            "and _ before that",
            param_hint="--output",
        )
    if not file.stem.startswith("test_") or file.stem == "test_":
        raise click.BadParameter(
            f"pytest finds no test in {file.name}: let the name begin with test_",
            param_hint="--output",
        )
