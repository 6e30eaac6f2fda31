"""`regnal replay`: the journals through today's deciders."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from regnal.actors.cast import DECIDERS
from regnal.journal.places import journals
from regnal.replay.verify import Verification, verify_journal

SHOWN = 20
"""Differences that are printed; --json has them all."""


@click.group("replay")
def replay_command() -> None:
    """Repeat what the journals recorded."""


@replay_command.command(
    "verify", epilog="Example:  regnal replay verify /var/lib/postgresql/journals"
)
@click.argument(
    "directories",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def verify_command(directories: tuple[Path, ...], as_json: bool) -> None:
    """Run the recorded inputs through the deciders of this program.

    Every step must come out with the same rule, facts and words.  `regnal journal
    verify` is about the record itself: that nothing in it was changed or cut.

    Exit status 1: there are differences, or no journal.
    """
    found = [journal for given in directories for journal in journals(given)]
    if not found:
        names = ", ".join(str(given) for given in directories)
        raise click.ClickException(f"there is no journal in {names}")
    results = {journal: verify_journal(journal, DECIDERS) for journal in found}
    if as_json:
        click.echo(json.dumps([_as_json(j, r) for j, r in results.items()], indent=2))
    else:
        for journal, result in results.items():
            _tell(journal, result)
    if not all(result.is_same for result in results.values()):
        raise click.exceptions.Exit(1)


def _tell(journal: Path, result: Verification) -> None:
    verdict = "the same" if result.is_same else f"{result.difference_count} differ"
    click.echo(
        f"{journal}: {result.messages} messages, {result.steps} steps compared: "
        f"{verdict}"
    )
    for difference in result.differences[:SHOWN]:
        click.echo(f"  {difference}")
    if len(result.differences) > SHOWN:
        click.echo(f"  and {len(result.differences) - SHOWN} more")
    for trouble in result.troubles:
        click.echo(f"  not used: {trouble}")


def _as_json(journal: Path, result: Verification) -> dict[str, Any]:
    return {
        "journal": str(journal),
        "messages": result.messages,
        "steps": result.steps,
        "differences": [
            {key: str(value) for key, value in asdict(difference).items()}
            for difference in result.differences
        ],
        "troubles": result.troubles,
    }
