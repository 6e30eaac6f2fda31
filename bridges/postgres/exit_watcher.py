"""A thread that waits for processes to end, and tells within milliseconds."""

import logging
import os
import select
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from regnal.bridges.contract import Voice
from regnal.bridges.postgres.control_data import read_control_data
from regnal.bridges.postgres.postmaster import Postmaster, end_orphans
from regnal.bridges.postgres.server import Server
from regnal.messages.postgres import PostmasterExited

logger = logging.getLogger(__name__)


class ExitWatcher:
    """Watches the postmaster, and other processes for whoever asks."""

    def __init__(
        self, server: Server, voice: Voice, on_exit: Callable[[], None]
    ) -> None:
        self._server = server
        self._voice = voice
        self._on_exit = on_exit
        self._lock = threading.Lock()
        self._waiting: dict[int, Callable[[], None]] = {}
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._oom_kills: int | None = None
        self._stopping = False
        self._thread = threading.Thread(
            target=self._run, name="postgres-exit-watcher", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        os.eventfd_write(self._wake, 1)
        self._thread.join()

    def watch_postmaster(self, postmaster: Postmaster) -> None:
        self._watch(postmaster.descriptor, lambda: self._postmaster_ended(postmaster))

    def watch_process(self, pid: int, ended: Callable[[], None]) -> None:
        """Call `ended` once the process is gone (in our thread; it must not wait)."""
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            ended()
            return

        def close_and_tell() -> None:
            os.close(descriptor)
            ended()

        self._watch(descriptor, close_and_tell)

    def _watch(self, descriptor: int, ended: Callable[[], None]) -> None:
        with self._lock:
            self._waiting[descriptor] = ended
        os.eventfd_write(self._wake, 1)

    def _run(self) -> None:
        while not self._stopping:
            poll = select.poll()
            poll.register(self._wake, select.POLLIN)
            with self._lock:
                for descriptor in self._waiting:
                    poll.register(descriptor, select.POLLIN)
            for descriptor, _ in poll.poll():
                if descriptor == self._wake:
                    os.eventfd_read(self._wake)
                    continue
                with self._lock:
                    ended = self._waiting.pop(descriptor)
                try:
                    ended()
                except Exception:  # the edge of the thread
                    logger.exception("The end of a process was not handled.")

    def _postmaster_ended(self, postmaster: Postmaster) -> None:
        status = postmaster.exit_status()
        killed_by = -status if status is not None and status < 0 else None
        # Until they are gone, its children may still write.
        if not end_orphans(postmaster.data_dir):
            logger.error(
                "Children of the dead postmaster do not end; look for processes "
                "that hang in the kernel (state D).",
                extra={"pid": postmaster.pid},
            )
        self._voice.say(
            PostmasterExited(
                pid=postmaster.pid,
                exit_status=None if killed_by is not None else status,
                signal=killed_by,
                expected=postmaster.stop_expected,
                control=read_control_data(self._server.options),
                oom_killed=self._oom_killed(status),
            )
        )
        self._on_exit()

    def note_oom_kills(self) -> None:
        """Remember the count of now; called with each observation."""
        self._oom_kills = oom_kills()

    def _oom_killed(self, status: int | None) -> bool | None:
        """None: it cannot be known, or the kernel does not count for us."""
        if status is None or self._oom_kills is None:
            return None
        return status == -signal.SIGKILL and oom_kills() != self._oom_kills


def oom_kills() -> int | None:
    """How many processes the kernel has killed on this host for want of memory."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return None
    counts = [line.split()[1] for line in lines if line.startswith("oom_kill ")]
    return int(counts[0]) if counts else None
