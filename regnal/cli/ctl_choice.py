"""Which members a command is for, and whether the person is sure."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from regnal.cli.ctl_settings import ClusterSettings
from regnal.messages.base import MemberName
from regnal.messages.cluster import ClusterView, MemberView

F = TypeVar("F", bound=Callable[..., Any])

ROLES = ("leader", "primary", "standby-leader", "replica", "standby", "any")
_OLD_NAMES = {"master": "primary"}


class RoleChoice(click.Choice[str]):
    """The roles, and `master`, which older scripts say."""

    def __init__(self) -> None:
        super().__init__(ROLES)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        return super().convert(_OLD_NAMES.get(value, value), param, ctx)


def role_option(text: str) -> Callable[[F], F]:
    return click.option("--role", "-r", type=RoleChoice(), default=None, help=text)


group_option = click.option("--group", type=int, default=None, help="Citus group")
force_option = click.option(
    "--force", is_flag=True, help="Do not ask for confirmation at any point"
)
cluster_argument = click.argument("cluster_name", required=False)
one_cluster_argument = click.argument("cluster_name")
members_argument = click.argument("member_names", nargs=-1)


def members_of_role(cluster: ClusterView, role: str | None) -> list[MemberView]:
    """In the order of their names; `leader`, `primary` and `standby-leader` are
    the lock holder."""
    leader = cluster.leader_member
    is_standby = ClusterSettings.of(cluster).is_standby_cluster
    match role:
        case None | "any":
            return list(cluster.members)
        case "replica" | "standby":
            return [one for one in cluster.members if one.name != cluster.leader_name]
        case "primary" if is_standby:
            return []
        case "standby-leader" if not is_standby:
            return []
        case _:
            return [leader] if leader else []


def chosen_members(
    scope: str,
    cluster: ClusterView,
    names: Sequence[MemberName],
    role: str | None,
) -> list[MemberView]:
    """Those of the role, and of the names if any are given.

    A name that is no such member is passed over with a warning, unless nobody is
    left.
    """
    members = members_of_role(cluster, role)
    if not members:
        raise click.ClickException(f"{scope} cluster doesn't have any members")
    if not names:
        return members
    found = [one for one in members if one.name in names]
    if not found:
        raise click.ClickException(f"No {role or 'any'} among provided members")
    for name in names:
        if all(name != one.name for one in found):
            wanted = "a member" if role in (None, "any") else f"a {role}"
            click.echo(f"Warning: {name} is not {wanted} of {scope}, skipped", err=True)
    return found


def confirm_or_abort(question: str, refusal: str, *, force: bool) -> None:
    if not force and not click.confirm(question):
        raise click.ClickException(refusal)


def confirm_members(action: str, members: Sequence[MemberView], *, force: bool) -> None:
    """Ask whether these members are meant."""
    names = ", ".join(one.name for one in members)
    confirm_or_abort(
        f"Are you sure you want to {action} members {names}?",
        f"Aborted {action}",
        force=force,
    )
