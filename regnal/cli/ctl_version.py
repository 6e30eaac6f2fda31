"""`version`: of this program and, with a cluster, of the daemons and their PostgreSQL."""

import click

from regnal.cli.ctl_choice import chosen_members, group_option, members_argument
from regnal.cli.ctl_rest import Members
from regnal.cli.ctl_session import session_of
from regnal.cli.rest_client import MemberUnreachable
from regnal.cli.version import version_text
from regnal.messages.cluster import MemberView

FIRST_OF_TWO_PARTS = 100000
"""`server_version` of PostgreSQL 10; since then `15.10` is 150010, and 9.6.3 was 90603."""


@click.command("version")
@click.argument("cluster_name", required=False)
@members_argument
@group_option
@click.pass_context
def version_command(
    context: click.Context,
    cluster_name: str | None,
    member_names: tuple[str, ...],
    group: int | None,
) -> None:
    """Output version of this command or a running cluster"""
    program = context.find_root().info_name or "regnalctl"
    click.echo(f"{program} version {version_text(program)}")
    if cluster_name is None:
        return
    session = session_of(context)
    cluster = session.cluster(cluster_name, group).read()
    click.echo()
    if not cluster.members:
        return
    asked = Members(session)
    for member in chosen_members(cluster_name, cluster, member_names, None):
        click.echo(f"{member.name}: {_versions(asked, member)}")


def _versions(asked: Members, member: MemberView) -> str:
    try:
        answer = asked.ask(member, "GET", "patroni")
    except MemberUnreachable as error:
        return f"failed to get version: {error}"
    document = answer.document()
    daemon = document.get("patroni")
    text = f"Patroni {daemon.get('version')}" if isinstance(daemon, dict) else "unknown"
    server = document.get("server_version")
    if isinstance(server, int):
        text += f" PostgreSQL {postgres_version(server)}"
    return text


def postgres_version(number: int) -> str:
    """Of the number that the server reports: 150010 is `15.10`, 90603 is `9.6.3`."""
    if number >= FIRST_OF_TWO_PARTS:
        return f"{number // 10000}.{number % 10000}"
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"
