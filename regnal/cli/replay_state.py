"""`regnal replay state`: what each actor and member knew at a moment."""

import json
from dataclasses import asdict
from typing import Any

import click

from regnal.actors.cast import DECIDERS
from regnal.cli.explanation import coloured
from regnal.cli.journal_choice import as_moment
from regnal.cli.places import (
    PLACES_HELP,
    PlaceOptions,
    config_option,
    insecure_option,
    opened_places,
    places_argument,
    tell_troubles,
)
from regnal.cli.progress import progress_shown
from regnal.replay.case import Case, Journal
from regnal.replay.counting import counting
from regnal.replay.rebuild import NoSuchMoment, Rebuilt, When, rebuild
from regnal.replay.telling.states import rebuilt_text

HELP = f"""\
Show what each actor of each member knew at a moment, and the cluster as it saw it.

The states come from the snapshots in the journal and from what was heard since, by the
deciders of this program (`regnal replay verify` says whether they would have done the
same).  {PLACES_HELP}
Exit status 1: no journal has anything of then; 2: there is no journal.

\b
Examples:
  regnal replay state /var/lib/postgresql/journals
  regnal replay state journals --at 2026-11-28T06:43:08 --actor election
  regnal replay state journals --at 558 --member pg2 --json
"""


def _as_when(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> When:
    """A number is a record; anything else a moment."""
    if value is not None and value.strip().isdecimal() and len(value) < _DIGITS:
        number = int(value)
        if number:
            return number
        raise click.BadParameter("records are numbered from 1", context, parameter)
    return as_moment(context, parameter, value)


_DIGITS = 13
"""No journal has a record with a number of so many."""


@click.command("state", help=HELP)
@click.option(
    "--at",
    "when",
    callback=_as_when,
    metavar="MOMENT|RECORD",
    help="2026-11-23T07:31, 07:31 (UTC), 10m ago, or the number of a record; "
    "without it, at the end.",
)
@click.option("-m", "--member", metavar="NAME", help="Of this member alone.")
@click.option(
    "-a",
    "--actor",
    "actors",
    multiple=True,
    type=click.Choice([decider.name for decider in DECIDERS]),
    metavar="NAME",
    help="These actors alone; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="For machines: everything.")
@click.option("--full", "is_full", is_flag=True, help="Leave nothing out.")
@insecure_option
@config_option
@places_argument
def state_command(
    when: When,
    member: str | None,
    actors: tuple[str, ...],
    as_json: bool,
    is_full: bool,
    **places: Any,
) -> None:
    options = PlaceOptions(**places, since=None, until=None)
    with opened_places(options) as case:
        found = _rebuilt(case, _chosen(case, member, when), when)
        tell_troubles(case)
    if as_json:
        click.echo(json.dumps([_as_json(one, actors) for one in found], indent=2))
        return
    texts = [
        rebuilt_text(_only(one, actors), style=coloured, is_full=is_full)
        for one in found
    ]
    click.echo("\n\n".join(texts))


def _chosen(case: Case, member: str | None, when: When) -> list[Journal]:
    chosen = [one for one in case.journals if member in (None, one.member)]
    names = ", ".join(one.member for one in case.journals)
    if not chosen:
        raise click.ClickException(f"there is no journal of {member}, but of {names}")
    if isinstance(when, int) and len(chosen) > 1:
        raise click.UsageError(
            f"every member numbers its own records: say with --member whose record "
            f"{when} is meant ({names}), or give a moment"
        )
    return chosen


def _rebuilt(case: Case, chosen: list[Journal], when: When) -> list[Rebuilt]:
    """Those that have something of then; the others are told of.

    Raises ClickException where none has.
    """
    found, missing = [], []
    with progress_shown() as progress:
        for journal in chosen:
            counted = counting(progress, f"reading {journal.member}", journal.directory)
            try:
                found.append(
                    rebuild(journal.directory, DECIDERS, when, counted=counted)
                )
            except NoSuchMoment as error:
                missing.append(f"the journal of {journal.member}: {error}")
    if not found:
        raise click.ClickException("\n".join(missing))
    for text in missing:
        click.echo(f"Warning: {text}", err=True)
    return found


def _only(rebuilt: Rebuilt, actors: tuple[str, ...]) -> Rebuilt:
    return rebuilt if not actors else rebuilt.of(actors)


def _as_json(rebuilt: Rebuilt, actors: tuple[str, ...]) -> dict[str, Any]:
    told = asdict(_only(rebuilt, actors))
    told["actors"] = {
        one["actor"]: {"state": one["state"], "is_doubtful": one["is_doubtful"]}
        for one in told["actors"]
    }
    return told
