"""`remove`: forget a cluster.  Only its keys in the store; no server is touched."""

import click

from regnal.cli.ctl_choice import group_option, one_cluster_argument
from regnal.cli.ctl_list import format_option, print_members
from regnal.cli.ctl_session import Session, pass_session
from regnal.cli.ctl_table import Format

SENTENCE = "Yes I am aware"


@click.command("remove")
@one_cluster_argument
@group_option
@format_option
@pass_session
def remove_command(
    session: Session, cluster_name: str, group: int | None, output: Format
) -> None:
    """Remove cluster from DCS"""
    cluster = session.cluster(cluster_name, group)
    view = cluster.read()
    print_members(cluster_name, view, output)
    # There is deliberately no --force: all of it is typed.
    if click.prompt("Please confirm the cluster name to remove") != cluster_name:
        raise click.ClickException("Cluster names specified do not match")
    typed = click.prompt(
        "You are about to remove all information in DCS for "
        f'{cluster_name}, please type: "{SENTENCE}"'
    )
    if typed != SENTENCE:
        raise click.ClickException(f'You did not exactly type "{SENTENCE}"')
    if view.leader_name is not None:
        typed = click.prompt(
            "This cluster currently is healthy. "
            "Please specify the leader name to continue"
        )
        if typed != view.leader_name:
            raise click.ClickException(
                "You did not specify the current leader of the cluster"
            )
    cluster.store.delete_cluster()
