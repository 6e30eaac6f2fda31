"""Divergence: whether our data can follow the upstream as they are.

Two histories are compared: how far our WAL goes and on which timeline, and where
the upstream's history left that timeline (docs of PostgreSQL, 26.3.5 "Timelines").
"""

import logging
import time
from dataclasses import dataclass, replace
from typing import Any, Literal

from regnal.bridges.postgres.connections import (
    Session,
    SessionFailed,
    StatementFailed,
    connect,
    libpq_version,
)
from regnal.bridges.postgres.conninfo import (
    Account,
    replication_parameters,
)
from regnal.bridges.postgres.control_data import read_control_data
from regnal.bridges.postgres.crash_recovery import is_fresh_backup
from regnal.bridges.postgres.lost_commits import ends_at, read_own_wal
from regnal.bridges.postgres.operation import Operation
from regnal.bridges.postgres.other_servers import connect_upstream
from regnal.bridges.postgres.pid_file import read_pid_file
from regnal.bridges.postgres.promotion import parse_history
from regnal.bridges.postgres.wal import format_lsn, parse_lsn
from regnal.messages.base import LSN, Seconds, Timeline
from regnal.messages.cluster import HistoryLine
from regnal.messages.postgres import (
    CheckDivergence,
    ControlData,
    DivergenceChecked,
    Upstream,
)

Verdict = Literal["can_follow", "diverged", "upstream_not_ready", "unknown"]

APPLICATION_NAME = "Patroni"

HISTORY_BEFORE = 3
HISTORY_AFTER = 2
"""Lines of a long history that are worth showing around our timeline (RWD-18)."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OwnEnd:
    """How far our data go."""

    system_identifier: str | None
    timeline: Timeline
    lsn: LSN
    is_final: bool = True
    """False: a crash left WAL behind that reaches further, nobody knows how far."""

    replayed: LSN | None = None
    """Of a standby that runs: how far it has applied its WAL; `lsn` is what it has
    received.  None: it is none, or does not run."""


@dataclass(frozen=True, slots=True)
class UpstreamHistory:
    """What the upstream says of itself."""

    system_identifier: str
    timeline: Timeline
    lsn: LSN
    lines: tuple[HistoryLine, ...]
    in_recovery: bool | None
    """None: no ordinary session, so that it could not be asked."""

    checkpoint_timeline: Timeline | None
    """Of its last checkpoint, from which pg_rewind starts; None as above."""


class UpstreamSilent(Exception):
    """The upstream did not tell what we asked."""


def check_divergence(
    operation: Operation, command: CheckDivergence
) -> DivergenceChecked:
    deadline = time.monotonic() + command.timeout
    # Ours first: what we have now, an upstream that is right has had before.
    own = find_own_end(operation)
    if own is None:
        return _answer("unknown", None, None, "our own position is not known")
    try:
        upstream = ask_upstream(operation, command.upstream, deadline)
    except UpstreamSilent as error:
        return _answer("unknown", own, None, str(error))
    answer = compare(own, upstream)
    if _is_only_torn(operation, own, answer, _left(deadline)):
        answer = compare(replace(own, lsn=answer.switch_lsn or own.lsn), upstream)
    if answer.verdict == "diverged":
        answer = _with_what_is_lost(operation, answer, _left(deadline))
    logger.info(
        "Compared histories: %s.",
        answer.explanation,
        extra={
            "verdict": answer.verdict,
            "history": shown_history(upstream.lines, own.timeline),
        },
    )
    return answer


def _is_only_torn(
    operation: Operation, own: OwnEnd, answer: DivergenceChecked, timeout: Seconds
) -> bool:
    """Whether what we received beyond the switch is but a piece of a record.

    A primary that crashes often leaves one, and PostgreSQL passes over it: it follows
    as long as nothing beyond the switch was replayed.
    """
    switch = answer.switch_lsn
    if answer.verdict not in ("diverged", "upstream_not_ready") or switch is None:
        return False
    if own.replayed is None or own.replayed > switch or own.lsn <= switch:
        return False
    return ends_at(operation, own.timeline, switch, timeout)


def compare(own: OwnEnd, upstream: UpstreamHistory) -> DivergenceChecked:
    """The verdict on two histories; nothing is asked of anybody."""
    if own.system_identifier not in (None, upstream.system_identifier):
        return _answer("unknown", own, upstream, "the upstream is of another cluster")
    switch = switch_point(own.timeline, upstream)
    if own.timeline == upstream.timeline:
        is_beyond = own.lsn > upstream.lsn
        limit = f"the upstream's end {format_lsn(upstream.lsn)}"
    elif own.timeline > upstream.timeline or switch is None:
        return _diverged(
            own, upstream, f"timeline {own.timeline} is not in the upstream's history"
        )
    else:
        is_beyond = own.lsn > switch
        limit = f"the switch at {format_lsn(switch)}"
    where = f"our end {format_lsn(own.lsn)} on timeline {own.timeline}"
    if is_beyond:
        return _diverged(own, upstream, f"{where} is beyond {limit}")
    if not own.is_final:
        return _answer(
            "unknown", own, upstream, f"{where} is not final: crash recovery is due"
        )
    return _answer("can_follow", own, upstream, f"{where} is not beyond {limit}")


def switch_point(timeline: Timeline, upstream: UpstreamHistory) -> LSN | None:
    """Where the upstream's history left the timeline; None: it did not."""
    for line in upstream.lines:
        if line.timeline == timeline:
            return line.lsn
    return None


def own_end_of(control: ControlData) -> OwnEnd:
    """Of a server that does not run, or does not yet accept connections."""
    if control.is_of_a_standby:
        # Pages on disk may be as new as the end of the minimum recovery.
        lsn = max(control.min_recovery_end_lsn, control.checkpoint_lsn)
        timeline = max(control.min_recovery_end_timeline, control.timeline)
        return OwnEnd(control.system_identifier, timeline, lsn)
    return OwnEnd(
        system_identifier=control.system_identifier,
        timeline=control.timeline,
        lsn=control.checkpoint_end_lsn or control.checkpoint_lsn + 1,
        is_final=control.state == "shut down",
    )


def find_own_end(operation: Operation) -> OwnEnd | None:
    """None: it cannot be known now.  Raises Cancelled."""
    postmaster = operation.server.postmaster()
    if postmaster is not None:
        file = read_pid_file(postmaster.data_dir)
        if file is None or file.phase in ("ready", None):
            try:
                return _running_end(operation)
            except (SessionFailed, StatementFailed) as error:
                logger.info("Our server does not tell its position: %s.", error)
    # While it starts, pg_controldata is what there is (P-RWD-11).
    control = read_control_data(operation.options)
    if control is None:
        return None
    end = own_end_of(control)
    # WAL beyond a backup that was never started is the source's, whatever its
    # pg_control says: it is a copy of the source's.
    return replace(end, is_final=True) if is_fresh_backup(operation.options) else end


def ask_upstream(
    operation: Operation, upstream: Upstream, deadline: float
) -> UpstreamHistory:
    """Raises UpstreamSilent and Cancelled."""
    try:
        in_recovery, checkpoint_timeline = _ask_state(operation, upstream, deadline)
        session = _connect(operation, upstream, "replication", deadline)
        try:
            identity = _query(session, "IDENTIFY_SYSTEM", operation, deadline)
            timeline = int(identity[1])
            lines: tuple[HistoryLine, ...] = ()
            if timeline > 1:
                row = _query(
                    session, f"TIMELINE_HISTORY {timeline}", operation, deadline
                )
                lines = parse_history(_text(row[1]))
        finally:
            session.close()
    except (SessionFailed, StatementFailed) as error:
        raise UpstreamSilent(f"the upstream does not tell: {error}") from error
    return UpstreamHistory(
        system_identifier=str(identity[0]),
        timeline=timeline,
        lsn=parse_lsn(identity[2]),
        lines=lines,
        in_recovery=in_recovery,
        checkpoint_timeline=checkpoint_timeline,
    )


def shown_history(
    lines: tuple[HistoryLine, ...], timeline: Timeline
) -> tuple[str, ...]:
    """The lines around our timeline, and the last one."""
    texts = [
        f"{line.timeline}\t{format_lsn(line.lsn)}\t{line.reason}" for line in lines
    ]
    position = next(
        (i for i, line in enumerate(lines) if line.timeline >= timeline), len(lines)
    )
    end = position + HISTORY_AFTER + 1
    shown = texts[max(0, position - HISTORY_BEFORE) : end]
    if end < len(texts):
        shown += ["..."] * (end < len(texts) - 1) + texts[-1:]
    return tuple(shown)


def _with_what_is_lost(
    operation: Operation, answer: DivergenceChecked, timeout: Seconds
) -> DivergenceChecked:
    """What our WAL has of its own; it changes nothing about the verdict."""
    since = answer.switch_lsn
    if since is None:
        return answer
    wal = read_own_wal(operation, answer.local_timeline, since, timeout)
    if wal is None:
        return answer
    explanation = f"{answer.explanation}; {wal.commits} commits after it are ours alone"
    if wal.end is not None and wal.end > answer.local_lsn:
        # A crash leaves WAL behind that pg_control does not know of.
        explanation += f", and our WAL goes on to {format_lsn(wal.end)}"
    return answer.model_copy(
        update={
            "lost_commits": wal.commits,
            "lost_wal": max(0, (wal.last or since) - since),
            "explanation": explanation,
        }
    )


def _running_end(operation: Operation) -> OwnEnd:
    session = operation.sessions.get(operation.cancel)
    deadline = time.monotonic() + 5.0
    is_new = session.server_version >= 100000
    wal, lsn = ("wal", "lsn") if is_new else ("xlog", "location")
    row = _query(
        session,
        "SELECT CASE WHEN pg_is_in_recovery() THEN greatest("
        f"pg_last_{wal}_receive_{lsn}(), pg_last_{wal}_replay_{lsn}())"
        f" ELSE pg_current_{wal}_flush_{lsn}() END::text, "
        f"CASE WHEN pg_is_in_recovery() THEN pg_last_{wal}_replay_{lsn}() END::text",
        operation,
        deadline,
    )
    replication = connect(
        {
            **replication_parameters(operation.options, libpq_version=libpq_version()),
            "options": "-c datestyle=ISO",
        },
        application_name=APPLICATION_NAME,
        cancel=operation.cancel,
    )
    try:
        identity = _query(replication, "IDENTIFY_SYSTEM", operation, deadline)
    finally:
        replication.close()
    return OwnEnd(
        system_identifier=str(identity[0]),
        timeline=int(identity[1]),
        lsn=parse_lsn(row[0] or "0/0"),
        replayed=parse_lsn(row[1]) if row[1] else None,
    )


def _ask_state(
    operation: Operation, upstream: Upstream, deadline: float
) -> tuple[bool | None, Timeline | None]:
    """Whether it is in recovery, and the timeline of its last checkpoint."""
    try:
        session = _connect(operation, upstream, "rewind", deadline)
    except SessionFailed as error:
        logger.info("No ordinary session at the upstream: %s.", error)
        return None, None
    try:
        in_recovery, timeline = _query(
            session,
            "SELECT pg_is_in_recovery(), timeline_id FROM pg_control_checkpoint()",
            operation,
            deadline,
        )
    finally:
        session.close()
    return bool(in_recovery), int(timeline)


def _connect(
    operation: Operation, upstream: Upstream, account: Account, deadline: float
) -> Session:
    if account == "replication":
        settings = {"replication": "1", "options": "-c datestyle=ISO"}
    else:
        settings = {"options": "-c search_path=pg_catalog -c statement_timeout=5s"}
    return connect_upstream(
        operation.options,
        upstream,
        account,
        settings,
        timeout=_left(deadline),
        cancel=operation.cancel,
    )


def _query(
    session: Session, statement: str, operation: Operation, deadline: float
) -> tuple[Any, ...]:
    rows = session.query(statement, timeout=_left(deadline), cancel=operation.cancel)
    return rows[0]


def _left(deadline: float) -> Seconds:
    return max(0.001, deadline - time.monotonic())


def _text(content: object) -> str:
    """A history file, which the protocol gives as text or as bytes."""
    if isinstance(content, memoryview):
        content = content.tobytes()
    return (
        content.decode(errors="replace") if isinstance(content, bytes) else str(content)
    )


def _diverged(
    own: OwnEnd, upstream: UpstreamHistory, explanation: str
) -> DivergenceChecked:
    """Only a primary that has checkpointed on its timeline can be a source of
    pg_rewind (RWD-05, RWD-06).

    One in recovery may also be merely behind; but if it has all of ours already,
    we need not wait for it to be promoted.
    """
    if upstream.in_recovery:
        return _answer(
            "upstream_not_ready",
            own,
            upstream,
            f"{explanation}; the upstream is still in recovery",
        )
    if upstream.checkpoint_timeline not in (None, upstream.timeline):
        return _answer(
            "upstream_not_ready",
            own,
            upstream,
            f"{explanation}; the upstream has not checkpointed since its promotion",
        )
    return _answer("diverged", own, upstream, explanation)


def _answer(
    verdict: Verdict,
    own: OwnEnd | None,
    upstream: UpstreamHistory | None,
    explanation: str,
) -> DivergenceChecked:
    return DivergenceChecked(
        verdict=verdict,
        local_timeline=own.timeline if own else 0,
        local_lsn=own.lsn if own else 0,
        upstream_timeline=upstream.timeline if upstream else 0,
        switch_lsn=switch_point(own.timeline, upstream) if own and upstream else None,
        explanation=explanation,
    )
