"""`scaffold`: keys for an external primary, so that a cluster of replicas can be formed.

Written are `initialize`, the member key of the external primary, made from the
configuration, and the leader key with its name.  They live so long that nobody sees
them expire; removing the leader key by hand lets a member be promoted.
"""

import json
from typing import Any

import click

from regnal.cli.ctl_choice import group_option, one_cluster_argument
from regnal.cli.ctl_session import Session, pass_session
from regnal.configuration.published import api_url, postgres_address
from regnal.configuration.settings import PEER_VERSION
from regnal.messages.base import Seconds

FOR_EVER: Seconds = 10 * 365.25 * 86400
"""Ten years: stores give their leases an end."""


@click.command("scaffold")
@one_cluster_argument
@click.option(
    "--sysid", "-s", required=True, help="System ID of the cluster to put into the keys"
)
@group_option
@pass_session
def scaffold_command(
    session: Session, cluster_name: str, sysid: str, group: int | None
) -> None:
    """Create the keys of a cluster with an external primary"""
    cluster = session.cluster(cluster_name, group)
    if cluster.read().initialize is not None:
        raise click.ClickException("This cluster is already initialized")
    name, document = _member(session.document)
    store = cluster.store
    if not store.take_initialize(sysid):
        raise click.ClickException("This cluster is already initialized")
    try:
        is_done = store.take_leader(name, document, FOR_EVER)
    except click.ClickException as error:
        store.delete_cluster()
        raise click.ClickException(
            f"{error.message}; what was written is removed again"
        ) from error
    if not is_done:
        raise click.ClickException(
            f"Another member has become the leader of {cluster_name} meanwhile"
        )
    click.echo(f"Cluster {cluster_name} has been created successfully")


def _member(document: dict[str, Any]) -> tuple[str, str]:
    """Name and key of the primary, as far as the configuration tells."""
    name = document.get("name")
    postgresql = document.get("postgresql", {})
    restapi = document.get("restapi", {})
    if not name or "listen" not in postgresql or "listen" not in restapi:
        raise click.ClickException(
            "The configuration must say where the primary is: "
            "set name, postgresql.listen and restapi.listen (or the connect_address)"
        )
    database = postgresql.get("database", "postgres")
    fields = {
        "conn_url": f"postgres://{postgres_address(postgresql)}/{database}",
        "api_url": api_url(restapi),
        "state": "running",
        "role": "primary",
        "version": PEER_VERSION,
    }
    return str(name), json.dumps(fields, separators=(",", ":"))
