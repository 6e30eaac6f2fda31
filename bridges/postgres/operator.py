"""The operator: performs one command at a time on PostgreSQL, and can be cancelled.

Each command is answered by exactly one outcome.  What an operation does is in a
module of its own; here is only how it is ordered, ended and answered.
"""

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from regnal.bridges.contract import Voice
from regnal.bridges.postgres.connections import SessionFailed, StatementFailed
from regnal.bridges.postgres.errors import Cancelled, OperationError
from regnal.bridges.postgres.following import Nudge
from regnal.bridges.postgres.operation import Operation, OperatorSession
from regnal.bridges.postgres.operations import perform
from regnal.bridges.postgres.programs import CancelToken
from regnal.bridges.postgres.promotion import tidy_after_promotion
from regnal.bridges.postgres.server import Server
from regnal.bridges.postgres.slot_copies import copy_logical_slots, refused
from regnal.messages.base import Message, Outcome
from regnal.messages.envelope import Envelope
from regnal.messages.postgres import (
    CopyLogicalSlots,
    FollowUpstream,
    OperationCancelled,
    OperationFailed,
    OperatorCommand,
    PostgresPromoted,
    RestartPostgres,
    StartPostgres,
)
from regnal.messages.reasons import Reason, because

OUTPUT_SHOWN = 4096
"""Characters of a program's output in a message: its end is what tells."""

logger = logging.getLogger(__name__)

Order = Envelope[OperatorCommand | CopyLogicalSlots]


@dataclass(frozen=True, slots=True)
class _Ordered:
    envelope: Order
    cancel: CancelToken


@dataclass(frozen=True, slots=True)
class _Nudge:
    """A standby may have lost its upstream."""


@dataclass(frozen=True, slots=True)
class _Connect:
    """The server accepts connections: have one open before it is needed."""


@dataclass(frozen=True, slots=True)
class _Tidy:
    """It was promoted: its files are those of a standby still."""


@dataclass(frozen=True, slots=True)
class _Stop:
    pass


class Operator:
    def __init__(
        self, server: Server, voice: Voice, on_outcome: Callable[[], None]
    ) -> None:
        self._server = server
        self._voice = voice
        self._on_outcome = on_outcome
        """Told after each outcome: PostgreSQL is worth a look then."""

        self._inbox: queue.SimpleQueue[_Ordered | _Nudge | _Connect | _Stop] = (
            queue.SimpleQueue()
        )
        self._lock = threading.Lock()
        self._outstanding: list[CancelToken] = []
        self._sessions = OperatorSession(server)
        self._nudge = Nudge()
        self._thread = threading.Thread(
            target=self._run, name="postgres-operator", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Cancel what is under way, and end."""
        self.cancel("the daemon stops")
        self._inbox.put(_Stop())
        self._thread.join()

    def order(self, envelope: Order) -> None:
        token = CancelToken()
        with self._lock:
            self._outstanding.append(token)
        self._inbox.put(_Ordered(envelope, token))

    def cancel(self, reason: str) -> None:
        """End the command under way, and those that wait behind it."""
        with self._lock:
            for token in self._outstanding:
                token.cancel(reason)

    def nudge(self) -> None:
        self._inbox.put(_Nudge())

    def connect(self) -> None:
        self._inbox.put(_Connect())

    def _run(self) -> None:
        while True:
            try:
                task = self._inbox.get(timeout=self._nudge.pause)
            except queue.Empty:
                self._between_commands(_Nudge())
                continue
            if isinstance(task, _Stop):
                break
            if isinstance(task, _Ordered):
                self._handle(task)
            elif isinstance(task, _Nudge):
                self._nudge.begin()
            else:
                self._between_commands(task)
        self._sessions.close()

    def _handle(self, ordered: _Ordered) -> None:
        envelope, cancel = ordered.envelope, ordered.cancel

        def say(message: Message) -> None:
            self._voice.say(message, envelope)

        operation = Operation(self._server, cancel, self._sessions, say)
        outcomes = _outcomes(envelope.message, operation)
        with self._lock:
            self._outstanding.remove(cancel)
        cancel.close()
        for outcome in outcomes:
            say(outcome)
        self._on_outcome()
        self._afterwards(envelope.message, outcomes)

    def _afterwards(
        self,
        command: OperatorCommand | CopyLogicalSlots,
        outcomes: tuple[Outcome, ...],
    ) -> None:
        """What nobody waits for."""
        if isinstance(command, FollowUpstream | StartPostgres | RestartPostgres):
            self._nudge.begin()
        if isinstance(outcomes[0], PostgresPromoted):
            self._between_commands(_Tidy())

    def _between_commands(self, task: _Nudge | _Connect | _Tidy) -> None:
        with CancelToken() as cancel:
            try:
                match task:
                    case _Nudge():
                        self._nudge.nudge(lambda: self._sessions.get(cancel))
                    case _Connect():
                        self._sessions.get(cancel)
                    case _Tidy():
                        tidy_after_promotion(
                            Operation(self._server, cancel, self._sessions, _nobody)
                        )
            except (SessionFailed, StatementFailed, OperationError) as error:
                logger.info("Not done between two commands: %s.", error)
            except Exception:  # the edge of the thread
                logger.exception("Not done between two commands.")


def _nobody(message: Message) -> None:
    """Hears of what is done without a command."""


def _outcomes(
    command: OperatorCommand | CopyLogicalSlots, operation: Operation
) -> tuple[Outcome, ...]:
    """One, or one for each slot that was to be copied."""
    try:
        operation.cancel.raise_if_cancelled()
        if isinstance(command, CopyLogicalSlots):
            return copy_logical_slots(operation, command)
        return (perform(command, operation),)
    except Cancelled as cancelled:
        if isinstance(command, CopyLogicalSlots):
            return refused(command.names, f"cancelled: {cancelled.reason}")
        return (OperationCancelled(command=command.kind),)
    except OperationError as error:
        return _failure(command, error.reason, error.output)
    except (SessionFailed, StatementFailed) as error:
        return _failure(command, because("CONNECTION_FAILED", error=str(error)))
    except Exception as error:  # the edge of the thread
        logger.exception("A command failed for a reason that nobody foresaw.")
        return _failure(command, because("INTERNAL_ERROR", error=repr(error)))


def _failure(
    command: OperatorCommand | CopyLogicalSlots, reason: Reason, output: str = ""
) -> tuple[Outcome, ...]:
    if isinstance(command, CopyLogicalSlots):
        return refused(command.names, str(reason))
    failed = OperationFailed(
        command=command.kind, reason=reason, output=output[-OUTPUT_SHOWN:]
    )
    return (failed,)
