"""A voice that remembers, and a bridge with it: orders in, outcomes out."""

import dataclasses
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from regnal.bridges.postgres.bridge import PostgresBridge
from regnal.bridges.postgres.options import PostgresOptions
from regnal.messages.base import Command, Instant, Message, Outcome
from regnal.messages.envelope import Envelope, HybridTime
from regnal.messages.postgres import (
    CancelOperation,
    CopyLogicalSlots,
    ObservePostgres,
    OperationFailed,
    PostgresObserved,
    PostgresStatus,
    StartPostgres,
    StopPostgres,
    Upstream,
)
from tests.bridges.postgres.servers import connect

CANCEL = CancelOperation(reason="the test ends")
STOP_NOW = StopPostgres(
    mode="immediate", checkpoint_first=False, timeout=30.0, kill_after=10.0
)
START_PRIMARY = StartPostgres(role="primary", upstream=None, timeout=60.0)
STOP_FAST = StopPostgres(mode="fast", checkpoint_first=True, timeout=60.0)

M = TypeVar("M", bound=Message)
PATIENCE = 60.0
"""Seconds until a test gives up; nothing here takes a tenth of it."""


def now() -> Instant:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Said:
    message: Message
    cause: str | None
    at: Instant


class Recorder:
    """Keeps the promise of `Voice`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.said: list[Said] = []

    def say(self, message: Message, cause: Envelope[Message] | None = None) -> None:
        with self._changed:
            self.said.append(Said(message, cause.id if cause else None, now()))
            self._changed.notify_all()

    def wait_for(
        self, kind: type[M], found: Callable[[Said], bool], what: str, after: int = 0
    ) -> tuple[M, Said]:
        """The first of that kind, after so many others, for which `found` holds."""
        deadline = time.monotonic() + PATIENCE
        looked_at = after
        with self._changed:
            while True:
                for said in self.said[looked_at:]:
                    if isinstance(said.message, kind) and found(said):
                        return said.message, said
                looked_at = len(self.said)
                if not self._changed.wait(deadline - time.monotonic()):
                    raise AssertionError(f"no {what}; last: {self.said[-3:]}")


class Driven:
    """A bridge that a test drives as the actors would."""

    def __init__(self, options: PostgresOptions) -> None:
        self.options = options
        self.voice = Recorder()
        self.bridge = PostgresBridge(options, self.voice, now)
        self._number = 0
        self._stopped = False
        self.bridge.start()

    def order(self, command: Command) -> Envelope[Command]:
        """Give the command to the bridge and go on."""
        self._number += 1
        envelope = Envelope(
            id=f"{self.options.name}/1/{self._number}",
            hlc=HybridTime(0, self._number, self.options.name),
            at=now(),
            said_by="test",
            cause=None,
            trace=None,
            message=command,
        )
        self.bridge.perform(envelope)
        return envelope

    def answer_to(self, envelope: Envelope[Command]) -> Outcome:
        message, _ = self.voice.wait_for(
            Outcome, lambda said: said.cause == envelope.id, f"an answer to {envelope}"
        )
        return message

    def do(self, command: Command, expected: type[M]) -> M:
        """Give the command and wait for its outcome, which must be of that class."""
        outcome = self.answer_to(self.order(command))
        if isinstance(outcome, OperationFailed):
            assert isinstance(outcome, expected), f"{outcome.reason}\n{outcome.output}"
        assert isinstance(outcome, expected), outcome
        return outcome

    def copy_slots(self, leader: "Driven", *names: str) -> dict[str, type[Outcome]]:
        """Copy them, and return the class of the answer for each."""
        url = f"postgres://127.0.0.1:{leader.options.port}/postgres"
        envelope = self.order(CopyLogicalSlots(names=names, leader_conn_url=url))
        answers: dict[str, type[Outcome]] = {}
        for name in names:

            def is_about(said: Said, name: str = name) -> bool:
                told = getattr(said.message, "name", None)
                return said.cause == envelope.id and told == name

            message, _ = self.voice.wait_for(
                Outcome, is_about, f"an answer about {name}"
            )
            answers[name] = type(message)
        return answers

    def observe(self) -> PostgresStatus:
        envelope = self.order(ObservePostgres())
        message, _ = self.voice.wait_for(
            PostgresObserved, lambda said: said.cause == envelope.id, "what it observed"
        )
        return message.status

    def observe_until(
        self, found: Callable[[PostgresStatus], bool], what: str
    ) -> PostgresStatus:
        deadline = time.monotonic() + PATIENCE
        while not found(status := self.observe()):
            assert time.monotonic() < deadline, f"never {what}: {status}"
        return status

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """For what nobody tells: files, processes."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, "it never came true"
            threading.Event().wait(0.01)

    def with_parameters(self, **changes: str) -> PostgresOptions:
        """Our options with other parameters of the server."""
        parameters = {**self.options.parameters, **changes}
        return dataclasses.replace(self.options, parameters=parameters)

    def open_transaction(self, statement: str) -> Any:
        """A session in which the statement has run and is not committed."""
        session = connect(self.options)
        session.autocommit = False
        with session.cursor() as cursor:
            cursor.execute(statement)
        return session

    def stop_bridge(self) -> None:
        """As when the daemon ends: PostgreSQL goes on."""
        self.bridge.stop()
        self._stopped = True

    def close(self) -> None:
        """Stop PostgreSQL, then the bridge."""
        if self._stopped:
            return
        self.order(CANCEL)
        self.answer_to(self.order(STOP_NOW))
        self.bridge.stop()


def upstream_of(driven: Driven, slot: str | None = None) -> Upstream:
    options = driven.options
    return Upstream(
        member=options.name,
        host=options.connect_host,
        port=options.connect_port,
        slot=slot,
        is_leader=True,
    )


def start_standby(leader: Driven, slot: str | None = None) -> StartPostgres:
    return StartPostgres(
        role="standby", upstream=upstream_of(leader, slot), timeout=60.0
    )


def streams(status: PostgresStatus) -> bool:
    return status.replication_state == "streaming"


@dataclass(frozen=True, slots=True)
class NewMember:
    """How a test gets members."""

    make: Callable[..., Driven]
    """With a new data directory: `make(name, **options)`."""

    copy: Callable[..., Driven]
    """With a base backup: `copy(source, name, **options)`."""
