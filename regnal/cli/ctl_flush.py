"""`flush`: forget a scheduled restart or switchover."""

from typing import Literal

import click

from regnal.bridges.dcs.contract import FailoverDraft
from regnal.cli.ctl_choice import (
    chosen_members,
    confirm_members,
    force_option,
    group_option,
    members_argument,
    one_cluster_argument,
    role_option,
)
from regnal.cli.ctl_list import print_members
from regnal.cli.ctl_pause import leader_first
from regnal.cli.ctl_rest import Members, report
from regnal.cli.ctl_session import Cluster, Session, pass_session
from regnal.cli.ctl_times import stamp
from regnal.cli.rest_client import MemberUnreachable


@click.command("flush")
@one_cluster_argument
@members_argument
@click.argument("target", type=click.Choice(["restart", "switchover"]))
@group_option
@role_option("Flush only members with this role")
@force_option
@pass_session
def flush_command(
    session: Session,
    cluster_name: str,
    member_names: tuple[str, ...],
    target: Literal["restart", "switchover"],
    group: int | None,
    role: str | None,
    force: bool,
) -> None:
    """Discard scheduled events"""
    cluster = session.cluster(cluster_name, group)
    if target == "switchover":
        _flush_switchover(session, cluster)
    else:
        _flush_restarts(session, cluster, member_names, role, force)


def _flush_restarts(
    session: Session,
    cluster: Cluster,
    member_names: tuple[str, ...],
    role: str | None,
    force: bool,
) -> None:
    view = cluster.read()
    chosen_members(cluster.scope, view, (), role)
    print_members(cluster.scope, view)
    members = chosen_members(cluster.scope, view, member_names, role)
    confirm_members("flush", members, force=force)
    asked = Members(session)
    for member in members:
        if not member.scheduled_restart:
            click.echo(f"No scheduled restart for member {member.name}")
            continue
        what = "flush scheduled restart"
        answer = asked.ask_or_report(member, "DELETE", "restart", None, what)
        if answer is not None:
            report(answer, what, member)
    asked.finish()


def _flush_switchover(session: Session, cluster: Cluster) -> None:
    view = cluster.read()
    planned = view.failover
    if planned is None or not planned.scheduled_at:
        click.echo("No pending scheduled switchover")
        return
    asked = Members(session)
    for member in leader_first(view):
        try:
            answer = asked.ask(member, "DELETE", "switchover")
        except MemberUnreachable as error:
            click.echo(f"Failed: member={member.name}, {error}")
            continue
        if answer.status in (200, 404):
            prefix = "Success" if answer.status == 200 else "Failed"
            click.echo(f"{prefix}: {answer.text}")
            return
        click.echo(
            f"Failed: member={member.name}, status_code={answer.status}, ({answer.text})"
        )
    click.echo(
        f"{stamp()} Could not find any accessible member of cluster {cluster.scope}"
    )
    click.echo("Warning: clearing the request in the store itself", err=True)
    cluster.store.write_failover(FailoverDraft(None, None, None), planned.revision)
