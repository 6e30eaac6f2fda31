"""`history`: every change of timeline that the cluster remembers.

Without options it prints what patronictl prints.  `--causes` adds what Regnal's members
keep of the incident behind each of them.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import click

from regnal.cli.ctl_choice import cluster_argument, group_option
from regnal.cli.ctl_incident_lists import Told, gather
from regnal.cli.ctl_list import format_option
from regnal.cli.ctl_rest import Members
from regnal.cli.ctl_session import Session, pass_session
from regnal.cli.ctl_table import Format, column, print_table
from regnal.messages.cluster import ClusterView, HistoryLine

COLUMNS = (
    column("TL", to_the_right=True),
    column("LSN", to_the_right=True),
    column("Reason"),
    column("Timestamp"),
    column("New Leader"),
)
CAUSES = (
    column("Cause"),
    column("By"),
    column("Outage", to_the_right=True),
)

SKEW = timedelta(seconds=5)
"""By so much the clocks of the members may differ, so that a promotion seems to be
before the end of the reign that led to it, or after all was settled."""


@click.command("history")
@cluster_argument
@group_option
@click.option("--causes", is_flag=True, help="Why, by whom, and for how long no writes")
@format_option
@pass_session
def history_command(
    session: Session,
    cluster_name: str | None,
    group: int | None,
    causes: bool,
    output: Format,
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
    if not causes:
        print_table(COLUMNS, rows, output)
        return
    incidents = _incidents(session, cluster)
    for row, line in zip(rows, cluster.history or (), strict=True):
        row |= _cause(incident_behind(line, incidents), for_people=output == "pretty")
    print_table((*COLUMNS, *CAUSES), rows, output)


def _incidents(session: Session, cluster: ClusterView) -> Sequence[Told]:
    found = gather(Members(session), cluster)
    for sentence in found.silent:
        click.echo(f"Warning: no incidents of {sentence}", err=True)
    return found.incidents


def incident_behind(line: HistoryLine, incidents: Sequence[Told]) -> Told | None:
    """The end of a reign after which this member led, at that time; the latest if there
    are several."""
    promoted = _moment(line.at)
    if promoted is None:
        return None
    for incident in incidents:  # the newest first
        began, settled = (
            _moment(incident.get("began")),
            _moment(incident.get("settled")),
        )
        if incident.get("what") != "reign_ended" or began is None:
            continue
        if incident.get("leader") != line.leader or began > promoted + SKEW:
            continue
        if settled is None or promoted <= settled + SKEW:
            return incident
    return None


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _cause(incident: Told | None, *, for_people: bool) -> dict[str, Any]:
    if incident is None:
        return {}
    outage = incident.get("outage")
    if outage is not None and for_people:
        outage = f"{outage:.2f} s"
    return {
        "Cause": incident.get("cause"),
        "By": incident.get("author"),
        "Outage": outage,
    }
