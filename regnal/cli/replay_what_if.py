"""`regnal replay what-if`: the recorded inputs under other circumstances."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click

from regnal.cli.explanation import coloured
from regnal.cli.places import (
    PLACES_HELP,
    PlaceOptions,
    opened_places,
    place_options,
    tell_troubles,
)
from regnal.cli.progress import progress_shown
from regnal.configuration.problems import ConfigurationError
from regnal.journal.moments import parse_moment
from regnal.journal.progress import Progress
from regnal.journal.reader import Window
from regnal.messages.base import MemberName, Seconds
from regnal.replay.case import Case
from regnal.replay.evidence.evidence import Moment
from regnal.replay.evidence.incidents import Incident
from regnal.replay.evidence.wall import wall_seconds
from regnal.replay.explaining.explain import LATEST, Investigation, NoSuchIncident
from regnal.replay.telling.what_if import other_code_text, what_if_text
from regnal.replay.what_if.answering import answer
from regnal.replay.what_if.asking import Asking, Question
from regnal.replay.what_if.changes import Change, Changes, parsed_change
from regnal.replay.what_if.findings import Answer, Trouble
from regnal.replay.what_if.other_code import CannotRun, compared, steps_of
from regnal.replay.what_if.steps import step_lines

BEFORE: Seconds = 60.0
"""So long before an incident the changes hold: the lease has been renewed under them."""

AFTER: Seconds = 3.0

HELP = f"""\
Ask what would have been decided under another configuration, with a member down, or by
another version of the program.

The recorded inputs of all members go through the deciders of this program once more: as
they are, and as if the configuration had been changed (--set) before the incident, or a
member had been down (--down) from a moment on.  Told is the first decision that differs,
what follows, and where the recording ends to be evidence; nothing is simulated.  Without
--since or --until the time around an incident is looked at.  {PLACES_HELP}
Exit status 0: every decision is the same; 1: decisions differ; 2: the question cannot be
asked, or there is no journal.

\b
Examples:
  regnal replay what-if journals --set ttl=20
  regnal replay what-if journals -i reign-4711 --set synchronous_mode=true
  regnal replay what-if journals --set pg2:tags.nofailover=true
  regnal replay what-if journals --code ../regnal-next
  regnal replay what-if incident.tar.gz --down pg2@07:31:02 --json | jq .first
"""


class CannotBeAsked(click.ClickException):
    exit_code = 2


def _changes(
    context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> tuple[Change, ...]:
    try:
        return tuple(map(parsed_change, texts))
    except ConfigurationError as error:
        raise click.BadParameter(str(error), context, parameter) from error


@click.command("what-if", help=HELP)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="[MEMBER:]OPTION=VALUE",
    callback=_changes,
    help="Another value of an option, of one member or of all (repeatable).",
)
@click.option(
    "--down",
    "downs",
    multiple=True,
    metavar="MEMBER[@MOMENT]",
    help="A member that is down from then on (a time of day is of the day that is looked "
    "at), or all the time (repeatable).",
)
@click.option(
    "--code",
    type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path),
    metavar="PATH",
    help="Another version: a checkout, or an environment in which it is installed.",
)
@click.option(
    "-i",
    "--incident",
    metavar="WHICH",
    help="latest (the default), latest~1, a name or a number of `regnal explain --list`.",
)
@click.option("--json", "as_json", is_flag=True, help="For machines: everything.")
@click.option("--full", "is_full", is_flag=True, help="Leave nothing out.")
@place_options
def what_if_command(
    changes: tuple[Change, ...],
    downs: tuple[str, ...],
    code: Path | None,
    incident: str | None,
    as_json: bool,
    is_full: bool,
    **places: Any,
) -> None:
    options = PlaceOptions(**places)
    if code is not None:
        if changes or downs or incident:
            raise click.UsageError("--code goes with --since and --until alone")
        _tell_other_code(code, options, as_json=as_json)
        return
    if not changes and not downs:
        text = "say what shall be otherwise: --set, --down or --code"
        raise click.UsageError(text)
    if incident is not None and (options.since or options.until):
        raise click.UsageError("give --incident, or --since and --until, not both")
    wanted = Wanted(changes, downs, incident)
    with opened_places(options) as case:
        with progress_shown() as progress:
            found = _asked(case, wanted, options, progress)
        if as_json:
            click.echo(found.model_dump_json(indent=2))
        else:
            width = shutil.get_terminal_size((100, 24)).columns
            text = what_if_text(found, width=width, style=coloured, is_full=is_full)
            click.echo(text)
        tell_troubles(case)
    if found.verdict == "differs":
        raise click.exceptions.Exit(1)


def _tell_other_code(code: Path, options: PlaceOptions, *, as_json: bool) -> None:
    window = Window(since=options.since, until=options.until)
    bounds = [("--since", options.since), ("--until", options.until)]
    given = [part for name, value in bounds if value for part in (name, value)]
    with opened_places(options) as case:
        directories = {one.member: one.directory for one in case.journals}
        try:
            there = steps_of(code, directories, given)
        except CannotRun as error:
            _refuse(f"--code {error}")
        here = [
            line
            for member, directory in directories.items()
            for line in step_lines(member, directory, window)
        ]
        found = compared(here, there)
        if as_json:
            click.echo(found.model_dump_json(indent=2))
        else:
            click.echo(other_code_text(found, style=coloured))
        tell_troubles(case)
    if found.verdict == "differs":
        raise click.exceptions.Exit(1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The question, as it was given."""

    changes: tuple[Change, ...]
    downs: tuple[str, ...]
    incident: str | None


def _asked(
    case: Case, wanted: Wanted, options: PlaceOptions, progress: Progress
) -> Answer:
    investigation = Investigation(
        {journal.member: journal.directory for journal in case.journals},
        expected=case.expected,
        progress=progress,
    )
    found = _incident(investigation, wanted, options)
    since, until = _window(investigation, found, options)
    members = investigation.expected
    for name in {change.member for change in wanted.changes} - {None, *members}:
        _refuse(f"there is no member {name}: there are {', '.join(members)}")
    question = Question(
        changes=Changes(wanted.changes),
        downs=tuple(
            _down(text, members, until or investigation.evidence.end)
            for text in wanted.downs
        ),
        since=since,
        until=until,
    )
    directories = {journal.member: journal.directory for journal in case.journals}
    try:
        asking = Asking(directories, investigation.evidence, question, progress)
        asking.run()
    except ConfigurationError as error:
        _refuse(str(error))
    troubles = tuple(
        Trouble(code=one.code.upper(), text=str(one)) for one in case.troubles
    )
    return answer(asking, found, troubles)


def _incident(
    investigation: Investigation, wanted: Wanted, options: PlaceOptions
) -> Incident | None:
    """None: a time was given, or there is no incident and so the whole is meant."""
    if options.since or options.until:
        return None
    if wanted.incident is None and not investigation.incidents:
        return None
    try:
        return investigation.find(wanted.incident or LATEST)
    except NoSuchIncident as error:
        _refuse(str(error))


def _window(
    investigation: Investigation, incident: Incident | None, options: PlaceOptions
) -> tuple[Moment | None, Moment | None]:
    """None: from the beginning, or to the end."""
    if incident is None:
        since = None if options.since is None else wall_seconds(options.since)
        until = None if options.until is None else wall_seconds(options.until)
        return since, until
    begin = incident.began - BEFORE
    since = None if begin <= investigation.evidence.begin else begin
    return since, incident.ended + AFTER


def _down(
    text: str, members: tuple[MemberName, ...], end: Moment
) -> tuple[MemberName, Moment | None]:
    """A time of day is of the day that is looked at, a span before its end."""
    name, at, moment = text.partition("@")
    if name not in members:
        _refuse(
            f"--down {text}: there is no member {name}: there are {', '.join(members)}"
        )
    if not at:
        return name, None
    try:
        return name, wall_seconds(parse_moment(moment, round(end * 1e6)))
    except ValueError as error:
        _refuse(f"--down {text}: {error}")


def _refuse(text: str) -> NoReturn:
    raise CannotBeAsked(text)
