"""A thread that waits for processes to end, and tells within milliseconds."""

import logging
import os
import select
import threading
from collections.abc import Callable

from regnal.bridges.contract import Voice
from regnal.bridges.host.disks import disk_rooms
from regnal.bridges.host.oom import OomKills
from regnal.bridges.postgres.control_data import read_control_data
from regnal.bridges.postgres.postmaster import Postmaster, end_orphans
from regnal.bridges.postgres.server import Server
from regnal.bridges.postgres.wal import wal_directory
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
        self.oom_kills: OomKills | None = None
        """Of the postmaster; None: none was found yet."""

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
        kills = OomKills(postmaster.pid)
        self.oom_kills = kills
        self._watch(
            postmaster.descriptor, lambda: self._postmaster_ended(postmaster, kills)
        )

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

    def _postmaster_ended(self, postmaster: Postmaster, kills: OomKills) -> None:
        counts = kills.count()  # before it is reaped
        status = postmaster.exit_status()
        data_dir = postmaster.data_dir
        # Before anybody removes a file, or its children have: it may have been full.
        disks = tuple(disk_rooms((data_dir, wal_directory(data_dir))))
        killed_by = -status if status is not None and status < 0 else None
        # Until they are gone, its children may still write.
        if not end_orphans(data_dir):
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
                oom_killed=kills.killed(counts, status),
                disks=disks,
            )
        )
        self._on_exit()
