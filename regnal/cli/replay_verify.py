"""`regnal replay verify`: does every step come out the same today?"""

import json
from dataclasses import asdict
from typing import Any

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
from regnal.journal.reader import Window
from regnal.replay.case import Case, Journal
from regnal.replay.playback.differing import NOT_THERE, Changed
from regnal.replay.telling.differences import verification_text
from regnal.replay.verify import Difference, Verification
from regnal.replay.verifying import verify_all

HELP = f"""\
Run the recorded inputs through the deciders of this program.

Every step must come out with the same rule, facts and words, and every state as the
next snapshot has it; what does not is shown as a diff: - as it was recorded, + as it is
today.  `regnal journal verify` is about the record itself: that nothing in it was changed
or cut.  {PLACES_HELP}
Exit status 1: there are differences, or nothing can be compared; 2: there is no journal.

\b
Examples:
  regnal replay verify /var/lib/postgresql/journals
  regnal replay verify http://127.0.0.1:8008 --since 2h
  regnal replay verify incident.tar.gz --json | jq '.[].differences[].rule'
"""


@click.command("verify", help=HELP)
@click.option("--json", "as_json", is_flag=True, help="For machines: everything.")
@click.option("--full", "is_full", is_flag=True, help="Leave nothing out.")
@place_options
def verify_command(as_json: bool, is_full: bool, **places: Any) -> None:
    options = PlaceOptions(**places)
    window = Window(since=options.since, until=options.until)
    with opened_places(options, every=True) as case:
        results = _verified(case, window)
        if as_json:
            told = [_as_json(journal, result) for journal, result in results]
            click.echo(json.dumps(told, indent=2))
        else:
            for journal, result in results:
                text = verification_text(result, style=coloured, is_full=is_full)
                click.echo(f"{journal.member or '?'} ({journal.origin}): {text}")
        tell_troubles(case)
    is_compared = any(result.steps or result.states for _, result in results)
    if not is_compared or not all(result.is_same for _, result in results):
        raise click.exceptions.Exit(1)


def _verified(case: Case, window: Window) -> list[tuple[Journal, Verification]]:
    with progress_shown() as progress:
        results = verify_all(
            [journal.directory for journal in case.journals],
            window,
            counted=lambda done, total: progress("replaying", done, total),
        )
    return list(zip(case.journals, results, strict=True))


def _as_json(journal: Journal, result: Verification) -> dict[str, Any]:
    return {
        "journal": journal.origin,
        "member": journal.member,
        "scope": journal.scope,
        **asdict(result),
        "differences": [_difference_json(one) for one in result.differences],
    }


def _difference_json(difference: Difference) -> dict[str, Any]:
    return {
        **asdict(difference),
        "changes": [_change_json(change) for change in difference.changes],
    }


def _change_json(change: Changed) -> dict[str, Any]:
    """What only one side has is left out on the other."""
    return {name: value for name, value in asdict(change).items() if value != NOT_THERE}
