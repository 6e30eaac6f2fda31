"""Records that come one by one, perhaps twice and out of their order, as a journal.

They are put into files by their numbers, some thousands each, and sorted file by file
when all have come: memory does not grow with the journal.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from regnal.journal.encoding import HASH_TAIL, NO_HASH
from regnal.journal.places import RecordNumber, segment_path
from regnal.messages.base import Bytes

BUCKET: RecordNumber = 8192
"""Records in one file: some ten megabytes, which are sorted in memory."""

MAXIMUM_BUCKETS = 20_000
"""A hundred million records; numbers further apart are not of one journal."""

AHEAD: Bytes = 1024 * 1024
"""Kept in memory before it is written."""

_HEAD = re.compile(rb'\{"n":([1-9]\d{0,11}),"hlc":"([^"]{27})[^"]*"')
_TAIL = re.compile(rb',"hash":"[0-9a-f]{32}"\}')
_START = re.compile(rb'"kind":"start",.*"previous":"([0-9a-f]{32})"')


class _Line(NamedTuple):
    number: RecordNumber
    wall: bytes
    text: bytes


class Spool:
    """The records of one member."""

    def __init__(self, directory: Path) -> None:
        """Makes the directory, and files in it.  Raises OSError."""
        directory.mkdir(mode=0o700, parents=True)
        self._directory = directory
        self._buckets: dict[int, list[bytes]] = {}
        self._ahead: Bytes = 0
        self._beginnings: set[bytes] = set()
        """When a chain begins: the member's journal was lost, and begun anew."""

    def add(self, text: bytes) -> bool:
        """A record without its line end; whether it is one.  Raises OSError."""
        line = _line(text)
        if line is None:
            return False
        bucket = line.number // BUCKET
        if bucket not in self._buckets and len(self._buckets) >= MAXIMUM_BUCKETS:
            return False
        if line.number == 1:
            start = _START.search(text)
            if start is not None and start[1] == NO_HASH.encode():
                self._beginnings.add(line.wall)
        self._buckets.setdefault(bucket, []).append(text)
        self._ahead += len(text)
        if self._ahead > AHEAD:
            self._write()
        return True

    def finish(self) -> list[Path]:
        """Directories of segments, one for each chain, the oldest first.  Raises
        OSError."""
        self._write()
        beginnings = sorted(self._beginnings)
        chains: dict[int, _Chain] = {}
        for bucket in sorted(self._buckets):
            path = self._path(bucket)
            for line in _in_order(path.read_bytes()):
                # A record belongs to the last chain that had begun by then.
                which = max(bisect_right(beginnings, line.wall), 1)
                if which not in chains:
                    chains[which] = _Chain(self._directory / f"{which:04d}")
                chains[which].add(line)
            path.unlink()
        for chain in chains.values():
            chain.close()
        return [chain.directory for _, chain in sorted(chains.items())]

    def _write(self) -> None:
        for bucket, texts in self._buckets.items():
            if texts:
                with self._path(bucket).open("ab") as file:
                    file.writelines(b"%b\n" % text for text in texts)
                texts.clear()
        self._ahead = 0

    def _path(self, bucket: int) -> Path:
        return self._directory / f"bucket-{bucket}"


class _Chain:
    """The segments of one chain, written in order."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700)
        self.directory = directory
        self._texts: list[bytes] = []
        self._first: RecordNumber = 0

    def add(self, line: _Line) -> None:
        if not self._first or b'"kind":"start"' in line.text[:200]:
            self.close()
            self._first = line.number
        self._texts.append(line.text)
        if len(self._texts) >= BUCKET:
            self._write()

    def close(self) -> None:
        if self._first:
            self._write()

    def _write(self) -> None:
        with segment_path(self.directory, self._first).open("ab") as file:
            file.writelines(self._texts)
        self._texts = []


def _line(text: bytes) -> _Line | None:
    """None: it is no record, or one that would not stay on its line."""
    head = _HEAD.match(text)
    tail = text[1 - HASH_TAIL :]
    if head is None or b"\n" in text or _TAIL.fullmatch(tail) is None:
        return None
    return _Line(int(head[1]), head[2], text)


def _in_order(content: bytes) -> Iterator[_Line]:
    """Each record once."""
    texts = set(content.split(b"\n"))
    found = [line for text in texts if (line := _line(text)) is not None]
    for line in sorted(found):
        yield line._replace(text=line.text + b"\n")
