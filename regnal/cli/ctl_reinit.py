"""`reinit`: throw away a replica's data and clone it anew."""

import threading
from collections.abc import Sequence

import click

from regnal.cli.ctl_choice import (
    confirm_members,
    force_option,
    group_option,
    members_argument,
    members_of_role,
    one_cluster_argument,
)
from regnal.cli.ctl_list import print_members
from regnal.cli.ctl_rest import Members, report
from regnal.cli.ctl_session import Session, pass_session
from regnal.cli.rest_client import Answer, MemberUnreachable
from regnal.messages.base import Seconds
from regnal.messages.cluster import MemberView

BETWEEN_LOOKS: Seconds = 2.0
CLONING = "creating replica"
IN_PROGRESS = "already in progress"


@click.command("reinit")
@one_cluster_argument
@members_argument
@group_option
@force_option
@click.option("--from-leader", is_flag=True, help="Get basebackup from leader")
@click.option("--wait", is_flag=True, help="Wait until reinitialization completes")
@pass_session
def reinit_command(
    session: Session,
    cluster_name: str,
    member_names: tuple[str, ...],
    group: int | None,
    force: bool,
    from_leader: bool,
    wait: bool,
) -> None:
    """Reinitialize cluster member"""
    cluster = session.cluster(cluster_name, group).read()
    if not cluster.members:
        raise click.ClickException(f"{cluster_name} cluster doesn't have any members")
    print_members(cluster_name, cluster)
    members = _chosen(members_of_role(cluster, "replica"), member_names, force)
    if not members:
        return
    confirm_members("reinitialize", members, force=force)
    asked = Members(session)
    started = [one for one in members if _reinitialize(asked, one, force, from_leader)]
    if wait:
        _wait(asked, started)
    asked.finish()


def _chosen(
    replicas: Sequence[MemberView], names: Sequence[str], force: bool
) -> list[MemberView]:
    """Without names the person is asked for one; with --force there is no question."""
    if not names:
        if force:
            click.echo("Nothing to do: name the members to reinitialize", err=True)
            return []
        known = ", ".join(one.name for one in replicas)
        name = click.prompt(
            f"Which member do you want to reinitialize [{known}]?", default=""
        )
        if all(name != one.name for one in replicas):
            raise click.ClickException(f"{name} is not a member of cluster")
        names = (name,)
    found = [one for one in replicas if one.name in names]
    if not found:
        raise click.ClickException("No replica among provided members")
    for name in names:
        if all(name != one.name for one in found):
            click.echo(f"Warning: {name} is not a replica, skipped", err=True)
    return found


def _reinitialize(
    asked: Members, member: MemberView, force: bool, from_leader: bool
) -> bool:
    """True: the clone has begun."""
    while True:
        body: dict[str, object] = {"force": force, "from_leader": from_leader}
        answer = asked.ask_or_report(
            member, "POST", "reinitialize", body, "reinitialize"
        )
        if answer is None:
            return False
        if report(answer, "reinitialize", member):
            return True
        if force or not _may_be_cancelled(answer):
            return False
        force = True


def _may_be_cancelled(answer: Answer) -> bool:
    """Whether something else is going on there, and the person wants to stop it."""
    return answer.text.endswith(IN_PROGRESS) and click.confirm(
        "Do you want to cancel it and reinitialize anyway?"
    )


def _wait(asked: Members, members: Sequence[MemberView]) -> None:
    """Until each has left the state in which it is cloned."""
    never = threading.Event()
    remaining = list(members)
    _say_waiting(remaining)
    while remaining:
        never.wait(BETWEEN_LOOKS)
        for member in list(remaining):
            if _is_done(asked, member):
                remaining.remove(member)
                click.echo(f"Reinitialize is completed on: {member.name}")
                _say_waiting(remaining)


def _say_waiting(members: Sequence[MemberView]) -> None:
    if members:
        names = ", ".join(one.name for one in members)
        click.echo(f"Waiting for reinitialize to complete on: {names}")


def _is_done(asked: Members, member: MemberView) -> bool:
    try:
        answer = asked.ask(member, "GET", "patroni")
    except MemberUnreachable:
        return False
    return answer.document().get("state") != CLONING
