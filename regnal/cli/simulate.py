"""`regnal simulate`: how often and how long would writes stop, under this configuration?"""

import json
import os
import shlex
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from regnal.cli.explanation import COLOURS
from regnal.cli.progress import progress_shown
from regnal.cli.simulated_cluster import cluster_of
from regnal.replay.explaining.explain import Investigation
from regnal.replay.simulation.campaign import (
    Cluster,
    Episode,
    draw,
    lives,
    play,
)
from regnal.replay.simulation.faults import (
    KINDS,
    MOMENTS,
    WHO_IS_MEANT,
    Fault,
    FaultRefused,
    in_order,
    parse_fault,
)
from regnal.replay.simulation.life import Life, live
from regnal.replay.simulation.minimise import minimise
from regnal.replay.simulation.network import STORE
from regnal.replay.simulation.profiles import PROFILES
from regnal.replay.simulation.report import Report, report_text
from regnal.replay.telling.text import story_text

HELP = """\
Play many hours of a cluster's life with faults, in virtual time, and tell how often and
how long writes would stop.

The deciders are those of the daemon, unmodified, with the settings of FILE; the store,
the network, PostgreSQL, hosts and clients are a model (docs/simulation.md says what it
assumes).  The same seed gives the same run.  The longest outage is explained.

Exit status 1: a safety law broke, or a cluster did not come to rest; then the fewest
faults that show it are printed, with the command that repeats it.

\b
Examples:
  regnal simulate --config regnal.yml --hours 1000 --faults az-loss
  regnal simulate -c regnal.yml --faults partitions --members 5 --json
  regnal simulate --list-faults
  regnal simulate -c regnal.yml --seed 7 --fault "40 kill_host @primary 60" \\
      --journals story && regnal explain story
  regnal simulate --fault "40 kill_host @primary 60" \\
      --fault "40:promote_postgres freeze_daemon @sender 25"
"""

MOST_MEMBERS = 9

MOST_FAULTS = 100_000
"""Of a campaign: more would take a day, and more memory than a person expects."""


@dataclass(frozen=True)
class Asked:
    """How a person asked, to print how to repeat it."""

    config: Path | None
    members: int

    def command(self, life: Life) -> str:
        words = ["regnal", "simulate"]
        if self.config is not None:
            words += ["--config", str(self.config)]
        words += ["--members", str(self.members), "--seed", str(life.seed)]
        for fault in life.schedule:
            words += ["--fault", str(fault)]
        return shlex.join(words)


def _list_faults(
    context: click.Context, parameter: click.Parameter, wanted: bool
) -> None:
    """Printed before anything is played."""
    if not wanted or context.resilient_parsing:
        return
    if context.params.get("as_json"):
        profiles = {
            name: {"what": profile.what, "per_hour": profile.per_hour}
            for name, profile in PROFILES.items()
        }
        kinds = {name: kind._asdict() for name, kind in KINDS.items()}
        listed = {"profiles": profiles, "kinds": kinds, "moments": MOMENTS}
        click.echo(json.dumps(listed, indent=2))
    else:
        click.echo("Profiles (--faults), and faults in a cluster-hour:")
        for name, profile in PROFILES.items():
            click.echo(f"  {name:12}  {profile.per_hour:6g}  {profile.what}")
        click.echo("\nKinds (--fault 'SECOND KIND [MEMBER] [DURATION] [AMOUNT]'):")
        for name, kind in KINDS.items():
            amount = f" (amount: {kind.amount})" if kind.amount else ""
            click.echo(f"  {name:17}  {kind.about}: {kind.what}{amount}")
        click.echo(
            "\nMoments (--fault 'SECOND:MOMENT KIND ...', of the member @sender):"
        )
        for name, what in MOMENTS.items():
            click.echo(f"  {name:24}  {what}")
    context.exit()


def _faults(
    context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> tuple[Fault, ...]:
    try:
        return in_order(map(parse_fault, texts))
    except FaultRefused as error:
        raise click.BadParameter(str(error)) from error


@click.command("simulate", help=HELP)
@click.option(
    "-c",
    "--config",
    type=click.Path(exists=True, path_type=Path),
    metavar="FILE",
    help="A configuration of the daemon; without it, the defaults.",
)
@click.option(
    "--hours",
    type=click.FloatRange(0, 1_000_000, min_open=True),
    default=100.0,
    show_default=True,
    help="Of the cluster.",
)
@click.option(
    "--faults",
    "profile",
    type=click.Choice(list(PROFILES)),
    default="everything",
    show_default=True,
    help="What happens, and how often; see --list-faults.",
)
@click.option(
    "--members",
    type=click.IntRange(1, MOST_MEMBERS),
    default=3,
    show_default=True,
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    callback=_faults,
    metavar="FAULT",
    help="Play one life with just these faults.",
)
@click.option(
    "--journals",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write there the journals of what is explained.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    default=os.cpu_count() or 1,
    show_default="one for each CPU",
    help="Processes.",
)
@click.option("--json", "as_json", is_flag=True, is_eager=True, help="For machines.")
@click.option(
    "--list-faults",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_faults,
    help="Print profiles and kinds of faults, and end.",
)
@click.pass_context
def simulate_command(
    context: click.Context,
    config: Path | None,
    hours: float,
    profile: str,
    members: int,
    seed: int,
    faults: tuple[Fault, ...],
    journals: Path | None,
    jobs: int,
    *,
    as_json: bool,
) -> None:
    cluster, warnings = cluster_of(config, members)
    for warning in warnings:
        click.echo(f"Warning: {warning}", err=True)
    _refuse_a_full_directory(journals)
    if faults:
        todo = [_just(cluster, faults, seed)]
        hours = 0.0
    else:
        _refuse_too_much(hours, profile)
        schedule = draw(PROFILES[profile], hours, cluster.names, seed)
        todo = list(lives(cluster, schedule, seed))
    with progress_shown(told=str) as progress:
        report = Report(hours, tuple(play(todo, jobs, progress)))
    if as_json:
        told = report.as_json()
        told["worst_story"] = _worst_story(report, journals, as_json=True)
        click.echo(json.dumps(told, indent=2))
    else:
        click.echo(report_text(report, _style))
        _tell_worst(report, journals)
        _tell_broken(report, Asked(config, members), journals)
    context.exit(1 if report.broken else 0)


def _just(cluster: Cluster, faults: tuple[Fault, ...], seed: int) -> Life:
    """One life.  Raises ClickException where a fault names nobody."""
    known = {*cluster.names, STORE, *WHO_IS_MEANT}
    for fault in faults:
        for target in fault.targets:
            if target not in known:
                raise click.ClickException(
                    f"{fault}: there is no member {target!r}; there are "
                    f"{', '.join(cluster.names)} (--members), {', '.join(WHO_IS_MEANT)}"
                )
    return Life(cluster.names, seed, faults, cluster.settings, cluster.own)


def _refuse_a_full_directory(journals: Path | None) -> None:
    if journals is not None and journals.exists() and any(journals.iterdir()):
        raise click.ClickException(
            f"--journals {journals}: is not empty; name a new directory"
        )


def _refuse_too_much(hours: float, profile: str) -> None:
    per_hour = PROFILES[profile].per_hour
    if hours * per_hour > MOST_FAULTS:
        raise click.ClickException(
            f"--hours {hours:g}: with {profile} that is more than {MOST_FAULTS} faults; "
            f"ask for {MOST_FAULTS / per_hour:g} hours at most"
        )


def _tell_worst(report: Report, journals: Path | None) -> None:
    worst = report.worst
    if worst is None or report.broken:
        return
    episode, outage = worst
    click.echo()
    heading = f"The longest outage, {outage.duration:.1f} s (seed {episode.life.seed}):"
    click.echo(_style(heading, "heading"))
    for fault in episode.life.schedule:
        click.echo(f"  {fault}")
    story = _worst_story(report, journals, as_json=False)
    if story is not None:
        click.echo(f"\n{story}")


def _worst_story(report: Report, journals: Path | None, *, as_json: bool) -> Any:
    """Its explanation, by the code of `regnal explain`; None: there is nothing."""
    if report.worst is None or report.broken:
        return None
    life = report.worst[0].life
    with ExitStack() as stack:
        directory = journals or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        live(life, directory)
        investigation = Investigation(_directories(directory, life))
        listed = investigation.listed()
        if not listed:
            return None
        longest = max(listed, key=lambda one: one.outage or 0.0)
        story = investigation.story(investigation.find(longest.name))
    if as_json:
        return story.model_dump(mode="json")
    width = shutil.get_terminal_size((100, 24)).columns
    return story_text(story, width=width, style=_style, is_full=False)


def _directories(directory: Path, life: Life) -> Mapping[str, Path]:
    return {name: directory / name for name in life.names}


def _tell_broken(report: Report, asked: Asked, journals: Path | None) -> None:
    """The first that broke, with the fewest faults, and how to repeat and read it."""
    for number, episode in enumerate(report.broken):
        click.echo()
        what = f"{episode.lived.broken} (seed {episode.life.seed})"
        click.echo(_style(f"Broken: {what}", "bad"))
        if number > 0:
            click.echo(_last_line(episode))
            click.echo(f"  {asked.command(episode.life)}")
            continue
        life, lived = minimise(episode.life, episode.lived)
        click.echo(lived.why.rstrip())
        click.echo("\nThe fewest faults with which it does:")
        for fault in life.schedule:
            click.echo(f"  {fault}")
        click.echo(f"\nTo repeat it:\n  {asked.command(life)}")
        directory = journals or Path(tempfile.mkdtemp(prefix="regnal-simulated-"))
        live(life, directory)
        click.echo(f"\nIts journals are in {directory}:\n  regnal explain {directory}")


def _last_line(episode: Episode) -> str:
    return episode.lived.why.strip().splitlines()[-1]


def _style(text: str, kind: str) -> str:
    """click leaves the codes out where the output is no terminal."""
    return click.style(text, **COLOURS[kind])
