"""The bridge to the guard: starts it, or takes over the one that is there."""

import contextlib
import logging
import os
import select
import socket
import threading
from pathlib import Path

from regnal.bridges.contract import Clock, Voice
from regnal.bridges.guard.connection import (
    GuardConnection,
    GuardUnreachable,
    Hardened,
    address_of,
    end,
    spawn,
)
from regnal.bridges.guard.record import GuardRecord
from regnal.messages.base import Command, Message, Seconds
from regnal.messages.envelope import Envelope, PartName
from regnal.messages.fencing import (
    ArmGuard,
    DisarmGuard,
    GuardArmed,
    GuardFailed,
    GuardStarted,
)

logger = logging.getLogger(__name__)

ATTEMPTS = 3
"""To start a guard, before it is said that it does not work."""

PAUSE: Seconds = 0.5
"""Between two attempts."""

RETRY_EVERY: Seconds = 2.0
"""After it was said that the guard does not work."""


class GuardBridge:
    """See `bridges.contract.Bridge`.  Orders are given from the caller's thread: one
    packet and its answer.  A thread of our own sees the guard's end at once, and starts
    another one with the same orders."""

    name: PartName = "guard"
    performs: tuple[type[Command], ...] = (ArmGuard, DisarmGuard)

    def __init__(
        self, data_directory: Path, record: Path, voice: Voice, clock: Clock
    ) -> None:
        """`record` is the guard's own small journal."""
        self._data_directory = data_directory
        self._address = address_of(data_directory)
        self._record = GuardRecord(record)
        self._voice = voice
        self._clock = clock
        self._lock = threading.Lock()
        """Guards all that follows."""

        self._connection: GuardConnection | None = None
        self._predecessors: list[socket.socket] = []
        """Guards of another version: they stay armed until ours has its orders."""

        self._order: ArmGuard | DisarmGuard | None = None
        """The last one.  None: none in this life; the guard that is there goes on
        with what it was told in an earlier one."""

        self._is_armed = False
        self._has_failed = False
        self._stopping = False
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = threading.Thread(
            target=self._watch, name="guard-watch", daemon=True
        )

    def start(self) -> None:
        self._tell_of_fencing()
        with self._lock:
            self._predecessors = self._address.predecessors()
        self._see_to_it(None)
        self._thread.start()

    def stop(self) -> None:
        """Let go of the guard: disarmed it ends, armed it stays on watch."""
        self._stopping = True
        os.eventfd_write(self._wake, 1)
        self._thread.join()
        with self._lock:
            self._disconnect()
            for predecessor in self._predecessors:
                predecessor.close()

    def perform(self, envelope: Envelope[Command]) -> None:
        command = envelope.message
        assert isinstance(command, ArmGuard | DisarmGuard)
        with self._lock:
            self._order = command
        self._see_to_it(envelope)

    def _see_to_it(self, cause: Envelope[Command] | None) -> bool:
        """Give the guard its order, a new guard if need be; whether it has it."""
        said: list[Message] = []
        with self._lock:
            done = self._give_order(said)
        for message in said:
            self._voice.say(message, cause)
        os.eventfd_write(self._wake, 1)
        return done

    def _give_order(self, said: list[Message]) -> bool:
        trouble = ""
        # Whoever failed before is known to; the orders must not wait for it each time.
        for attempt in range(1 if self._has_failed else ATTEMPTS):
            if attempt > 1:
                threading.Event().wait(PAUSE)
            try:
                self._connect(said)
                if self._order is not None:
                    assert self._connection is not None
                    self._connection.ask(_word(self._order))
            except GuardUnreachable as error:
                trouble = str(error)
                self._disconnect()
                continue
            self._take(said)
            return True
        self._is_armed = False
        if not self._has_failed:
            self._has_failed = True
            said.append(GuardFailed(error=trouble))
        return False

    def _take(self, said: list[Message]) -> None:
        """Our guard has its order, if there is one."""
        assert self._connection is not None
        self._has_failed = False
        if self._order is None:
            return
        armed = isinstance(self._order, ArmGuard)
        if not (isinstance(self._order, ArmGuard) and self._order.unless_armed):
            for predecessor in self._predecessors:
                end(predecessor)
            self._predecessors = []
        if armed and not self._is_armed:
            said.append(GuardArmed(guard_pid=self._connection.pid))
        self._is_armed = armed

    def _connect(self, said: list[Message]) -> None:
        """Raises GuardUnreachable."""
        if self._connection is not None:
            return
        self._is_armed = False
        hardened: Hardened | None = None
        connection = self._address.dial()
        if connection is None:
            connection, hardened = spawn(
                self._address, self._data_directory, self._record.path
            )
        self._connection = connection
        said.append(
            GuardStarted(
                pid=connection.pid,
                taken_over=hardened is None,
                memory_locked=hardened.memory_locked if hardened else None,
                schedule=hardened.schedule if hardened else None,
            )
        )

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _watch(self) -> None:
        """Until the end: see that there is a guard."""
        while not self._stopping:
            connection = self._connection
            poll = select.poll()
            poll.register(self._wake, select.POLLIN)
            if connection is not None:
                # A socket that was closed meanwhile has no number any more.
                with contextlib.suppress(ValueError):
                    poll.register(connection, select.POLLRDHUP)
            events = poll.poll(None if connection else RETRY_EVERY * 1000)
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._wake)
            # A daemon that was frozen hears here of what the guard did meanwhile: not
            # with the order itself, which must not wait for a disk.
            self._tell_of_fencing()
            if self._stopping or connection is not self._connection:
                continue
            if connection is None and not events:
                self._see_to_it(None)
            elif any(fd != self._wake for fd, _ in events):
                self._replace(connection)
                # Two daemons that fight for one guard must not do so at full speed.
                threading.Event().wait(PAUSE)

    def _replace(self, lost: GuardConnection | None) -> None:
        with self._lock:
            if self._connection is not lost:
                return
            self._disconnect()
            is_armed = self._is_armed
        logger.warning(
            "The guard is gone or obeys somebody else; %s.",
            "another one is armed" if is_armed else "another one is started",
        )
        self._see_to_it(None)

    def _tell_of_fencing(self) -> None:
        """What the guard did since we looked last."""
        for fenced in self._record.untold():
            self._voice.say(fenced)


def _word(order: ArmGuard | DisarmGuard) -> str:
    if isinstance(order, DisarmGuard):
        return "disarm"
    end = order.deadline if order.lease_until is None else order.lease_until
    verb = "keep" if order.unless_armed else "arm"
    return f"{verb} {order.deadline!r} {end!r} {order.postmaster_pid or 0}"
