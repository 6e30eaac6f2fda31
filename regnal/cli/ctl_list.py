"""`list` and `topology`: who is in the cluster, in which role and state."""

import sys
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click

from regnal.cli.ctl_choice import group_option
from regnal.cli.ctl_members import (
    CLUSTER_COLUMN,
    as_tree,
    cluster_title,
    columns_for,
    for_people,
    member_rows,
)
from regnal.cli.ctl_session import Cluster, Session, pass_session
from regnal.cli.ctl_settings import ClusterSettings
from regnal.cli.ctl_table import FORMATS, Format, print_table
from regnal.messages.base import Seconds
from regnal.messages.cluster import ClusterView

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_REFRESH: Seconds = 2.0
_CLEAR_SCREEN = "\x1b[2J\x1b[1;1H"

format_option = click.option(
    "--format",
    "-f",
    "output",
    type=click.Choice(FORMATS),
    default="pretty",
    help="Output format",
)


def watch_options(function: F) -> F:
    every = click.option(
        "-w", "--watch", type=float, help="Auto update the screen every X seconds"
    )
    often = click.option(
        "-W", "often", is_flag=True, help="Auto update the screen every 2 seconds"
    )
    return often(every(function))


def repeat(show: Callable[[], None], often: bool, watch: Seconds | None) -> None:
    """Show once, or again and again until the person interrupts it."""
    interval = watch if watch is not None else DEFAULT_REFRESH if often else None
    if not interval or interval <= 0:
        show()
        return
    never = threading.Event()
    while True:
        if sys.stdout.isatty():
            click.echo(_CLEAR_SCREEN, nl=False)
        show()
        never.wait(interval)


@click.command("list")
@click.argument("cluster_names", nargs=-1)
@group_option
@click.option("--extended", "-e", is_flag=True, help="Show some extra information")
@click.option("--timestamp", "-t", is_flag=True, help="Print timestamp")
@format_option
@watch_options
@pass_session
def list_command(
    session: Session,
    cluster_names: tuple[str, ...],
    group: int | None,
    extended: bool,
    timestamp: bool,
    output: Format,
    often: bool,
    watch: float | None,
) -> None:
    """List the members of the cluster"""
    clusters = _clusters(session, cluster_names, group)

    def show() -> None:
        if timestamp:
            click.echo(datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S"))
        for cluster in clusters:
            print_members(cluster.scope, cluster.read(), output, extended=extended)

    if clusters:
        repeat(show, often, watch)


@click.command("topology")
@click.argument("cluster_names", nargs=-1)
@group_option
@watch_options
@pass_session
def topology_command(
    session: Session,
    cluster_names: tuple[str, ...],
    group: int | None,
    often: bool,
    watch: float | None,
) -> None:
    """Print who replicates from whom"""
    clusters = _clusters(session, cluster_names, group)

    def show() -> None:
        for cluster in clusters:
            print_members(cluster.scope, cluster.read(), "pretty", tree=True)

    if clusters:
        repeat(show, often, watch)


def _clusters(
    session: Session, names: tuple[str, ...], group: int | None
) -> list[Cluster]:
    if not names and not session.document.get("scope"):
        click.echo("Warning: Listing members: No cluster names were provided", err=True)
        return []
    wanted = names or (session.scope(None),)
    return [session.cluster(name, group) for name in wanted]


def print_members(
    scope: str,
    cluster: ClusterView,
    output: Format = "pretty",
    *,
    extended: bool = False,
    tree: bool = False,
) -> None:
    """The table of the members, and below it what else a person must know."""
    rows = member_rows(scope, cluster)
    columns = columns_for(rows, extended=extended)
    if output != "pretty":
        print_table((CLUSTER_COLUMN, *columns), rows, output)
        return
    if tree:
        rows = as_tree(cluster, rows)
    title = cluster_title(scope, cluster)
    print_table(columns, [for_people(row) for row in rows], "pretty", title=title)
    _print_footer(cluster)


def _print_footer(cluster: ClusterView) -> None:
    if ClusterSettings.of(cluster).paused:
        click.echo(" Maintenance mode: on")
    planned = cluster.failover
    if planned is not None and planned.scheduled_at:
        click.echo(f" Switchover scheduled at: {planned.scheduled_at}")
        if planned.leader:
            click.echo(f"                    from: {planned.leader}")
        if planned.candidate:
            click.echo(f"                      to: {planned.candidate}")
