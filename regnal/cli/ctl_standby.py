"""`demote-cluster` to a standby of another cluster, and `promote-cluster` again.

Both change `standby_cluster` in the dynamic configuration and then watch until the
leader runs in the wanted role.
"""

import threading
from datetime import datetime
from typing import Literal

import click

from regnal.cli.ctl_choice import cluster_argument, confirm_or_abort, force_option
from regnal.cli.ctl_list import print_members
from regnal.cli.ctl_pause import patch_config
from regnal.cli.ctl_rest import Members
from regnal.cli.ctl_session import Cluster, Session, pass_session
from regnal.messages.base import MemberName, Seconds
from regnal.messages.cluster import ClusterView

Verb = Literal["demote", "promote"]

BETWEEN_LOOKS: Seconds = 1.0
_NOUNS: dict[Verb, str] = {"demote": "demotion", "promote": "promotion"}
_ROLES: dict[Verb, str] = {"demote": "standby_leader", "promote": "primary"}


@click.command("demote-cluster")
@cluster_argument
@force_option
@click.option("--host", help="Address of the remote node")
@click.option("--port", type=int, help="Port of the remote node")
@click.option(
    "--restore-command", help="Command to restore WAL records from the remote primary"
)
@click.option(
    "--primary-slot-name",
    help="Name of the slot on the remote node to use for replication",
)
@pass_session
def demote_cluster_command(
    session: Session,
    cluster_name: str | None,
    force: bool,
    host: str | None,
    port: int | None,
    restore_command: str | None,
    primary_slot_name: str | None,
) -> None:
    """Demote cluster to a standby cluster"""
    if not (host or port or restore_command):
        raise click.ClickException(
            "At least --host, --port or --restore-command should be specified"
        )
    source = {
        "host": host,
        "port": port,
        "primary_slot_name": primary_slot_name,
        "restore_command": restore_command,
    }
    section: dict[str, object] = {k: v for k, v in source.items() if v}
    _change(session, cluster_name, "demote", section, force)


@click.command("promote-cluster")
@cluster_argument
@force_option
@pass_session
def promote_cluster_command(
    session: Session, cluster_name: str | None, force: bool
) -> None:
    """Promote cluster, make it run standalone"""
    _change(session, cluster_name, "promote", None, force)


def _change(
    session: Session,
    cluster_name: str | None,
    verb: Verb,
    section: dict[str, object] | None,
    force: bool,
) -> None:
    cluster = session.cluster(session.scope(cluster_name))
    view = cluster.read()
    leader = view.leader_member
    if leader is None:
        raise click.ClickException(
            f"Cluster has no leader, {_NOUNS[verb]} is not possible"
        )
    if leader.role == _ROLES[verb]:
        raise click.ClickException("Cluster is already in the required state")
    click.echo("Current cluster topology")
    print_members(cluster.scope, view)
    confirm_or_abort(
        f"Are you sure you want to {verb} {cluster.scope} cluster?",
        f"Aborted cluster {_NOUNS[verb]}",
        force=force,
    )
    answer = patch_config(Members(session), view, {"standby_cluster": section})
    if answer.status != 200:
        raise click.ClickException(
            f"Failed to {verb} {cluster.scope} cluster: "
            f"/config PATCH status code={answer.status}, ({answer.text})"
        )
    _wait(cluster, verb, leader.name)
    print_members(cluster.scope, cluster.read())


def _wait(cluster: Cluster, verb: Verb, former: MemberName) -> None:
    """Say how things stand every second, until it is done or the person leaves."""
    never = threading.Event()
    while True:
        view = cluster.read()
        if _is_done(view, verb, former):
            click.echo(f"{_now()} cluster is successfully {verb}d")
            return
        leader = view.leader_member
        click.echo(
            f"{_now()} cluster is unlocked: {view.leader is None}, "
            f"leader role: {leader and leader.role}, "
            f"leader state: {leader and leader.state}"
        )
        never.wait(BETWEEN_LOOKS)


def _is_done(view: ClusterView, verb: Verb, former: MemberName) -> bool:
    leader = view.leader_member
    if leader is None or leader.role != _ROLES[verb] or not leader.is_running:
        return False
    before = view.member(former)
    return verb == "promote" or before is None or before.is_running


def _now() -> str:
    return datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
