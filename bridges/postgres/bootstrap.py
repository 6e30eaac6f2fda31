"""A new cluster: data directory, first start, accounts, hook, in this order.

Nothing is archived and, after a custom method, only our own accounts are let in
from this host until all of that is done: a cluster that is thrown away in the end
must leave no trace.
"""

import contextlib
import dataclasses
import logging
import shlex

from regnal.bridges.postgres.accounts import create_accounts
from regnal.bridges.postgres.applying import reload_files, write_configuration
from regnal.bridges.postgres.binary_version import exact_version, major_version
from regnal.bridges.postgres.bootstrap_files import (
    FirstStart,
    current_pg_hba,
    first_start_of,
    write_bootstrap_files,
    write_pg_hba,
)
from regnal.bridges.postgres.connections import SessionFailed, StatementFailed
from regnal.bridges.postgres.conninfo import local_dsn
from regnal.bridges.postgres.data_directory import (
    examine,
    prepare_for_clone,
    system_identifier,
)
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.initdb import custom_method, run_custom_method, run_initdb
from regnal.bridges.postgres.lifecycle import stop
from regnal.bridges.postgres.operation import Operation
from regnal.bridges.postgres.pgpass import write_passfile
from regnal.bridges.postgres.pid_file import read_pid_file
from regnal.bridges.postgres.postmaster import (
    STOP_SIGNALS,
    Postmaster,
    describe_exit,
    end_orphans,
)
from regnal.bridges.postgres.programs import run_program
from regnal.messages.base import Seconds
from regnal.messages.postgres import DatabaseInitialised, StopPostgres
from regnal.messages.reasons import because

logger = logging.getLogger(__name__)

HOOK_SETTINGS = "-c synchronous_commit=local -c statement_timeout=0"
"""In synchronous mode a commit of the hook would otherwise wait for a standby that
there cannot be yet (BOOT-14)."""

FIRST_STEP: Seconds = 0.005
LAST_STEP: Seconds = 0.5
"""How often a server in recovery is asked whether it has ended: often at first."""

ANSWER_TIMEOUT: Seconds = 5.0
RELOAD_TIMEOUT: Seconds = 30.0
STOP_TIMEOUT: Seconds = 300.0
"""The checkpoint after a long recovery may be a large one."""

ABANDON_TIMEOUT: Seconds = 10.0
"""How long a server that nobody needs may take to end before it is killed."""


def initialise_database(operation: Operation) -> DatabaseInitialised:
    """Raises OperationError and Cancelled; PostgreSQL is stopped then, and what is
    in the data directory is of no use."""
    options = operation.options
    if examine(options) not in ("missing", "empty"):
        raise OperationError(
            because("DATA_DIRECTORY_INVALID", directory=str(options.data_dir))
        )
    try:
        return _initialise(operation)
    except BaseException:
        _abandon(operation)
        raise


def _initialise(operation: Operation) -> DatabaseInitialised:
    options, cancel = operation.options, operation.cancel
    method = custom_method(options)
    prepare_for_clone(options)
    if method is None:
        run_initdb(options, cancel)
    else:
        run_custom_method(options, method, cancel)
    first = first_start_of(options, method, major_version(options))
    pg_hba = current_pg_hba(options)
    if method is None:
        write_pg_hba(options, pg_hba)
    _start(operation, first)
    create_accounts(
        options,
        exact_version(options, first.server_version),
        cancel,
        with_superuser=method is not None,
    )
    if method is not None:
        _leave_recovery(operation, first, pg_hba)
    _run_hook(operation)
    # From here on the server is like any other: it archives.
    write_configuration(operation.server, "primary", None)
    _reload(operation)
    identifier = system_identifier(options)
    if identifier is None:
        raise OperationError(
            because("DATA_DIRECTORY_INVALID", directory=str(options.data_dir))
        )
    return DatabaseInitialised(system_identifier=identifier)


def _start(operation: Operation, first: FirstStart) -> None:
    """Start as the plan says and wait until the server takes writes."""
    with operation.server.writing:
        arguments = write_bootstrap_files(operation.options, first)
    postmaster = operation.server.launch(arguments)
    _wait_until_writable(operation, postmaster)


def _leave_recovery(operation: Operation, first: FirstStart, pg_hba: str) -> None:
    """The passwords are set: end trust, and what only the recovery needed."""
    write_pg_hba(operation.options, pg_hba)
    normal = dataclasses.replace(
        first, recovery=None, keeps_recovery=False, hot_standby=True, trusts=False
    )
    if first.recovers:
        # Recovery targets and hot_standby change at a start only (BOOT-07).
        stop(
            operation,
            StopPostgres(mode="fast", checkpoint_first=True, timeout=STOP_TIMEOUT),
        )
        _start(operation, normal)
        return
    with operation.server.writing:
        write_bootstrap_files(operation.options, normal)
    _reload(operation)


def _reload(operation: Operation) -> None:
    postmaster = operation.server.postmaster()
    if postmaster is None:
        raise OperationError(because("POSTGRES_NOT_RUNNING"))
    reload_files(postmaster, operation.session(), operation.cancel, RELOAD_TIMEOUT)


def _wait_until_writable(operation: Operation, postmaster: Postmaster) -> None:
    """However long a recovery takes; whoever loses patience cancels.

    Raises OperationError if the server ends, and Cancelled.
    """
    step = FIRST_STEP
    while True:
        if operation.cancel.wait(step, postmaster.descriptor):
            status = describe_exit(postmaster.exit_status())
            raise OperationError(because("START_FAILED", **status))
        file = read_pid_file(postmaster.data_dir)
        # Asking earlier would fill the server's log; before 10 we cannot know.
        if file is not None and file.phase in ("ready", None):
            with contextlib.suppress(SessionFailed, StatementFailed):
                rows = operation.sessions.get(operation.cancel).query(
                    "SELECT pg_is_in_recovery()",
                    timeout=ANSWER_TIMEOUT,
                    cancel=operation.cancel,
                )
                if not rows[0][0]:
                    return
        step = min(step * 1.5, LAST_STEP)


def _run_hook(operation: Operation) -> None:
    """post_bootstrap: one argument, a connection string without the password.

    Called also when there is no password (BOOT-15).
    """
    options = operation.options
    section = options.bootstrap
    command = section.get("post_bootstrap") or section.get("post_init")
    if not command:
        return
    version = major_version(options)
    result = run_program(
        [*shlex.split(str(command)), local_dsn(options, libpq_version=version)],
        cancel=operation.cancel,
        timeout=None,
        env={
            **write_passfile(options, None, "superuser", local=True),
            "PGOPTIONS": HOOK_SETTINGS,
        },
    )
    if result.exit_status:
        raise OperationError(
            because(
                "PROGRAM_FAILED", program="post_bootstrap", status=result.exit_status
            ),
            result.output,
        )


def _abandon(operation: Operation) -> None:
    """Stop the server of a cluster that nobody will use, whatever was cancelled."""
    operation.sessions.close()
    postmaster = operation.server.postmaster()
    if postmaster is None:
        return
    postmaster.stop_expected = True
    postmaster.send(STOP_SIGNALS["immediate"])
    if not postmaster.wait_for_exit(ABANDON_TIMEOUT):
        postmaster.kill_with_children()
        postmaster.wait_for_exit(ABANDON_TIMEOUT)
    end_orphans(operation.options.data_dir)
