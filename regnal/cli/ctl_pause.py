"""`pause` and `resume` automatic failover."""

import threading
import time
from typing import Literal

import click

from regnal.cli.ctl_choice import cluster_argument, group_option
from regnal.cli.ctl_rest import Members
from regnal.cli.ctl_session import Cluster, Session, pass_session
from regnal.cli.ctl_settings import ClusterSettings
from regnal.cli.rest_client import Answer, MemberUnreachable
from regnal.messages.base import Seconds
from regnal.messages.cluster import ClusterView, MemberView

Verb = Literal["pause", "resume"]

BETWEEN_LOOKS: Seconds = 0.3
SPARE: Seconds = 1.0


@click.command("pause")
@cluster_argument
@group_option
@click.option("--wait", is_flag=True, help="Wait until pause is applied on all nodes")
@pass_session
def pause_command(
    session: Session, cluster_name: str | None, group: int | None, wait: bool
) -> None:
    """Disable auto failover"""
    _toggle(session, cluster_name, group, "pause", wait)


@click.command("resume")
@cluster_argument
@group_option
@click.option("--wait", is_flag=True, help="Wait until pause is cleared on all nodes")
@pass_session
def resume_command(
    session: Session, cluster_name: str | None, group: int | None, wait: bool
) -> None:
    """Resume auto failover"""
    _toggle(session, cluster_name, group, "resume", wait)


def _toggle(
    session: Session,
    cluster_name: str | None,
    group: int | None,
    verb: Verb,
    wait: bool,
) -> None:
    cluster = session.cluster(session.scope(cluster_name), group)
    view = cluster.read()
    wanted = verb == "pause"
    if ClusterSettings.of(view).paused == wanted:
        raise click.ClickException(
            f"Cluster is {'already' if wanted else 'not'} paused"
        )
    answer = patch_config(Members(session), view, {"pause": True if wanted else None})
    if answer.status != 200:
        click.echo(
            f"Failed: {verb} cluster management status code={answer.status}, "
            f"({answer.text})"
        )
        return
    if wait:
        click.echo(
            f"'{verb}' request sent, waiting until it is recognized by all nodes"
        )
        _wait(cluster, view, wanted)
    click.echo(f"Success: cluster management is {verb}d")


def patch_config(asked: Members, view: ClusterView, patch: dict[str, object]) -> Answer:
    """Through the leader; if it does not answer through anybody else."""
    reasons = []
    for member in leader_first(view):
        try:
            return asked.ask(member, "PATCH", "config", patch)
        except MemberUnreachable as error:
            reasons.append(str(error))
    raise click.ClickException(
        "\n".join(["Can not find accessible cluster member", *reasons])
    )


def leader_first(view: ClusterView) -> list[MemberView]:
    """All members, the lock holder before the others."""
    return sorted(view.members, key=lambda one: one.name != view.leader_name)


def _wait(cluster: Cluster, view: ClusterView, wanted: bool) -> None:
    """Until every member's key shows it; one that is away is only waited for so long."""
    never = threading.Event()
    ends_at = time.monotonic() + ClusterSettings.of(view).loop_wait + SPARE
    while True:
        late = [one.name for one in cluster.read().members if one.paused != wanted]
        if not late:
            return
        if time.monotonic() >= ends_at:
            click.echo(f"Warning: not yet recognized by {', '.join(late)}", err=True)
            return
        never.wait(BETWEEN_LOOKS)
