"""Promotion: ask for it on the open connection, and see it happen in milliseconds.

A startup process that has just lost its WAL receiver may overlook the request, and
sleeps up to wal_retrieve_retry_interval (5 s) before it looks again: it clears the
latch by which the request woke it, and goes to sleep without having looked (seen on
15).  So it is woken again and again, which costs nothing.
"""

import signal
import time
from pathlib import Path

from regnal.bridges.postgres.applying import (
    promoted,
    rewrite_configuration,
    wake_startup_process,
)
from regnal.bridges.postgres.connections import Session, SessionFailed, StatementFailed
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.operation import Operation
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.programs import find_binary, run_program
from regnal.bridges.postgres.wal import parse_lsn, wal_directory
from regnal.messages.base import LSN, Seconds, Timeline
from regnal.messages.cluster import HistoryLine
from regnal.messages.postgres import PostgresPromoted, PromotePostgres
from regnal.messages.reasons import because

STEP: Seconds = 0.002
TIMELINES = 1 << 32
"""PostgreSQL counts them with 32 bits, from 1 on."""

FIRST_WAKE: Seconds = 0.03
"""Most promotions are over by then."""

ANSWER_TIMEOUT: Seconds = 5.0


def promote(operation: Operation, command: PromotePostgres) -> PostgresPromoted:
    """Also right if it is a primary already: then that is what is told.

    Raises OperationError; when the time is over, the promotion may yet happen.
    """
    session = operation.session()
    try:
        with operation.server.writing:
            if _is_in_recovery(session, operation):
                operation.server.expect_receiver_end(command.timeout)
                _ask_for_promotion(session, operation, command)
                _wait_for_promotion(session, operation, command)
            promoted(operation.server)
        timeline, lsn = _position(session, operation)
    except (SessionFailed, StatementFailed) as error:
        raise OperationError(because("CONNECTION_FAILED", error=str(error))) from error
    return PostgresPromoted(
        timeline=timeline, lsn=lsn, history=read_history(operation.options, timeline)
    )


def tidy_after_promotion(operation: Operation) -> None:
    """Take what a standby needs out of the files; nobody waits for it.

    Raises OperationError, SessionFailed, StatementFailed and Cancelled.
    """
    session = operation.session()
    rewrite_configuration(operation.server, session, operation.cancel)
    postmaster = operation.server.postmaster()
    if postmaster is not None:
        postmaster.send(signal.SIGHUP)


def read_history(
    options: PostgresOptions, timeline: Timeline
) -> tuple[HistoryLine, ...]:
    """The history file of the timeline; empty if there is none, as for timeline 1."""
    path = wal_directory(options.data_dir) / f"{timeline:08X}.history"
    try:
        return parse_history(path.read_text(errors="replace"))
    except OSError:
        return ()


def parse_history(text: str) -> tuple[HistoryLine, ...]:
    """Lines of a timeline history file; comments and what is no such line are
    skipped, as PostgreSQL does with comments."""
    lines = []
    for line in text.splitlines():
        words = line.strip().split("\t", 2)
        if line.lstrip().startswith("#") or len(words) < 2:
            continue
        try:
            timeline, lsn = int(words[0]), parse_lsn(words[1])
        except ValueError:
            continue
        if not 0 < timeline < TIMELINES:
            continue
        reason = words[2] if len(words) > 2 else ""
        lines.append(HistoryLine(timeline=timeline, lsn=lsn, reason=reason))
    return tuple(lines)


def _is_in_recovery(session: Session, operation: Operation) -> bool:
    rows = session.query(
        "SELECT pg_is_in_recovery()", timeout=ANSWER_TIMEOUT, cancel=operation.cancel
    )
    return bool(rows[0][0])


def _wait_for_promotion(
    session: Session, operation: Operation, command: PromotePostgres
) -> None:
    deadline = time.monotonic() + command.timeout
    wake_pause = FIRST_WAKE
    wake_at = time.monotonic() + wake_pause
    while _is_in_recovery(session, operation):
        now = time.monotonic()
        if now >= deadline:
            raise OperationError(because("PROMOTION_TIMEOUT", seconds=command.timeout))
        if now >= wake_at:
            wake_startup_process(session)
            wake_pause *= 2
            wake_at = now + wake_pause
        operation.cancel.wait(STEP)


def _ask_for_promotion(
    session: Session, operation: Operation, command: PromotePostgres
) -> None:
    if session.server_version >= 120000:
        session.query(
            "SELECT pg_promote(wait => false)",
            timeout=ANSWER_TIMEOUT,
            cancel=operation.cancel,
        )
        return
    options = operation.options
    # Without -w it does not wait before version 10, and since 10 with -W.
    no_wait = ["-W"] if session.server_version >= 100000 else []
    argv: list[str | Path] = [
        find_binary(options, "pg_ctl"),
        "promote",
        "-D",
        options.data_dir,
        *no_wait,
    ]
    result = run_program(argv, cancel=operation.cancel, timeout=command.timeout)
    if result.exit_status != 0:
        raise OperationError(
            because("PROGRAM_FAILED", program="pg_ctl", status=result.exit_status),
            result.output,
        )


def _position(session: Session, operation: Operation) -> tuple[Timeline, LSN]:
    is_new = session.server_version >= 100000
    wal, lsn = ("wal", "lsn") if is_new else ("xlog", "location")
    rows = session.query(
        f"SELECT pg_{wal}file_name(l), l::text FROM pg_current_{wal}_{lsn}() AS l",  # noqa: S608 - our own words
        timeout=ANSWER_TIMEOUT,
        cancel=operation.cancel,
    )
    file, position = rows[0]
    return int(file[:8], 16), parse_lsn(position)
