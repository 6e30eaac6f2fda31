"""The monitor: says what PostgreSQL is, on a connection that nobody else uses.

It observes when asked, when a process that matters ends or an operation does, and
by itself while PostgreSQL is on its way to accept connections.  It waits for
nobody but PostgreSQL, and for that only as long as `QUERY_TIMEOUT`.
"""

import json
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from regnal.bridges.contract import Voice
from regnal.bridges.postgres import data_directory
from regnal.bridges.postgres.connections import (
    Session,
    SessionFailed,
    StatementFailed,
)
from regnal.bridges.postgres.control_data import read_control_data
from regnal.bridges.postgres.exit_watcher import ExitWatcher
from regnal.bridges.postgres.monitor_query import (
    Answer,
    UnusableAnswer,
    read_answer,
    status_query,
)
from regnal.bridges.postgres.pid_file import read_pid_file
from regnal.bridges.postgres.postmaster import Postmaster
from regnal.bridges.postgres.rewind_mark import is_marked
from regnal.bridges.postgres.server import Server
from regnal.bridges.postgres.standby_timeline import StandbyTimeline
from regnal.messages.base import Command, Seconds
from regnal.messages.envelope import Envelope
from regnal.messages.postgres import (
    PostgresObserved,
    PostgresStatus,
    ReplicationEnded,
)

APPLICATION_NAME = "Patroni heartbeat"
"""Dashboards and pg_hba know the peer's name for this session."""

QUERY_TIMEOUT: Seconds = 2.0
"""The answer takes milliseconds; an overloaded server gets this long."""

FIRST_LOOK: Seconds = 0.05
LAST_LOOK: Seconds = 2.0
"""How often a server that does not accept connections is looked at unasked."""

logger = logging.getLogger(__name__)

Cause = Envelope[Command] | None


@dataclass(frozen=True, slots=True)
class _Look:
    cause: Cause = None


@dataclass(frozen=True, slots=True)
class _ProcessEnded:
    """A WAL receiver, a WAL sender, or the server's end of our session."""

    pid: int


@dataclass(frozen=True, slots=True)
class _Stop:
    pass


@dataclass(slots=True)
class _Known:
    """What the monitor remembers between two looks at the same postmaster."""

    timeline: StandbyTimeline
    postmaster: Postmaster | None = None
    session: Session | None = None
    receiver_pid: int | None = None
    watched: set[int] = field(default_factory=set)
    """WAL receiver and senders, whose end is news."""


class Monitor:
    def __init__(self, server: Server, voice: Voice, watcher: ExitWatcher) -> None:
        self._server = server
        self._voice = voice
        self._watcher = watcher
        self._inbox: queue.SimpleQueue[_Look | _ProcessEnded | _Stop] = (
            queue.SimpleQueue()
        )
        self._thread = threading.Thread(
            target=self._run, name="postgres-monitor", daemon=True
        )
        self._known = _Known(StandbyTimeline(server))
        self._last = PostgresStatus(process="absent", data_directory="missing")
        self.on_accepting: Callable[[], None] = lambda: None
        """Told when a postmaster is first seen to accept connections."""

        self.on_upstream_lost: Callable[[], None] = lambda: None
        """Told when a standby that streamed does so no more."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._inbox.put(_Stop())
        self._thread.join()

    def look(self, cause: Cause = None) -> None:
        """Observe now.  None: something happened that nobody asked about."""
        self._inbox.put(_Look(cause))

    def _run(self) -> None:
        pause: Seconds | None = None
        while True:
            request = self._next(pause)
            if isinstance(request, _Stop):
                break
            try:
                status = self._handle(request)
            except Exception:  # the edge of the thread
                logger.exception("PostgreSQL was not observed.")
                status = self._last
                self._forget()
            if is_on_its_way(status):
                pause = min((pause or FIRST_LOOK) * 1.5, LAST_LOOK)
            else:
                pause = None
        self._forget()

    def _next(self, pause: Seconds | None) -> _Look | _ProcessEnded | _Stop | None:
        """The next request, those of the same kind in one; None: pause is over."""
        try:
            request = self._inbox.get(timeout=pause)
            while isinstance(request, _Look) and not self._inbox.empty():
                following = self._inbox.get()
                if isinstance(following, _Look) and following.cause is None:
                    continue
                if not isinstance(following, _Look):
                    self._inbox.put(request)
                request = following
        except queue.Empty:
            return None
        return request

    def _handle(self, request: _Look | _ProcessEnded | None) -> PostgresStatus:
        before = self._last
        if isinstance(request, _ProcessEnded) and self._is_stopping():
            return before  # of course; the end of the postmaster will be told
        status = self.observe()
        if isinstance(request, _ProcessEnded):
            self._known.watched.discard(request.pid)
            self._tell_receiver_ended(request, status)
        with self._server.telling:
            if status.in_recovery and self._server.is_promoted(self._known.postmaster):
                # It was asked before the promotion ended.  Told after that, it would
                # look as if a primary had become a standby.
                status = self.observe()
            # A look on our own initiative is worth a message only if it shows news.
            if request is not None or is_news(before, status):
                cause = request.cause if isinstance(request, _Look) else None
                self._voice.say(PostgresObserved(status=status), cause)
        self._last = status
        return status

    def _is_stopping(self) -> bool:
        postmaster = self._known.postmaster
        return postmaster is not None and postmaster.stop_expected

    def observe(self) -> PostgresStatus:
        """Only for the monitor's own thread."""
        kills = self._watcher.oom_kills
        killed = kills.count() if kills is not None else None
        postmaster = self._server.postmaster()
        if postmaster != self._known.postmaster:
            # An old connection could still answer after SIGKILL (PG-20).
            self._forget()
            self._known.postmaster = postmaster
        if postmaster is None:
            return self._status_without_postmaster()
        if self._phase(postmaster) == "starting":
            return self._not_accepting("starting", postmaster)
        try:
            answer = self._ask(postmaster)
        except SessionFailed as error:
            if not postmaster.is_running:
                return self._status_without_postmaster()
            logger.info("PostgreSQL does not answer.", extra={"error": str(error)})
            starting = any(words in str(error) for words in STARTING_WORDS)
            return self._not_accepting(
                "starting" if starting else "unresponsive", postmaster
            )
        self._watch_processes(answer)
        if kills is not None and killed is not None and postmaster.is_running:
            # Not only a backend of one that is gone answered: it outlived these.
            kills.note(killed)
        return self._complete(answer, postmaster)

    def _ask(self, postmaster: Postmaster) -> Answer:
        """Raises SessionFailed."""
        session = self._known.session
        is_new = session is None or not session.is_open
        if session is None or not session.is_open:
            session = self._server.connect(
                APPLICATION_NAME,
                statement_timeout=QUERY_TIMEOUT,
                timeout=QUERY_TIMEOUT,
                settings="-c pg_stat_statements.track=none",
            )
            self._known.session = session
        try:
            answer = self._query(session)
        except StatementFailed:
            # Recovery can end between two words of the statement; then the
            # second attempt sees a primary.
            try:
                answer = self._query(session)
            except StatementFailed as error:
                raise SessionFailed(str(error)) from error
        except UnusableAnswer as error:
            raise SessionFailed(str(error)) from error
        if is_new:
            # It ends when the server restarts by itself after the crash of another
            # backend, of which the postmaster's descriptor says nothing.
            self._watch(session.backend_pid)
            self.on_accepting()
        return answer

    def _query(self, session: Session) -> Answer:
        version = session.server_version
        rows = session.query(
            status_query(version),
            [sorted(self._server.intent.arguments)],
            timeout=QUERY_TIMEOUT,
        )
        return read_answer(rows[0][0], version)

    def _complete(self, answer: Answer, postmaster: Postmaster) -> PostgresStatus:
        """Add to the answer what one statement cannot tell."""
        status = answer.status
        changes: dict[str, Any] = {"postmaster_pid": postmaster.pid}
        if status.in_recovery:
            changes["timeline"] = self._known.timeline.of(answer)
        pending = self._server.intent.differing_arguments(answer.settings)
        if pending:
            reason = json.loads(status.pending_restart_reason or "{}") | pending
            changes["pending_restart"] = True
            changes["pending_restart_reason"] = json.dumps(reason, sort_keys=True)
        return status.model_copy(update=changes)

    def _status_without_postmaster(self) -> PostgresStatus:
        options = self._server.options
        state = data_directory.examine(options)
        if state == "valid" and is_marked(options):
            state = "invalid"  # a rewind ended half-way
        control = read_control_data(options) if state == "valid" else None
        return PostgresStatus(
            process="absent",
            data_directory=state,
            server_version=self._last.server_version,
            system_identifier=control.system_identifier if control else None,
            timeline=control.timeline if control else 0,
            control=control,
        )

    def _not_accepting(self, process: Any, postmaster: Postmaster) -> PostgresStatus:
        last = self._last
        if last.postmaster_pid != postmaster.pid:
            last = PostgresStatus(process="starting", data_directory="valid")
        return last.model_copy(
            update={
                "process": process,
                "data_directory": "valid",
                "postmaster_pid": postmaster.pid,
                "control": None,
            }
        )

    def _phase(self, postmaster: Postmaster) -> str | None:
        file = read_pid_file(postmaster.data_dir)
        return file.phase if file and file.pid == postmaster.pid else None

    def _watch_processes(self, answer: Answer) -> None:
        known = self._known
        pids = {sender.pid for sender in answer.status.senders}
        if answer.receiver_pid is not None:
            known.receiver_pid = answer.receiver_pid
            pids.add(answer.receiver_pid)
        for pid in pids - known.watched:
            self._watch(pid)

    def _watch(self, pid: int) -> None:
        self._known.watched.add(pid)
        self._watcher.watch_process(pid, lambda: self._inbox.put(_ProcessEnded(pid)))

    def _tell_receiver_ended(
        self, ended: _ProcessEnded, status: PostgresStatus
    ) -> None:
        if ended.pid != self._known.receiver_pid:
            return  # a sender, or another receiver runs already
        self._known.receiver_pid = None
        if status.is_standby and not self._server.is_receiver_end_expected:
            self._voice.say(ReplicationEnded(received_lsn=status.received_lsn))
            self.on_upstream_lost()

    def _forget(self) -> None:
        if self._known.session is not None:
            self._known.session.close()
        self._known = _Known(StandbyTimeline(self._server))


STARTING_WORDS = ("starting up", "in recovery mode", "not yet accepting connections")
"""In what a server answers that will accept connections later (SQLSTATE 57P03,
which libpq does not tell of a failed connection)."""


def is_on_its_way(status: PostgresStatus) -> bool:
    """Whether it will soon be something else, of which nobody would tell us."""
    if status.process in ("starting", "unresponsive"):
        return True
    is_follower = status.is_standby and status.primary_conninfo_host is not None
    return is_follower and status.replication_state != "streaming"


def is_news(before: PostgresStatus, after: PostgresStatus) -> bool:
    """Whether more has changed than positions."""
    return _condition(before) != _condition(after)


def _condition(status: PostgresStatus) -> tuple[object, ...]:
    return (
        status.process,
        status.data_directory,
        status.postmaster_pid,
        status.in_recovery,
        status.timeline,
        status.replication_state,
        status.primary_conninfo_host,
        status.primary_conninfo_port,
        status.replay_paused,
        status.pending_restart,
    )
