"""`explain`: what happened, and why, from the journals of all members that the DCS names."""

from typing import TextIO

import click

from regnal.cli.ctl_choice import group_option
from regnal.cli.ctl_session import Session, pass_session
from regnal.cli.explanation import Form, Wanted, explain, telling_options
from regnal.cli.places import since_option, tell_troubles, until_option
from regnal.cli.progress import progress_shown
from regnal.replay.case import opened_members
from regnal.replay.explaining.explain import LATEST


@click.command("explain")
@click.argument("incident", default=LATEST)
@click.option("--cluster", "cluster_name", help="The cluster  [default: scope]")
@group_option
@since_option
@until_option
@telling_options
@pass_session
def explain_command(
    session: Session,
    incident: str,
    cluster_name: str | None,
    group: int | None,
    since: str | None,
    until: str | None,
    form: Form,
    output: TextIO,
    is_list: bool,
    is_full: bool,
) -> None:
    """Tell what happened, and why, from the members' journals"""
    cluster = session.cluster(session.scope(cluster_name), group).read()
    members = [(member.name, member.api_url or "") for member in cluster.members]
    with (
        progress_shown() as progress,
        opened_members(
            members,
            since=since,
            until=until,
            client=session.client,
            progress=progress,
        ) as case,
    ):
        tell_troubles(case)
        if not case.journals:
            raise click.ClickException("no member gave its journal")
        explain(case, Wanted(incident, form, output, is_list, is_full), since)
