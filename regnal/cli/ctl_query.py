"""`query` runs SQL on a member, `dsn` says where it is."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TextIO

import click
import psycopg2

from regnal.cli.ctl_choice import (
    cluster_argument,
    group_option,
    members_of_role,
    role_option,
)
from regnal.cli.ctl_list import repeat, watch_options
from regnal.cli.ctl_members import member_address
from regnal.cli.ctl_session import Session, pass_session
from regnal.cli.ctl_table import FORMATS, Format, column, print_table, yaml_text
from regnal.messages.cluster import ClusterView

CONNECT_TIMEOUT = 5
"""Seconds."""


@click.command("dsn")
@cluster_argument
@role_option("Give a dsn of any member with this role")
@click.option("--member", "-m", help="Give a dsn for this member")
@group_option
@pass_session
def dsn_command(
    session: Session,
    cluster_name: str | None,
    role: str | None,
    member: str | None,
    group: int | None,
) -> None:
    """Give a dsn for a member, defaults to the leader"""
    _refuse_both(role, member)
    cluster = session.cluster(session.scope(cluster_name), group).read()
    address = _suitable(cluster, role, member)
    if address is None:
        raise click.ClickException("Can not find a suitable member")
    host, port = address
    click.echo(f"host={host} port={port}")


@click.command("query")
@cluster_argument
@group_option
@click.option(
    "--format",
    "output",
    type=click.Choice(FORMATS),
    default="tsv",
    help="Output format",
)
@click.option(
    "--file",
    "-f",
    type=click.File("r"),
    help="Execute the SQL commands from this file",
)
@click.option("--password", is_flag=True, help="force password prompt")
@click.option("--username", "-U", help="database user name")
@watch_options
@role_option("The role of the query")
@click.option("--member", "-m", help="Query a specific member")
@click.option("--delimiter", default="\t", help="The column delimiter")
@click.option("--command", "-c", help="The SQL commands to execute")
@click.option("--dbname", "-d", help="database name to connect to")
@pass_session
def query_command(
    session: Session,
    cluster_name: str | None,
    group: int | None,
    output: Format,
    file: TextIO | None,
    password: bool,
    username: str | None,
    often: bool,
    watch: float | None,
    role: str | None,
    member: str | None,
    delimiter: str,
    command: str | None,
    dbname: str | None,
) -> None:
    """Query a PostgreSQL member"""
    _refuse_both(role, member)
    if file is not None and command is not None:
        raise click.ClickException(
            "--file and --command are mutually exclusive options"
        )
    if file is None and command is None:
        raise click.ClickException("You need to specify either --command or --file")
    sql = command if command is not None else file.read() if file else ""
    keywords: dict[str, Any] = {"user": username, "dbname": dbname}
    if password:
        keywords["password"] = click.prompt("Password", hide_input=True)
    cluster = session.cluster(session.scope(cluster_name), group)

    def show() -> None:
        try:
            names, rows = _run(cluster.read(), role, member, sql, keywords)
        except _Failed as error:
            click.echo(delimiter.join((_now(), str(error))))
        else:
            _print_rows(names, rows, output, delimiter)

    repeat(show, often, watch)


class _Failed(Exception):
    """No rows came; the text says why."""


def _run(
    cluster: ClusterView,
    role: str | None,
    member: str | None,
    sql: str,
    keywords: dict[str, Any],
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Names of the columns, and the rows of the last statement."""
    address = _suitable(cluster, role, member)
    if address is None:
        raise _Failed(_unavailable(role, member))
    host, port = address
    try:
        connection = psycopg2.connect(
            host=host,
            port=port,
            connect_timeout=CONNECT_TIMEOUT,
            application_name="Patroni ctl",
            **{key: value for key, value in keywords.items() if value is not None},
        )
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                _verify(cursor, role)
                cursor.execute(sql)
                if cursor.description is None:
                    raise _Failed("ERROR, SQLSTATE: no results to fetch")
                names = [one.name for one in cursor.description]
                return names, cursor.fetchall()
        finally:
            connection.close()
    except psycopg2.Error as error:
        reason = error.pgcode or " ".join(str(error).split())
        raise _Failed(f"ERROR, SQLSTATE: {reason}") from error


def _unavailable(role: str | None, member: str | None) -> str:
    if member is not None:
        return f"No connection to member {member} is available"
    wanted = f" to role {role!r}" if role is not None else ""
    return f"No connection{wanted} is available"


def _verify(cursor: Any, role: str | None) -> None:
    """Whether the server is what the store said a moment ago."""
    if role in (None, "leader", "any"):
        return
    cursor.execute("SELECT pg_catalog.pg_is_in_recovery()")
    is_standby = bool(cursor.fetchone()[0])
    if is_standby != (role != "primary"):
        raise _Failed(_unavailable(role, None))


def _suitable(
    cluster: ClusterView, role: str | None, member: str | None
) -> tuple[str, int] | None:
    """Address of the member that is meant, the leader by default; None: there is none."""
    if member is not None:
        members = [one for one in cluster.members if one.name == member]
    else:
        members = members_of_role(cluster, role or "leader")
    addresses = map(member_address, members)
    return next((one for one in addresses if one is not None), None)


def _refuse_both(role: str | None, member: str | None) -> None:
    if role is not None and member is not None:
        raise click.ClickException("--role and --member are mutually exclusive options")


def _print_rows(
    names: Sequence[str], rows: Sequence[Sequence[Any]], output: Format, delimiter: str
) -> None:
    if output in ("pretty", "tsv"):
        # By number: two columns may have the same name.
        columns = [column(str(n), heading=name) for n, name in enumerate(names)]
        texts = [{str(n): str(value) for n, value in enumerate(row)} for row in rows]
        print_table(columns, texts, output, delimiter=delimiter)
        return
    documents = [dict(zip(names, row, strict=True)) for row in rows]
    # Whatever JSON cannot hold (dates, numerics) becomes the text that it prints as.
    plain = json.loads(json.dumps(documents, default=str))
    click.echo(json.dumps(plain) if output == "json" else yaml_text(plain))


def _now() -> str:
    return datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
