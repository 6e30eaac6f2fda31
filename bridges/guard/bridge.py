"""The bridge to the guard: starts it, or takes over the one that is there."""

import contextlib
import hashlib
import json
import logging
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

from regnal.bridges.contract import Clock, Voice
from regnal.bridges.guard import guard_process
from regnal.messages.base import Command, Message
from regnal.messages.envelope import Envelope, PartName
from regnal.messages.fencing import ArmGuard, DisarmGuard, GuardFailed, GuardFenced

logger = logging.getLogger(__name__)

ANSWER_WITHIN = 1.0
"""Seconds that the guard has to answer; it does nothing else than wait for us."""

START_WITHIN = 5.0


class GuardUnreachable(Exception):
    """The guard could not be started, or does not answer."""


class GuardBridge:
    """See `bridges.contract.Bridge`.  Orders are given from the caller's thread:
    one packet and its answer, so that a promotion begins with the guard armed."""

    name: PartName = "guard"
    performs: tuple[type[Command], ...] = (ArmGuard, DisarmGuard)

    def __init__(
        self, data_directory: Path, record: Path, voice: Voice, clock: Clock
    ) -> None:
        """`record` is the guard's own small journal."""
        self._data_directory = data_directory
        self._record = record
        self._voice = voice
        self._clock = clock
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None

    def start(self) -> None:
        self._tell_of_fencing()
        with self._lock, contextlib.suppress(GuardUnreachable):
            self._connect()

    def stop(self) -> None:
        """Let go of the guard: disarmed it ends, armed it stays on watch."""
        with self._lock:
            self._disconnect()

    def perform(self, envelope: Envelope[Command]) -> None:
        match envelope.message:
            case ArmGuard(deadline=deadline):
                self._order(f"arm {deadline!r}", envelope)
            case DisarmGuard():
                self._order("disarm", envelope)
            case _:
                raise AssertionError(envelope.message)

    def _order(self, word: str, cause: Envelope[Message]) -> None:
        # A daemon that was frozen hears here of what the guard did meanwhile.
        self._tell_of_fencing()
        with self._lock:
            try:
                self._ask(word)
                return
            except GuardUnreachable:
                self._disconnect()
            try:
                # It may have been killed; another one is as good.
                self._ask(word)
                return
            except GuardUnreachable as error:
                trouble = str(error)
                self._disconnect()
        logger.error("The guard does not work: %s.", trouble)
        self._voice.say(GuardFailed(error=trouble), cause)

    def _ask(self, word: str) -> None:
        connection = self._connect()
        try:
            connection.send(word.encode())
            answer = connection.recv(guard_process.PACKET)
        except OSError as error:
            raise GuardUnreachable(str(error)) from error
        if answer != b"ok":
            raise GuardUnreachable(answer.decode(errors="replace") or "it ended")

    def _connect(self) -> socket.socket:
        if self._connection is None:
            self._connection = self._dial() or self._spawn()
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _dial(self) -> socket.socket | None:
        """The guard that is there; None: there is none."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.settimeout(ANSWER_WITHIN)
        try:
            connection.connect("\0" + address_of(self._data_directory))
        except OSError:
            connection.close()
            return None
        return connection

    def _spawn(self) -> socket.socket:
        """Start a guard; it is ready when it says so."""
        try:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    guard_process.__file__,
                    address_of(self._data_directory),
                    str(self._data_directory),
                    str(self._record),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )
        except OSError as error:
            raise GuardUnreachable(str(error)) from error
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        process.wait()
        connection = self._dial()
        if connection is None:
            raise GuardUnreachable("it was started and does not listen")
        return connection

    def _tell_of_fencing(self) -> None:
        """What the guard did while we did not run."""
        told = self._record.with_suffix(".told")
        try:
            lines = self._record.read_text().splitlines()
            self._record.replace(told)
        except OSError:
            return
        for line in lines:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                fenced = json.loads(line)
                self._voice.say(
                    GuardFenced(
                        postmaster_pid=fenced["pid"],
                        at=fenced["at"],
                        late_by=fenced["late_by"],
                    )
                )


def address_of(data_directory: Path) -> str:
    """One guard per data directory and user."""
    digest = hashlib.sha256(os.path.realpath(data_directory).encode()).hexdigest()
    return f"regnal-guard-{os.geteuid()}-{digest[:24]}"
