"""`restart` PostgreSQL on members, now or later, and `reload` their configuration."""

import random
import re
from collections.abc import Sequence
from datetime import datetime

import click

from regnal.cli.ctl_choice import (
    chosen_members,
    confirm_members,
    confirm_or_abort,
    force_option,
    group_option,
    members_argument,
    one_cluster_argument,
    role_option,
)
from regnal.cli.ctl_list import print_members
from regnal.cli.ctl_rest import Members, report
from regnal.cli.ctl_session import Session, pass_session
from regnal.cli.ctl_settings import ClusterSettings
from regnal.cli.ctl_times import NOW, example_time, parse_scheduled
from regnal.cli.rest_client import READ_TIMEOUT
from regnal.messages.base import Seconds
from regnal.messages.cluster import ClusterView, MemberView

RESTART_PATIENCE: Seconds = 3600.0
"""A checkpoint of a large server and its crash recovery take long; after this
the member goes on restarting, but nobody waits."""

_VERSION = re.compile(r"([1-9][0-9]*)(\.[0-9]+)*")
_PARTS_BEFORE_10 = 3
"""Until 9.6 the first two numbers were the major version."""


@click.command("restart")
@one_cluster_argument
@members_argument
@group_option
@role_option("Restart only members with this role")
@click.option("--any", "any_one", is_flag=True, help="Restart a single member only")
@click.option(
    "--scheduled",
    help="Timestamp of a scheduled restart in unambiguous format (e.g. ISO 8601)",
)
@click.option(
    "--pg-version",
    "postgres_version",
    help="Restart if the PostgreSQL version is less than provided (e.g. 9.5.2)",
)
@click.option("--pending", is_flag=True, help="Restart if pending")
@click.option(
    "--timeout",
    help="Return error and fail over if necessary when restarting takes longer than this.",
)
@force_option
@pass_session
def restart_command(
    session: Session,
    cluster_name: str,
    member_names: tuple[str, ...],
    group: int | None,
    role: str | None,
    any_one: bool,
    scheduled: str | None,
    postgres_version: str | None,
    pending: bool,
    timeout: str | None,
    force: bool,
) -> None:
    """Restart cluster member"""
    cluster = session.cluster(cluster_name, group).read()
    chosen_members(cluster_name, cluster, (), role)
    print_members(cluster_name, cluster)
    members = chosen_members(cluster_name, cluster, member_names, role)
    moment = _when(cluster, scheduled, force)
    if pending and moment is None:
        members = [one for one in members if one.pending_restart]
        if not members:
            click.echo("No restart is pending on these members", err=True)
            return
    if any_one:
        members = random.sample(members, k=1)
    if not force:
        _confirm(members, moment, pending)
    body = _body(moment, postgres_version, pending, timeout, force)
    asked = Members(session)
    for member in members:
        _restart(asked, member, body, force)
    asked.finish()


def _when(cluster: ClusterView, scheduled: str | None, force: bool) -> datetime | None:
    """None: at once."""
    if scheduled is None and not force:
        question = f"When should the restart take place (e.g. {example_time()}) "
        scheduled = click.prompt(question, default=NOW)
    moment = parse_scheduled(scheduled)
    if moment is not None and ClusterSettings.of(cluster).paused:
        raise click.ClickException("Can't schedule restart in the paused state")
    return moment


def _confirm(
    members: Sequence[MemberView], moment: datetime | None, pending: bool
) -> None:
    if moment is None:
        confirm_members("restart", members, force=False)
        return
    names = ", ".join(one.name for one in members)
    question = (
        f"Are you sure you want to schedule restart of members {names} at {moment}?"
    )
    if pending:
        question = (
            "The nodes needing a restart will be identified at the scheduled time, and "
            "might be different from the ones showing pending restart right now. "
            "Is this fine?"
        )
    confirm_or_abort(question, "Aborted scheduled restart", force=False)


def _body(
    moment: datetime | None,
    postgres_version: str | None,
    pending: bool,
    timeout: str | None,
    force: bool,
) -> dict[str, object]:
    if postgres_version is None and not force:
        question = (
            "Restart if the PostgreSQL version is less than provided (e.g. 9.5.2) "
        )
        postgres_version = click.prompt(question, default="")
    body: dict[str, object] = {}
    if pending:
        body["restart_pending"] = True
    if postgres_version:
        body["postgres_version"] = _checked_version(postgres_version)
    if timeout:
        body["timeout"] = timeout
    if moment is not None:
        body["schedule"] = moment.isoformat()
    return body


def _checked_version(text: str) -> str:
    """`X.Y` from 10, `X.Y.Z` before."""
    found = _VERSION.fullmatch(text)
    if not found:
        raise click.ClickException(f"Invalid PostgreSQL version: {text}")
    wanted = 2 if int(found[1]) >= 10 else _PARTS_BEFORE_10
    if not wanted <= len(text.split(".")) <= _PARTS_BEFORE_10:
        raise click.ClickException(
            f"Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: {text}"
        )
    return text


def _restart(
    asked: Members, member: MemberView, body: dict[str, object], force: bool
) -> None:
    is_scheduled = "schedule" in body
    if is_scheduled and force and member.scheduled_restart:
        asked.ask_or_report(
            member, "DELETE", "restart", None, "flush scheduled restart"
        )
    patience = READ_TIMEOUT if is_scheduled else RESTART_PATIENCE
    answer = asked.ask_or_report(
        member, "POST", "restart", body, "restart", patience=patience
    )
    if answer is None:
        return
    match answer.status:
        case 200:
            click.echo(f"Success: restart on member {member.name}")
        case 202:
            click.echo(f"Success: restart scheduled on member {member.name}")
        case 409:
            click.echo(
                f"Failed: another restart is already scheduled on member {member.name}"
            )
        case _:
            report(answer, "restart", member)


@click.command("reload")
@one_cluster_argument
@members_argument
@group_option
@role_option("Reload only members with this role")
@force_option
@pass_session
def reload_command(
    session: Session,
    cluster_name: str,
    member_names: tuple[str, ...],
    group: int | None,
    role: str | None,
    force: bool,
) -> None:
    """Reload cluster member configuration"""
    cluster = session.cluster(cluster_name, group).read()
    chosen_members(cluster_name, cluster, (), role)
    print_members(cluster_name, cluster)
    members = chosen_members(cluster_name, cluster, member_names, role)
    confirm_members("reload", members, force=force)
    within = ClusterSettings.of(cluster).loop_wait
    asked = Members(session)
    for member in members:
        answer = asked.ask_or_report(member, "POST", "reload", None, "reload")
        if answer is None:
            continue
        match answer.status:
            case 200:
                click.echo(f"No changes to apply on member {member.name}")
            case 202:
                click.echo(
                    f"Reload request received for member {member.name} "
                    f"and will be processed within {within:g} seconds"
                )
            case _:
                report(answer, "reload", member)
    asked.finish()
