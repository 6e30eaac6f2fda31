"""Writing the server's files for what it is to be, and letting it read them.

The files are written whole, from the options and from the intent: whoever changes
one thing writes the others as they were.  One thread writes at a time.
"""

import contextlib
import dataclasses
import os
import signal
import time
from types import MappingProxyType

from regnal.bridges.postgres import config_files
from regnal.bridges.postgres.binary_version import major_version
from regnal.bridges.postgres.conf_syntax import parse_assignments
from regnal.bridges.postgres.config_paths import main_file
from regnal.bridges.postgres.connection_string import InvalidConnectionString, parse
from regnal.bridges.postgres.connections import Session, SessionFailed, StatementFailed
from regnal.bridges.postgres.control_data import read_fields
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.postmaster import Postmaster
from regnal.bridges.postgres.programs import CancelToken
from regnal.bridges.postgres.server import Intent, Role, Server
from regnal.messages.base import Seconds
from regnal.messages.postgres import Upstream
from regnal.messages.reasons import because

STEP: Seconds = 0.002
ANSWER_TIMEOUT: Seconds = 5.0


def write_configuration(
    server: Server, role: Role, upstream: Upstream | None
) -> tuple[str, ...]:
    """Write the files for the role, remember it, and return the arguments of the
    next start.  Raises OperationError."""
    with server.writing:
        return _write(server, role, upstream)


def rewrite_configuration(
    server: Server, session: Session, cancel: CancelToken
) -> None:
    """Write the files of the running server anew for what it is.

    What it is counts, and not what it was told: it may have been adopted, or
    promoted by hand, and the files of the wrong role would change it at its next
    start.  Raises OperationError, SessionFailed, StatementFailed and Cancelled.
    """
    before = server.intent
    role, upstream = as_it_is(session, cancel)
    with server.writing:
        intent = server.intent
        if intent is not before and intent.role is not None:
            # Somebody gave it another role since we looked; it may run no more.
            role, upstream = intent.role, intent.upstream
        elif intent.role == role:
            upstream = intent.upstream
        _write(server, role, upstream)


def promoted(server: Server) -> None:
    """Remember that the standby is a primary now; `server.writing` is held."""

    def change(intent: Intent) -> Intent:
        return dataclasses.replace(intent, role="primary", upstream=None)

    server.intend(change)
    server.note_promotion()


def _write(server: Server, role: Role, upstream: Upstream | None) -> tuple[str, ...]:
    options = server.options
    arguments = config_files.write_configuration(
        options,
        role,
        upstream,
        server_version=major_version(options),
        control=read_fields(options),
        synchronous_standby_names=_synchronous_standby_names(server),
    )
    wanted = MappingProxyType(_wanted_values(server, arguments))

    def change(intent: Intent) -> Intent:
        return dataclasses.replace(
            intent, role=role, upstream=upstream, arguments=wanted
        )

    server.intend(change)
    return arguments


def reload_files(
    postmaster: Postmaster, session: Session, cancel: CancelToken, timeout: Seconds
) -> None:
    """Let the server read its files again, and wait until it has.

    Our session reads them after the postmaster did, so its word is enough.
    Raises OperationError and Cancelled.
    """
    deadline = time.monotonic() + timeout
    try:
        before = _loaded_at(session, cancel)
        postmaster.send(signal.SIGHUP)
        while _loaded_at(session, cancel) == before:
            if time.monotonic() >= deadline:
                raise OperationError(because("RELOAD_TIMEOUT", seconds=timeout))
            cancel.wait(STEP)
    except (SessionFailed, StatementFailed) as error:
        raise OperationError(because("CONNECTION_FAILED", error=str(error))) from error


def wake_startup_process(session: Session) -> None:
    """Let a standby look for WAL, for its upstream and for a promotion now.

    A SIGHUP does no more than wake it and let it read the files again.  Raises
    SessionFailed and StatementFailed.
    """
    if session.server_version < 100000:
        return  # pg_stat_activity does not show it yet
    rows = session.query(
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'startup'",
        timeout=ANSWER_TIMEOUT,
    )
    for (pid,) in rows:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGHUP)


def _wanted_values(server: Server, arguments: tuple[str, ...]) -> dict[str, str]:
    """What the arguments are to be: those of the file, since a standby may have to
    start with more than is configured (REPL-30)."""
    text = main_file(server.options).read_text()
    configured = parse_assignments(text)
    pairs = (argument.removeprefix("--").partition("=") for argument in arguments)
    return {name: configured.get(name, value) for name, _, value in pairs}


def _synchronous_standby_names(server: Server) -> str | None:
    """None: what the user configured holds, if synchronous mode is off."""
    names = server.intent.synchronous_standby_names
    if names == "" and not server.options.synchronous_mode:
        return None
    return names


def _loaded_at(session: Session, cancel: CancelToken) -> object:
    rows = session.query(
        "SELECT pg_conf_load_time()", timeout=ANSWER_TIMEOUT, cancel=cancel
    )
    return rows[0][0]


def as_it_is(session: Session, cancel: CancelToken) -> tuple[Role, Upstream | None]:
    """Its role, and what it is configured to follow (REPL-17)."""
    if session.server_version >= 120000:
        question = (
            "SELECT pg_is_in_recovery(), current_setting('primary_conninfo'),"
            " current_setting('primary_slot_name')"
        )
    else:
        question = (
            "SELECT pg_is_in_recovery(), conninfo, slot_name"
            " FROM (SELECT) AS one LEFT JOIN pg_stat_wal_receiver ON true"
        )
    rows = session.query(question, timeout=ANSWER_TIMEOUT, cancel=cancel)
    in_recovery, conninfo, slot = rows[0]
    if not in_recovery:
        return "primary", None
    try:
        parameters = parse(conninfo or "")
    except InvalidConnectionString:
        parameters = {}
    host = parameters.get("host")
    if not host:
        return "standby", None
    port = parameters.get("port", "5432")
    return "standby", Upstream(
        member=None, host=host, port=port, slot=slot or None, is_leader=False
    )
