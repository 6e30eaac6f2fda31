"""Sessions at the PostgreSQL of other members, by the addresses that they publish."""

import time

from regnal.bridges.postgres.connection_string import InvalidConnectionString, parse
from regnal.bridges.postgres.connections import (
    CONNECT_TIMEOUT,
    Session,
    SessionFailed,
    StatementFailed,
    connect,
    libpq_version,
)
from regnal.bridges.postgres.conninfo import (
    Account,
    credentials_of,
    upstream_parameters,
    with_secrets,
)
from regnal.bridges.postgres.operation import APPLICATION_NAME
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.programs import CancelToken
from regnal.messages.base import Seconds
from regnal.messages.postgres import Upstream


def connect_upstream(
    options: PostgresOptions,
    upstream: Upstream,
    account: Account,
    settings: dict[str, str],
    *,
    timeout: Seconds = CONNECT_TIMEOUT,
    cancel: CancelToken | None = None,
) -> Session:
    """`settings`: further parameters of the connection.  Raises SessionFailed and
    Cancelled."""
    parameters = with_secrets(
        upstream_parameters(options, upstream, account, libpq_version=libpq_version()),
        credentials_of(options, account),
        libpq_version=libpq_version(),
    )
    return connect(
        parameters | settings,
        application_name=APPLICATION_NAME,
        timeout=timeout,
        cancel=cancel,
    )


def server_at(conn_url: str) -> Upstream:
    """What a member publishes as its address.  Raises SessionFailed."""
    try:
        where = parse(conn_url)
        return Upstream(
            member=None,
            host=where["host"],
            port=where.get("port", "5432"),
            slot=None,
            is_leader=True,
        )
    except (InvalidConnectionString, KeyError) as error:
        raise SessionFailed("the conn_url of the member is invalid") from error


def takes_writes(
    options: PostgresOptions, conn_url: str, timeout: Seconds
) -> bool | None:
    """Whether the server there is a primary; None: it does not tell.

    As the replication user, whom every member lets in.
    """
    deadline = time.monotonic() + timeout
    try:
        session = connect_upstream(
            options,
            server_at(conn_url),
            "replication",
            {"replication": "1"},
            timeout=timeout,
        )
        try:
            left = max(0.001, deadline - time.monotonic())
            ((read_only,),) = session.query("SHOW transaction_read_only", timeout=left)
        finally:
            session.close()
    except (SessionFailed, StatementFailed):
        return None
    return bool(read_only == "off")
