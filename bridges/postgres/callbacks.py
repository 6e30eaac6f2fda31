"""Callbacks: the operator's scripts hear of changes, one at a time (CB-01..CB-07).

A new callback ends one that still runs, with all its children.  `on_reload` has a
lane of its own, in which it neither ends nor waits for the others.
"""

import logging
import os
import select
import shlex
import signal
import subprocess
import threading

from regnal.bridges.contract import Voice
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.processes import descendants_of, kill
from regnal.bridges.postgres.programs import pidfd, spawn
from regnal.bridges.postgres.server import Server
from regnal.messages.callbacks import CallbackEnded, CallbackFailed, RunCallback
from regnal.messages.envelope import Envelope

logger = logging.getLogger(__name__)


class Callbacks:
    def __init__(self, server: Server, voice: Voice) -> None:
        self._server = server
        self._changes = _Lane("callbacks", server, voice)
        self._reloads = _Lane("callbacks-on-reload", server, voice)

    def start(self) -> None:
        self._changes.start()
        self._reloads.start()

    def stop(self) -> None:
        """A script that runs is left to its work: it may be moving an address."""
        self._changes.stop()
        self._reloads.stop()

    def order(self, envelope: Envelope[RunCallback]) -> None:
        if not self._server.options.callbacks.get(envelope.message.action):
            return  # nobody wants to hear of it, so nobody is interrupted for it
        is_reload = envelope.message.action == "on_reload"
        (self._reloads if is_reload else self._changes).order(envelope)


class _Lane:
    """One thread that runs the latest callback that it was given."""

    def __init__(self, name: str, server: Server, voice: Voice) -> None:
        self._server = server
        self._voice = voice
        self._lock = threading.Lock()
        self._next: Envelope[RunCallback] | None = None
        self._stopping = False
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        os.eventfd_write(self._wake, 1)
        self._thread.join()
        os.close(self._wake)

    def order(self, envelope: Envelope[RunCallback]) -> None:
        with self._lock:
            overtaken, self._next = self._next, envelope
        os.eventfd_write(self._wake, 1)
        if overtaken is not None:
            self._fail(overtaken, f"overtaken by {envelope.message.action}")

    def _run(self) -> None:
        while True:
            self._wait()
            if self._stopping:
                break
            with self._lock:
                envelope, self._next = self._next, None
            if envelope is None:
                continue
            try:
                self._perform(envelope)
            except Exception as error:  # the edge of the thread
                logger.exception("A callback was not run.")
                self._fail(envelope, repr(error))

    def _perform(self, envelope: Envelope[RunCallback]) -> None:
        command = envelope.message
        script = self._server.options.callbacks.get(command.action)
        if not script:
            return
        try:
            argv = [*shlex.split(script), command.action, command.role, command.scope]
            process = spawn(argv)
        except (OperationError, ValueError) as error:
            logger.warning("%s was not started: %s.", command.action, error)
            self._fail(envelope, str(error))
            return
        status = self._wait_for_end(process)
        if status is not None:
            ended = CallbackEnded(action=command.action, exit_status=status)
            self._voice.say(ended, envelope)

    def _wait_for_end(self, process: subprocess.Popen[bytes]) -> int | None:
        """Its exit status, after ending it if another callback is due; None: we
        stop, and it goes on alone."""
        with pidfd(process.pid) as exited:
            self._wait(exited)
            if self._stopping:
                process.returncode = 0  # nobody waits for it any more
                return None
            _end_with_children(process.pid)
            # A script that we may not kill (sudo) has to end by itself (CB-07).
            return process.wait()

    def _wait(self, *descriptors: int) -> None:
        """Until another callback is due, we stop, or a descriptor is readable."""
        poll = select.poll()
        for descriptor in (self._wake, *descriptors):
            poll.register(descriptor, select.POLLIN)
        while True:
            with self._lock:
                if self._next is not None or self._stopping:
                    return
            ready = {descriptor for descriptor, _ in poll.poll()}
            if ready - {self._wake}:
                return
            os.eventfd_read(self._wake)

    def _fail(self, envelope: Envelope[RunCallback], error: str) -> None:
        failed = CallbackFailed(action=envelope.message.action, error=error)
        self._voice.say(failed, envelope)


def _end_with_children(leader: int) -> None:
    """SIGKILL to the script, to its descendants, and to what is left of its group
    when the script has ended itself."""
    descendants = descendants_of(leader)  # while the links between them hold
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        pass
    except PermissionError:
        logger.warning("The running callback may not be killed; waiting for its end.")
    for process in descendants:
        kill(process)
