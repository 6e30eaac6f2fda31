"""The archive of a bundle: plain tar, written and read without tarfile's leniency.

A bundle holds small plain files with short names; everything else that tar has (long
names, links, holes, devices, headers that change the next header) is no part of it.
tarfile would act on these while it looks for the next file, and read headers of any
size into memory: here they are entries like others, and passed over.
"""

import tarfile
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from regnal.messages.base import Bytes

BLOCK: Bytes = 512

CHUNK: Bytes = 256 * 1024
"""What is read and written at once."""

END = bytes(2 * BLOCK)

_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)

_WITHOUT_CONTENT = (
    *(tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE),
    *(tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE),
)


class Source(Protocol):
    """A file, or what comes over a connection."""

    def read(self, size: int, /) -> bytes: ...


class ArchiveBroken(Exception):
    """What comes here is not the header of a file; the text says why."""


class Entry(NamedTuple):
    """One file of the archive; to be read before the next one is asked for."""

    name: str
    size: Bytes
    is_plain: bool
    """Whether it is a file, and nothing that only stands for one."""

    content: "Content"


class Content:
    """The bytes of one entry, and not one more."""

    def __init__(self, file: Source, size: Bytes) -> None:
        self._file = file
        self._left = size

    def read(self, size: Bytes = CHUNK) -> bytes:
        """At most so many; nothing at the end.  Raises EOFError where the archive
        ends before the entry does."""
        wanted = min(size, self._left)
        if not wanted:
            return b""
        chunk = self._file.read(wanted)
        if not chunk:
            raise EOFError(f"it ends {self._left} bytes too early")
        self._left -= len(chunk)
        return chunk

    def skip(self) -> None:
        """Read what is left.  Raises EOFError."""
        while self.read():
            pass


def header(name: str, size: Bytes) -> bytes:
    """What comes before the bytes of a file."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    return entry.tobuf(tarfile.GNU_FORMAT)


def padding(size: Bytes) -> bytes:
    """What comes after them."""
    return bytes(-size % BLOCK)


def entries(file: Source) -> Iterator[Entry]:
    """Everything in the archive.

    Raises ArchiveBroken, EOFError where it ends within an entry or without its end
    mark, and what reading the file raises.
    """
    while any(block := _block(file)):
        try:
            entry = tarfile.TarInfo.frombuf(block, "utf-8", "backslashreplace")
        except tarfile.HeaderError as error:
            raise ArchiveBroken(f"no file begins where one should: {error}") from None
        if entry.size < 0:
            raise ArchiveBroken(f"{entry.name[:100]!r} has a size below zero")
        size = 0 if entry.type in _WITHOUT_CONTENT else entry.size
        content = Content(file, size)
        yield Entry(entry.name, size, entry.type in _PLAIN, content)
        content.skip()
        Content(file, -size % BLOCK).skip()


def _block(file: Source) -> bytes:
    """Raises EOFError."""
    content = Content(file, BLOCK)
    block = b""
    while len(block) < BLOCK:
        block += content.read()
    return block
