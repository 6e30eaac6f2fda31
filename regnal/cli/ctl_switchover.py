"""`switchover` (a healthy leader hands over) and `failover` (to a named candidate).

The leader is asked through its REST API, or the candidate where there is no leader;
if nobody answers, the request is written to the store, where the daemons find it.
"""

from dataclasses import dataclass
from typing import Literal

import click

from regnal.bridges.dcs.contract import FailoverDraft
from regnal.cli.ctl_choice import cluster_argument, force_option, group_option
from regnal.cli.ctl_list import print_members
from regnal.cli.ctl_rest import Members
from regnal.cli.ctl_session import Cluster, Session, pass_session
from regnal.cli.ctl_settings import ClusterSettings
from regnal.cli.ctl_times import NOW, example_time, parse_scheduled, stamp
from regnal.cli.rest_client import Answer, MemberUnreachable
from regnal.messages.base import MemberName, Seconds
from regnal.messages.cluster import ClusterView

Action = Literal["switchover", "failover"]

SPARE: Seconds = 15.0
"""Beyond the time in which a member promises an answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the person wants, questions answered."""

    action: Action
    leader: MemberName | None
    """Of a switchover: who hands over."""

    candidate: MemberName | None
    scheduled_at: str | None

    def body(self) -> dict[str, object]:
        fields = {
            "leader": self.leader,
            "candidate": self.candidate,
            "scheduled_at": self.scheduled_at,
        }
        return {key: value for key, value in fields.items() if value is not None}


@click.command("switchover")
@cluster_argument
@group_option
@click.option(
    "--leader", "--primary", "--master", "leader", help="The name of the current leader"
)
@click.option("--candidate", help="The name of the candidate")
@click.option(
    "--scheduled",
    help="Timestamp of a scheduled switchover in unambiguous format (e.g. ISO 8601)",
)
@force_option
@pass_session
def switchover_command(
    session: Session,
    cluster_name: str | None,
    group: int | None,
    leader: str | None,
    candidate: str | None,
    scheduled: str | None,
    force: bool,
) -> None:
    """Switchover to a replica"""
    cluster = session.cluster(session.scope(cluster_name), group)
    view = _show_topology(cluster)
    request = _switchover(cluster.scope, view, leader, candidate, scheduled, force)
    _perform(session, cluster, view, request)


@click.command("failover")
@cluster_argument
@group_option
@click.option("--leader", "--primary", "--master", "leader", hidden=True)
@click.option("--candidate", help="The name of the candidate")
@force_option
@pass_session
def failover_command(
    session: Session,
    cluster_name: str | None,
    group: int | None,
    leader: str | None,
    candidate: str | None,
    force: bool,
) -> None:
    """Failover to a replica"""
    cluster = session.cluster(session.scope(cluster_name), group)
    view = _show_topology(cluster)
    if leader is not None:
        click.echo(
            "Warning: a failover from a named leader is a switchover: doing that",
            err=True,
        )
        request = _switchover(cluster.scope, view, leader, candidate, NOW, force)
    else:
        request = _failover(cluster.scope, view, candidate, force)
    _perform(session, cluster, view, request)


def _show_topology(cluster: Cluster) -> ClusterView:
    view = cluster.read()
    click.echo("Current cluster topology")
    print_members(cluster.scope, view)
    return view


def _switchover(
    scope: str,
    view: ClusterView,
    leader: str | None,
    candidate: str | None,
    scheduled: str | None,
    force: bool,
) -> Request:
    settings = ClusterSettings.of(view)
    if view.leader_name is None:
        raise click.ClickException("This cluster has no leader")
    if leader is None:
        if force:
            leader = view.leader_name
        else:
            title = "Standby Leader" if settings.is_standby_cluster else "Primary"
            leader = click.prompt(title, default=view.leader_name)
    if leader != view.leader_name:
        raise click.ClickException(
            f"Member {leader} is not the leader of cluster {scope}"
        )
    candidate = _candidate(scope, view, "switchover", candidate, force)
    if scheduled is None and not force:
        scheduled = click.prompt(
            f"When should the switchover take place (e.g. {example_time()} ) ",
            default=NOW,
        )
    moment = parse_scheduled(scheduled)
    if moment is not None and settings.paused:
        raise click.ClickException("Can't schedule switchover in the paused state")
    request = Request(
        "switchover", leader, candidate, moment.isoformat() if moment else None
    )
    _confirm(scope, view, request, force)
    return request


def _failover(
    scope: str, view: ClusterView, candidate: str | None, force: bool
) -> Request:
    candidate = _candidate(scope, view, "failover", candidate, force)
    if candidate is None:
        raise click.ClickException(
            "Failover could be performed only to a specific candidate"
        )
    request = Request("failover", None, candidate, None)
    if not force and _is_asynchronous(view, candidate):
        _sure(
            f"Are you sure you want to failover to the asynchronous node {candidate}?",
            request,
        )
    _confirm(scope, view, request, force)
    return request


def _candidate(
    scope: str,
    view: ClusterView,
    action: Action,
    candidate: str | None,
    force: bool,
) -> MemberName | None:
    """None: the best one, whoever that is."""
    names = [
        one.name
        for one in view.members
        if one.name != view.leader_name and one.tags.may_lead
    ]
    if not names:
        raise click.ClickException(f"No candidates found to {action} to")
    if candidate is None and not force:
        candidate = click.prompt(f"Candidate {names}", default="")
    if not candidate:
        return None
    if candidate == view.leader_name:
        raise click.ClickException(
            f"Member {candidate} is already the leader of cluster {scope}"
        )
    if candidate not in names:
        raise click.ClickException(
            f"Member {candidate} does not exist in cluster {scope} "
            "or is tagged as nofailover"
        )
    return candidate


def _is_asynchronous(view: ClusterView, candidate: MemberName) -> bool:
    """Whether the sync key names members, and the candidate is none of them."""
    sync = view.sync
    if sync is None or not sync.leader or not ClusterSettings.of(view).synchronous_mode:
        return False
    return not sync.allows(candidate)


def _confirm(scope: str, view: ClusterView, request: Request, force: bool) -> None:
    if force:
        return
    question = f"Are you sure you want to {request.action} cluster {scope}"
    if request.scheduled_at is not None:
        question = (
            f"Are you sure you want to schedule {request.action} of cluster {scope} "
            f"at {request.scheduled_at}"
        )
    if view.leader_name is not None:
        question += f", demoting current leader {view.leader_name}"
    _sure(f"{question}?", request)


def _sure(question: str, request: Request) -> None:
    if not click.confirm(question):
        kind = "scheduled " if request.scheduled_at is not None else ""
        raise click.ClickException(f"Aborting {kind}{request.action}")


def _perform(
    session: Session, cluster: Cluster, view: ClusterView, request: Request
) -> None:
    try:
        answer = _ask(session, view, request)
    except MemberUnreachable as error:
        click.echo(f"Warning: {error}", err=True)
        click.echo(
            f"{stamp()} Could not {request.action} using Patroni api, "
            "falling back to DCS"
        )
        _write(cluster, view, request)
    else:
        if answer.status not in (200, 202):
            _say_failed(request, answer)
            return
        click.echo(f"{stamp()} {answer.text}")
    print_members(cluster.scope, cluster.read())


def _write(cluster: Cluster, view: ClusterView, request: Request) -> None:
    draft = FailoverDraft(request.leader, request.candidate, request.scheduled_at)
    revision = view.failover.revision if view.failover else None
    if not cluster.store.write_failover(draft, revision):
        raise click.ClickException(
            "The failover key was changed meanwhile: look what is going on, "
            "then try again"
        )


def _ask(session: Session, view: ClusterView, request: Request) -> Answer:
    """Raises MemberUnreachable."""
    patience = 2 * max(10.0, ClusterSettings.of(view).loop_wait) + SPARE
    members = Members(session)
    member = view.leader_member or view.member(request.candidate or "")
    if member is None:
        raise MemberUnreachable("the leader", "it publishes nothing")
    answer = members.ask(
        member, "POST", request.action, request.body(), patience=patience
    )
    if answer.status == 501 and request.action == "switchover":
        # Daemons from before there was a switchover.
        return members.ask(
            member, "POST", "failover", request.body(), patience=patience
        )
    return answer


def _say_failed(request: Request, answer: Answer) -> None:
    is_unknown = "status unknown" in answer.text
    outcome = "result unknown" if is_unknown else "failed"
    click.echo(
        f"{request.action.title()} {outcome}, details: {answer.status}, {answer.text}"
    )
