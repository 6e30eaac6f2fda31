"""The tuner: short SQL on a running server, beside what the operator does.

Two threads share the work: one answers at once (synchronous standbys, physical
slots, replay), the other has what may take long (logical slots), so that a slot
never holds up a commit.
"""

import logging
import queue
import threading
from typing import assert_never

from regnal.bridges.contract import Voice
from regnal.bridges.postgres.connections import (
    CONNECT_TIMEOUT,
    Session,
    SessionFailed,
    StatementFailed,
)
from regnal.bridges.postgres.errors import Cancelled, OperationError
from regnal.bridges.postgres.programs import CancelToken
from regnal.bridges.postgres.server import Server
from regnal.bridges.postgres.slots import (
    SlotRequest,
    advance_slot,
    create_slot,
    drop_slot,
)
from regnal.bridges.postgres.synchronous import set_synchronous_standbys
from regnal.messages.base import Message, Seconds
from regnal.messages.envelope import Envelope
from regnal.messages.postgres import (
    AdvanceSlot,
    CreateSlot,
    DropSlot,
    ResumeReplay,
    SetSynchronousStandbys,
    SlotChanged,
    SlotRefused,
    SynchronousStandbysRefused,
    SynchronousStandbysSet,
)

APPLICATION_NAME = "Patroni"
ANSWER_TIMEOUT: Seconds = 10.0

logger = logging.getLogger(__name__)

ShortCommand = (
    SetSynchronousStandbys | CreateSlot | DropSlot | AdvanceSlot | ResumeReplay
)
"""What runs beside the operator; the copying of slots needs a restart and does not."""

TunerOutcome = (
    SynchronousStandbysSet | SynchronousStandbysRefused | SlotChanged | SlotRefused
)


class Tuner:
    def __init__(self, server: Server, voice: Voice) -> None:
        self._quick = _Worker("postgres-tuner", server, voice)
        self._patient = _Worker("postgres-logical-slots", server, voice)

    def start(self) -> None:
        self._quick.start()
        self._patient.start()

    def stop(self) -> None:
        self._quick.stop()
        self._patient.stop()

    def order(self, envelope: Envelope[ShortCommand]) -> None:
        worker = self._patient if may_take_long(envelope.message) else self._quick
        worker.order(envelope)


def may_take_long(command: ShortCommand) -> bool:
    """Decoding reads WAL, and a new logical slot waits for running transactions."""
    match command:
        case CreateSlot(slot_type=slot_type):
            return slot_type == "logical"
        case AdvanceSlot(database=database):
            return database is not None
        case _:
            return False


class _Worker:
    """One thread with its own session, which lives as long as its postmaster."""

    def __init__(self, name: str, server: Server, voice: Voice) -> None:
        self._server = server
        self._voice = voice
        self._inbox: queue.SimpleQueue[Envelope[ShortCommand] | None] = (
            queue.SimpleQueue()
        )
        self._cancel = CancelToken()
        self._session: Session | None = None
        self._session_of: object = None
        """The postmaster and the database that the session belongs to."""

        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._cancel.cancel("the daemon stops")
        self._inbox.put(None)
        self._thread.join()
        self._cancel.close()

    def order(self, envelope: Envelope[ShortCommand]) -> None:
        self._inbox.put(envelope)

    def _run(self) -> None:
        while (envelope := self._inbox.get()) is not None:
            outcomes: tuple[Message, ...]
            try:
                outcomes = self._perform(envelope.message)
            except (SessionFailed, StatementFailed, OperationError) as error:
                outcomes = refusal(envelope.message, str(error))
            except Cancelled:
                break
            except Exception as error:  # the edge of the thread
                logger.exception("A command failed for a reason nobody foresaw.")
                outcomes = refusal(envelope.message, repr(error))
            for outcome in outcomes:
                self._voice.say(outcome, envelope)
        self._close()

    def _perform(self, command: ShortCommand) -> tuple[Message, ...]:
        match command:
            case SetSynchronousStandbys():
                return (
                    set_synchronous_standbys(
                        self._server, self._get_session(), command, self._cancel
                    ),
                )
            case CreateSlot(slot_type="logical", database=database):
                return (create_slot(self._request(database), command),)
            case CreateSlot():
                return (create_slot(self._request(), command),)
            case DropSlot():
                return (drop_slot(self._request(), command),)
            case AdvanceSlot(database=database):
                return (advance_slot(self._request(database), command),)
            case ResumeReplay():
                self._resume_replay()
                return ()
            case _:
                assert_never(command)

    def _request(self, database: str | None = None) -> SlotRequest:
        return SlotRequest(self._get_session(database), self._cancel)

    def _resume_replay(self) -> None:
        session = self._get_session()
        wal = "wal" if session.server_version >= 100000 else "xlog"
        session.query(
            f"SELECT pg_{wal}_replay_resume()",
            timeout=ANSWER_TIMEOUT,
            cancel=self._cancel,
        )

    def _get_session(self, database: str | None = None) -> Session:
        """Raises SessionFailed and Cancelled."""
        wanted = (self._server.postmaster(), database)
        if self._session is not None and (
            wanted != self._session_of or not self._session.is_open
        ):
            self._close()
        if self._session is None:
            self._session = self._server.connect(
                APPLICATION_NAME,
                statement_timeout=0,
                timeout=CONNECT_TIMEOUT,
                cancel=self._cancel,
                database=database,
            )
            self._session_of = wanted
        return self._session

    def _close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


def refusal(command: ShortCommand, error: str) -> tuple[TunerOutcome, ...]:
    """The answer when the command could not be performed."""
    match command:
        case SetSynchronousStandbys(value=value):
            return (SynchronousStandbysRefused(value=value, error=error),)
        case CreateSlot(name=name):
            return (SlotRefused(name=name, change="created", error=error),)
        case DropSlot(name=name):
            return (SlotRefused(name=name, change="dropped", error=error),)
        case AdvanceSlot(name=name):
            return (SlotRefused(name=name, change="advanced", error=error),)
        case ResumeReplay():
            logger.warning("WAL replay was not resumed: %s.", error)
            return ()
        case _:
            assert_never(command)
