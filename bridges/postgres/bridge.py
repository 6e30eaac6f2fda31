"""The PostgreSQL of this member: monitor, operator, tuner, callbacks as one bridge."""

from typing import cast, get_args

from regnal.bridges.contract import Clock, Voice
from regnal.bridges.postgres.callbacks import Callbacks
from regnal.bridges.postgres.exit_watcher import ExitWatcher
from regnal.bridges.postgres.monitor import Monitor
from regnal.bridges.postgres.operator import Operator, Order
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.other_servers import takes_writes
from regnal.bridges.postgres.postmaster import Postmaster
from regnal.bridges.postgres.server import Server
from regnal.bridges.postgres.tuner import ShortCommand, Tuner
from regnal.messages.base import Command, Seconds
from regnal.messages.callbacks import RunCallback
from regnal.messages.envelope import Envelope, PartName
from regnal.messages.postgres import (
    CancelOperation,
    CopyLogicalSlots,
    ObservePostgres,
    OperatorCommand,
)

OPERATOR_COMMANDS: tuple[type[Command], ...] = get_args(OperatorCommand)
TUNER_COMMANDS: tuple[type[Command], ...] = get_args(ShortCommand)


class PostgresBridge:
    """Keeps the contract of `Bridge`."""

    name: PartName = "postgres"

    def __init__(self, options: PostgresOptions, voice: Voice, clock: Clock) -> None:
        self._server = Server(options)
        self._watcher = ExitWatcher(self._server, voice, self._look)
        self._monitor = Monitor(self._server, voice, self._watcher)
        self._operator = Operator(self._server, voice, self._look)
        self._tuner = Tuner(self._server, voice)
        self._callbacks = Callbacks(self._server, voice)
        self._server.on_postmaster = self._found
        self._monitor.on_accepting = self._operator.connect
        self._monitor.on_upstream_lost = self._operator.nudge

    @property
    def performs(self) -> tuple[type[Command], ...]:
        return (
            ObservePostgres,
            CancelOperation,
            RunCallback,
            *OPERATOR_COMMANDS,
            *TUNER_COMMANDS,
            CopyLogicalSlots,
        )

    def start(self) -> None:
        """A server that runs already is adopted, and observed at once."""
        self._watcher.start()
        self._operator.start()
        self._tuner.start()
        self._callbacks.start()
        self._monitor.start()
        self._monitor.look()

    def perform(self, envelope: Envelope[Command]) -> None:
        match envelope.message:
            case ObservePostgres():
                self._monitor.look(envelope)
            case CancelOperation(reason=reason):
                self._operator.cancel(reason)
            case RunCallback():
                self._callbacks.order(cast(Envelope[RunCallback], envelope))
            case message if isinstance(message, TUNER_COMMANDS):
                self._tuner.order(cast(Envelope[ShortCommand], envelope))
            case _:
                self._operator.order(cast(Order, envelope))

    def takes_writes(self, conn_url: str, timeout: Seconds) -> bool | None:
        """Whether the PostgreSQL of another member does; None: it does not tell.  From
        any thread, which waits."""
        return takes_writes(self._server.options, conn_url, timeout)

    def reconfigure(self, options: PostgresOptions) -> None:
        """Takes effect with the next operation; files are written by ReloadPostgres
        and the commands that start."""
        self._server.reconfigure(options)

    def stop(self) -> None:
        """End the threads.  PostgreSQL goes on."""
        self._monitor.stop()
        self._operator.stop()
        self._tuner.stop()
        self._callbacks.stop()
        self._watcher.stop()

    def _found(self, postmaster: Postmaster) -> None:
        self._watcher.watch_postmaster(postmaster)

    def _look(self) -> None:
        self._monitor.look()
