"""`incidents` and `ack`: what befell the cluster, and that a person has seen it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from regnal.cli.ctl_choice import cluster_argument, group_option
from regnal.cli.ctl_incident_lists import Told, gather, open_ones
from regnal.cli.ctl_list import format_option
from regnal.cli.ctl_rest import Members
from regnal.cli.ctl_session import Session, pass_session
from regnal.cli.ctl_table import Format, Row, column, print_table

COLUMNS = (
    column("Name"),
    column("When"),
    column("What"),
    column("Cause"),
    column("Leader"),
    column("No Writes", to_the_right=True),
    column("State"),
)

WHAT = {
    "primary_interrupted": "PostgreSQL of {member} ended as primary",
    "primary_stopped": "PostgreSQL of {member} was shut down",
    "fenced": "the guard fenced {member}",
    "store_outage": "{member} had no DCS",
    "stall": "the daemon of {member} stalled",
    "actor_failed": "an actor of {member} failed",
}
CHANGES = {
    "planned": "planned change of leader",
    "manual": "manual failover",
    "automatic": "failover",
    "none": "the leader key was lost",
    None: "no leader",
}


@click.command("incidents")
@cluster_argument
@group_option
@click.option("--all", "with_closed", is_flag=True, help="Show closed ones, too")
@format_option
@pass_session
def incidents_command(
    session: Session,
    cluster_name: str | None,
    group: int | None,
    with_closed: bool,
    output: Format,
) -> None:
    """List the incidents that nobody has acknowledged"""
    scope = session.scope(cluster_name)
    cluster = session.cluster(scope, group).read()
    found = gather(Members(session), cluster)
    for sentence in found.silent:
        click.echo(f"Warning: no incidents of {sentence}", err=True)
    if cluster.members and not found.asked:
        raise click.ClickException("no member told its incidents")
    shown = found.incidents if with_closed else open_ones(found.incidents)
    rows = [_row(incident, for_people=output == "pretty") for incident in shown]
    print_table(COLUMNS, rows, output, title=f"Incidents: {scope}")


def _row(incident: Told, *, for_people: bool) -> Row:
    began = str(incident.get("began"))
    outage = incident.get("outage")
    row: dict[str, Any] = {
        "Name": incident["name"],
        "When": local_time(began) if for_people else began,
        "What": _what(incident),
        "Cause": incident.get("cause"),
        "Leader": _leaders(incident),
        "No Writes": outage if outage is None else f"{outage:.2f} s",
        "State": _state(incident),
    }
    if not for_people:
        row["No Writes"] = outage
    return row


def _what(incident: Told) -> str:
    if incident.get("what") == "reign_ended":
        return CHANGES.get(incident.get("change"), "change of leader")
    text = WHAT.get(str(incident.get("what")), str(incident.get("what")))
    return text.format(member=incident.get("member"))


def _leaders(incident: Told) -> str:
    """Who led, and who leads since."""
    before, after = incident.get("member"), incident.get("leader")
    if incident.get("what") != "reign_ended":
        return str(after or "")
    return f"{before} → {after or 'nobody'}"


def _state(incident: Told) -> str:
    words: list[str] = []
    by = incident.get("acknowledged_by")
    if incident["open"] and by is not None:
        words.append(f"open on {', '.join(incident['open_on'])}")
    elif incident["open"]:
        words.append("open")
    if by is not None:
        words.append(f"acknowledged by {by}")
    if incident.get("settled") is None:
        words.insert(0, "going on")
    elif not words:
        words.append("settled")
    words += [f"{name} must not lead" for name in incident["bars"]]
    return ", ".join(words)


def local_time(text: str) -> str:
    """Of this host, to the second; what cannot be read as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


@click.command("ack")
@click.argument("names", nargs=-1)
@click.option("--all", "is_all", is_flag=True, help="All that are open")
@click.option("--comment", "-m", help="What you found out, or did")
@click.option("--cluster", "cluster_name", help="The cluster  [default: scope]")
@group_option
@pass_session
def ack_command(
    session: Session,
    names: tuple[str, ...],
    is_all: bool,
    comment: str | None,
    cluster_name: str | None,
    group: int | None,
) -> None:
    """Acknowledge incidents: somebody has looked at them"""
    if bool(names) == is_all:
        raise click.UsageError("Name incidents, or say --all")
    cluster = session.cluster(session.scope(cluster_name), group).read()
    asked = Members(session)
    body: dict[str, object] = {"acknowledge": "all" if is_all else list(names)}
    if comment:
        body["comment"] = comment
    seen_by: dict[str, list[str]] = {}
    unknown: dict[str, int] = {}
    answered = 0
    for member in cluster.members:
        answer = asked.ask_or_report(member, "POST", "incidents", body, "acknowledge")
        if answer is None:
            continue
        found = answer.document()
        if answer.status not in (200, 404) or "acknowledged" not in found:
            click.echo(
                f"Failed: acknowledge for member {member.name}, "
                f"status code={answer.status}, ({answer.text})"
            )
            continue
        answered += 1
        for name in found["acknowledged"]:
            seen_by.setdefault(name, []).append(member.name)
        for name in found.get("unknown", ()):
            unknown[name] = unknown.get(name, 0) + 1
    _report(seen_by, [name for name, count in unknown.items() if count == answered])
    asked.finish()


def _report(seen_by: dict[str, list[str]], unknown: Sequence[str]) -> None:
    for name, members in seen_by.items():
        click.echo(f"Success: {name} is acknowledged on {', '.join(members)}")
    for name in unknown:
        click.echo(f"Failed: no member knows an incident {name}")
    if not seen_by and not unknown:
        click.echo("Nothing to acknowledge")
