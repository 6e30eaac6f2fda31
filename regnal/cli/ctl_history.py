"""`history`: every change of timeline that the cluster remembers."""

import click

from regnal.cli.ctl_choice import cluster_argument, group_option
from regnal.cli.ctl_list import format_option
from regnal.cli.ctl_session import Session, pass_session
from regnal.cli.ctl_table import Format, column, print_table

COLUMNS = (
    column("TL", to_the_right=True),
    column("LSN", to_the_right=True),
    column("Reason"),
    column("Timestamp"),
    column("New Leader"),
)


@click.command("history")
@cluster_argument
@group_option
@format_option
@pass_session
def history_command(
    session: Session, cluster_name: str | None, group: int | None, output: Format
) -> None:
    """Show the history of failovers/switchovers"""
    cluster = session.cluster(session.scope(cluster_name), group).read()
    rows = [
        {
            "TL": line.timeline,
            "LSN": line.lsn,
            "Reason": line.reason,
            "Timestamp": line.at or "",
            "New Leader": line.leader or "",
        }
        for line in cluster.history or ()
    ]
    print_table(COLUMNS, rows, output)
