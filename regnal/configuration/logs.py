"""The log: a bounded queue, and one thread that writes it.

Whoever logs never waits for a disk or a terminal.  Records that find the queue
full are dropped and counted, and the count is written when there is room again.

    log = LogSystem()
    log.install()                          # from now on nothing is lost
    log.configure(log_options(document))   # at start, and after each reload
    ...
    is_written = log.close()               # the end
"""

import contextlib
import logging
import logging.handlers
import os
import sys
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from regnal.configuration.log_format import Formats, make_formatter, now_record
from regnal.configuration.problems import ConfigurationError, Problem
from regnal.configuration.tree import Document

FILE_NAME = "patroni.log"
"""The peer's: what watches it need not be changed."""

EARLY_RECORDS = 1000
"""Kept until the configuration is known."""

FLUSH_SECONDS = 5.0
"""How long the end waits for a writer that does not get on."""

STUCK_STATUS = 5
"""Exit status of a daemon whose log could not be written to its end."""

_HEARTBEATS = ("no action. ", "PAUSE: no action")


@dataclass(frozen=True, slots=True)
class LogOptions:
    """The `log` section."""

    level: int = logging.INFO
    formats: Formats = field(default_factory=Formats)
    max_queue_size: int = 1000
    directory: Path | None = None
    """None: stderr."""

    file_num: int = 4
    file_size: int = 25_000_000
    file_mode: int | None = None
    """None: by the umask."""

    loggers: Mapping[str, int] = field(default_factory=dict)
    deduplicate_heartbeats: bool = False


def log_options(document: Document) -> LogOptions:
    """Of a document with its defaults."""
    log = document["log"]
    level = _level(log["level"])
    directory = log.get("dir")
    return LogOptions(
        level=level,
        formats=Formats(
            type=log["type"],
            format=log.get("format"),
            dateformat=log.get("dateformat"),
            static_fields=log.get("static_fields"),
            show_tracebacks=level <= _level(log["traceback_level"]),
        ),
        max_queue_size=log["max_queue_size"],
        directory=Path(directory).absolute() if directory else None,
        file_num=log["file_num"],
        file_size=log["file_size"],
        file_mode=log.get("mode"),
        loggers={name: _level(text) for name, text in log.get("loggers", {}).items()},
        deduplicate_heartbeats=log["deduplicate_heartbeat_logs"],
    )


def _level(name: str) -> int:
    return logging.getLevelNamesMapping()[name]


class LogSystem:
    """The log of one process."""

    def __init__(self) -> None:
        self._queue = RecordQueue(EARLY_RECORDS)
        self._entry = _Entry(self._queue)
        self._writer = _Writer(self._queue)
        self._loggers: Mapping[str, int] = {}

    def install(self) -> None:
        """Take in everything that is logged from now on; nothing is written yet."""
        root = logging.getLogger()
        root.addHandler(self._entry)
        root.setLevel(logging.DEBUG)

    def configure(self, options: LogOptions) -> None:
        """Write as `options` say from now on, first what was taken in before.

        Raises ConfigurationError if the file cannot be opened; then everything
        stays as it was.
        """
        target = _open_target(options)
        logging.getLogger().setLevel(options.level)
        for name in self._loggers.keys() - options.loggers.keys():
            logging.getLogger(name).setLevel(logging.NOTSET)
        for name, level in options.loggers.items():
            logging.getLogger(name).setLevel(level)
        self._loggers = options.loggers
        self._entry.deduplicates_heartbeats = options.deduplicate_heartbeats
        self._queue.resize(options.max_queue_size)
        self._writer.use(target)

    def close(self, timeout: float = FLUSH_SECONDS) -> bool:
        """Write the rest and end the thread.  False: not all could be written."""
        logging.getLogger().removeHandler(self._entry)
        return self._writer.stop(timeout)


class RecordQueue:
    """Between whoever logs and the writer."""

    def __init__(self, limit: int) -> None:
        # Reentrant: a signal handler may log while its thread is in here.
        self._changed = threading.Condition(threading.RLock())
        self._records: deque[logging.LogRecord] = deque()
        self._limit = limit
        self._dropped = 0
        self._is_closed = False

    def put(self, record: logging.LogRecord) -> None:
        """Never waits; the record is dropped and counted if there is no room."""
        with self._changed:
            if len(self._records) >= self._limit:
                self._dropped += 1
                return
            self._records.append(record)
            self._changed.notify()

    def take(self) -> tuple[list[logging.LogRecord], int] | None:
        """All records there are, and how many were dropped since the last call.

        Waits for the first one.  None: closed, and everything was taken.
        """
        with self._changed:
            while not self._records and not self._dropped:
                if self._is_closed:
                    return None
                self._changed.wait()
            records = list(self._records)
            dropped = self._dropped
            self._records.clear()
            self._dropped = 0
            return records, dropped

    def resize(self, limit: int) -> None:
        with self._changed:
            self._limit = limit

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()


class _Entry(logging.Handler):
    """The handler at the root logger."""

    def __init__(self, queue: RecordQueue) -> None:
        super().__init__()
        self._queue = queue
        self._last_heartbeat = ""
        self.deduplicates_heartbeats = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            # Now, since the arguments may change before the writer comes to it.
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            message = f"{record.msg} {record.args!r}"
        record.msg, record.args = message, None
        if message.startswith(_HEARTBEATS):
            is_repeated = message == self._last_heartbeat
            self._last_heartbeat = message
            if is_repeated and self.deduplicates_heartbeats:
                return
        self._queue.put(record)


class _Writer:
    """The thread that writes; it ends only when told so."""

    def __init__(self, queue: RecordQueue) -> None:
        self._queue = queue
        self._target: logging.Handler | None = None
        self._target_lock = threading.Lock()
        # A daemon thread: an end without `close` must not hang on it.
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def use(self, target: logging.Handler) -> None:
        with self._target_lock:
            old, self._target = self._target, target
        if not self._thread.ident:
            self._thread.start()
        if old is not None:
            _close(old)

    def stop(self, timeout: float) -> bool:
        self._queue.close()
        if self._thread.ident:
            self._thread.join(timeout)
        if self._thread.is_alive():
            return False
        if self._target is None:
            # The configuration was never known: the log says why, perhaps.
            logging.getLogger().setLevel(logging.INFO)
            self._target = _stderr(LogOptions())
            self._run()
        _close(self._target)
        return True

    def _run(self) -> None:
        while (taken := self._queue.take()) is not None:
            records, dropped = taken
            for record in records:
                # Of early records the level was not known when they came.
                if logging.getLogger(record.name).isEnabledFor(record.levelno):
                    self._write(record)
            if dropped:
                text = (
                    f"{dropped} log records were dropped: log.max_queue_size is reached"
                )
                self._write(now_record(logging.WARNING, text))

    def _write(self, record: logging.LogRecord) -> None:
        with self._target_lock:
            assert self._target is not None
            self._target.handle(record)


class _StandardError(logging.StreamHandler[Any]):
    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - its name
        """There is nobody left to tell."""


class _File(logging.handlers.RotatingFileHandler):
    def __init__(self, options: LogOptions) -> None:
        assert options.directory is not None
        self._file_mode = options.file_mode
        self._fails = False
        self._was_told = False
        super().__init__(
            options.directory / FILE_NAME,
            maxBytes=options.file_size,
            backupCount=options.file_num,
            encoding="utf-8",
            errors="backslashreplace",
        )

    def _open(self) -> TextIOWrapper:
        file = super()._open()
        if self._file_mode is not None:
            os.fchmod(file.fileno(), self._file_mode)
        return file

    def emit(self, record: logging.LogRecord) -> None:
        self._fails = False
        super().emit(record)
        self._was_told = self._was_told and self._fails

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - its name
        """A full disk is told once, on stderr, and does not stop the writer."""
        self._fails = True
        self._forget_buffer()
        if not self._was_told:
            self._was_told = True
            error = sys.exc_info()[1]
            text = f"{self.baseFilename} cannot be written: {error}"
            _stderr(LogOptions()).emit(now_record(logging.ERROR, text))

    def _forget_buffer(self) -> None:
        """What could not be written would stay in memory, and more with every
        record; the next one opens the file anew."""
        stream, self.stream = self.stream, None
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


def _close(target: logging.Handler) -> None:
    with contextlib.suppress(OSError):  # a full disk has been told already
        target.close()


def _open_target(options: LogOptions) -> logging.Handler:
    if options.directory is None:
        return _stderr(options)
    try:
        target: logging.Handler = _File(options)
    except OSError as error:
        raise ConfigurationError(
            Problem(
                "log.dir",
                f"{options.directory / FILE_NAME} cannot be written: {error.strerror}",
                "create the directory and let this user write into it",
            )
        ) from error
    target.setFormatter(make_formatter(options.formats))
    return target


def _stderr(options: LogOptions) -> logging.Handler:
    target = _StandardError()
    target.setFormatter(make_formatter(options.formats))
    return target
