"""`regnal check-model`: the production deciders in small worlds, in every order."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from regnal.replay.model.explore import Limits, Report, beginning, explore
from regnal.replay.model.recording import write_journals
from regnal.replay.model.story import move_text, story
from regnal.replay.model.world import World
from regnal.replay.model.worlds import WORLDS, NamedWorld

TEXT, JSON = "text", "json"
DEFAULT_SECONDS = 60.0
LAW_IS_BROKEN = 1
NAMES = [world.name for world in WORLDS]
EPILOG = """\b
Examples:
  regnal check-model
  regnal check-model one-fault three --seconds 600
  regnal check-model switchover -f json
  regnal check-model three --journals way && regnal explain way/three
"""


@click.command("check-model", epilog=EPILOG)
@click.argument("worlds", nargs=-1, type=click.Choice(NAMES), metavar="[WORLD]...")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=DEFAULT_SECONDS,
    show_default=True,
    help="Processor time for which each world may be explored.",
)
@click.option(
    "--states",
    type=click.IntRange(min=1),
    default=None,
    help="How many states of each world may be reached.  [default: all]",
)
@click.option(
    "--recovery/--no-recovery",
    default=True,
    show_default=True,
    help="From every state, too, let the cluster come to rest once all is mended.",
)
@click.option(
    "--journals",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="If a law is broken, write below DIR/WORLD the journals of the way to it.",
)
@click.option("--list", "listed", is_flag=True, help="List the worlds, explore none.")
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice([TEXT, JSON]),
    default=TEXT,
    show_default=True,
)
def check_model_command(
    worlds: Sequence[str],
    seconds: float,
    states: int | None,
    recovery: bool,
    journals: Path | None,
    listed: bool,
    form: str,
) -> None:
    """Explore what the daemons may do, in small worlds, and check every law.

    The deciders are those that the daemon runs, unmodified; the store, PostgreSQL, the
    network and time are modelled.  Everything that may happen is tried: see
    docs/model-checking.md.  Without WORLD all of them are explored.  The exit status is
    1 if a law was broken; the shortest way to it is told.
    """
    if journals is not None and journals.exists() and any(journals.iterdir()):
        raise click.ClickException(
            f"--journals {journals}: is not empty; name a new directory"
        )
    chosen = [world for world in WORLDS if not worlds or world.name in worlds]
    if listed:
        _list(chosen, form)
        return
    limits = Limits(states=states, seconds=seconds)
    found = []
    for world in chosen:
        model = World(world.bounds)
        report = explore(
            model, beginning(model, world.begins), limits, recovers=recovery
        )
        found.append((world, report))
        written = _written(world, report, journals)
        if form == TEXT:
            click.echo("\n".join((*_as_text(world, report), *_where(written))))
    if form == JSON:
        click.echo(json.dumps([_as_json(*one) for one in found], indent=2))
    if any(report.broken for _, report in found):
        sys.exit(LAW_IS_BROKEN)


def _written(world: NamedWorld, report: Report, journals: Path | None) -> Path | None:
    """Where the journals of the way to the broken law are; None: nobody wants them, or
    no law is broken."""
    if journals is None or report.broken is None:
        return None
    directory = journals / world.name
    try:
        write_journals(world, report, directory)
    except OSError as error:
        raise click.ClickException(f"--journals {directory}: {error}") from error
    return directory


def _where(written: Path | None) -> list[str]:
    if written is None:
        return []
    return [f"Its journals are in {written}:", f"  regnal explain {written}", ""]


def _list(worlds: Sequence[NamedWorld], form: str) -> None:
    if form == JSON:
        rows = [{"world": world.name, "what": world.what} for world in worlds]
        click.echo(json.dumps(rows, indent=2))
        return
    width = max(len(world.name) for world in worlds)
    for world in worlds:
        click.echo(f"{world.name:{width}}  {world.what}")


def _as_text(world: NamedWorld, report: Report) -> list[str]:
    lines = [
        f"{world.name}: {world.what}",
        _extent(report),
        f"  {len(report.rules)} rules spoke",
    ]
    if report.broken is None:
        return [*lines, "  every law holds", ""]
    told = [f"    {line}" for line in story(world, report)]
    return [*lines, f"  BROKEN: {report.broken}", *told, ""]


def _extent(report: Report) -> str:
    extent = "all of them" if report.exhausted else "cut by the limit"
    if report.broken:
        extent = "up to a broken law"
    return (
        f"  {report.states} states ({extent}), {report.transitions} transitions, "
        f"depth {report.depth}, {report.seconds:.1f} s of CPU"
    )


def _as_json(world: NamedWorld, report: Report) -> dict[str, object]:
    return {
        "world": world.name,
        "what": world.what,
        "states": report.states,
        "transitions": report.transitions,
        "depth": report.depth,
        "seconds": round(report.seconds, 3),
        "exhausted": report.exhausted,
        "rules": sorted(f"{actor}: {rule}" for actor, rule in report.rules),
        "broken": report.broken,
        "path": [move_text(move, world.bounds.names) for move in report.path],
        "story": story(world, report) if report.broken else [],
    }
