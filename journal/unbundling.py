"""Unpacking a bundle: it is somebody else's, and may be anything.

Names are checked against what a bundle may hold, sizes against limits, and nothing is
written outside the target.  What is no part of a bundle is left out and told of; so is
what is missing.  Only a bundle from which nothing can be had is refused.
"""

import gzip
import hashlib
import io
import re
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from pydantic import ValidationError

from regnal.journal.bundle_archive import (
    CHUNK,
    ArchiveBroken,
    Entry,
    Source,
    entries,
)
from regnal.journal.bundle_manifest import (
    BUNDLE_FORMAT,
    MANIFEST,
    MANIFEST_SIZE,
    Manifest,
)
from regnal.journal.progress import Progress, unheard
from regnal.journal.segment_input import open_file, reason_of
from regnal.messages.base import Bytes

MAXIMUM_SIZE: Bytes = 16 * 1024**3
"""Of everything in a bundle, unpacked to files; what is larger is refused."""

MAXIMUM_FILES = 100_000

MAXIMUM_RATIO = 200
"""Of what comes out of a bundle to its own size.  Journals of quiet members pack 20 to
1; what packs a thousand to 1 was made to fill somebody's disk."""

RATIO_FROM: Bytes = 64 * 1024**2
"""Less than this fills nobody's disk."""

KEEP_FREE: Bytes = 256 * 1024**2
"""So much of the target's disk is left to others."""

FLAWS_TOLD = 20
"""A million bad names are not a million sentences."""

_NAME = re.compile(
    r"(?:\./)?(([0-9]{4})/(?:journal-[0-9]{12}\.(?:jsonl|jsonl\.gz|pin)|quiet\.jsonl))"
)

_GZIP = b"\x1f\x8b"


class BundleRefused(Exception):
    """Nothing of the file is used; the text says why, and what to do."""


FlawKind = Literal["cut_off", "left_out", "changed", "unlisted", "newer"]
"""cut_off: its end is missing.  left_out: something in it is no part of a bundle.
changed: a file is not as the manifest says.  unlisted: there is no manifest to say how
the files should be.  newer: of a format that this program does not know."""


class Flaw(NamedTuple):
    """Where a bundle is not as it was made; the rest of it is used."""

    what: FlawKind
    text: str


@dataclass
class Unpacked:
    """What came out."""

    target: Path
    manifest: Manifest | None = None
    """None: it has none that can be read."""

    folders: set[str] = field(default_factory=set)
    """Directories in the target, each with a journal."""

    flaws: list[Flaw] = field(default_factory=list)


def unpack_bundle(bundle: Path, target: Path, progress: Progress = unheard) -> Unpacked:
    """Unpack into new directories below `target`, and check every digest.

    The journal with folder `0001` is in `target/0001`.  Raises BundleRefused, or
    OSError where the target cannot be written.
    """
    try:
        raw = open_file(bundle)
    except OSError as error:
        raise BundleRefused(f"{bundle} cannot be read: {reason_of(error)}") from error
    with raw:
        size = bundle.stat().st_size

        def heard(done: Bytes) -> None:
            progress(f"unpacking {bundle.name}", done, size)

        return unpack_stream(str(bundle), raw, target, heard)


def unpack_stream(
    name: str,
    source: Source,
    target: Path,
    heard: Callable[[Bytes], None] = lambda done: None,
) -> Unpacked:
    """As `unpack_bundle`, from a file or a connection, packed or not.

    `heard` is told how much of it has come.  Where reading the source raises OSError,
    it has ended there.
    """
    unpacking = _Unpacking(name, target)
    raw = _Raw(source, heard)
    buffered = io.BufferedReader(raw, CHUNK)
    try:
        is_packed = buffered.peek(2)[:2] == _GZIP
        stream = gzip.GzipFile(fileobj=buffered) if is_packed else buffered
        for entry in entries(_Measured(name, stream, raw)):
            unpacking.take(entry)
    except EOFError as error:
        unpacking.end_too_early(f"is not complete: {error}")
    except (zlib.error, gzip.BadGzipFile, ArchiveBroken) as error:
        unpacking.end_too_early(f"cannot be read to its end: {error}")
    return unpacking.finish()


class _Raw(io.RawIOBase):
    """What comes, counted."""

    def __init__(self, source: Source, heard: Callable[[Bytes], None]) -> None:
        self.count: Bytes = 0
        self._source = source
        self._heard = heard

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            chunk = self._source.read(len(buffer))
        except OSError as error:
            raise EOFError(reason_of(error)) from error
        buffer[: len(chunk)] = chunk
        self.count += len(chunk)
        self._heard(self.count)
        return len(chunk)


class _Stream(Protocol):
    def read1(self, size: int, /) -> bytes: ...


class _Measured:
    """What comes out when that is unpacked, as long as there is not too much of it."""

    def __init__(self, name: str, stream: _Stream, raw: _Raw) -> None:
        self._name = name
        self._stream = stream
        self._raw = raw
        self._count: Bytes = 0

    def read(self, size: Bytes) -> bytes:
        # What comes before a damage is given out first; read would throw it away.
        chunk = self._stream.read1(size)
        self._count += len(chunk)
        if self._count > MAXIMUM_SIZE:
            raise BundleRefused(
                f"{self._name} is too large: it unpacks to more than {MAXIMUM_SIZE} "
                "bytes; have it made again with --since and --until"
            )
        if self._count > max(RATIO_FROM, MAXIMUM_RATIO * self._raw.count):
            raise BundleRefused(
                f"{self._name} unpacks to more than {MAXIMUM_RATIO} times its size, as "
                "no journal does; it may have been made to fill this disk"
            )
        return chunk


class _Unpacking:
    """One bundle, on its way into the target."""

    def __init__(self, name: str, target: Path) -> None:
        self._name = name
        self._target = target
        self._result = Unpacked(target)
        self._digests: dict[str, str] = {}
        self._entries = 0
        self._is_cut_off = False

    def take(self, entry: Entry) -> None:
        """Raises BundleRefused, EOFError, or OSError of the target."""
        self._entries += 1
        if self._entries > MAXIMUM_FILES:
            raise BundleRefused(
                f"{self._name} is too large: it holds more than {MAXIMUM_FILES} files"
            )
        match = _NAME.fullmatch(entry.name)
        if entry.name.removeprefix("./") == MANIFEST and entry.is_plain:
            self._take_manifest(entry)
        elif match is None:
            self._leave_out(entry, "is not the name of a journal's file")
        elif not entry.is_plain:
            self._leave_out(entry, "is not a plain file")
        elif match[1] in self._digests:
            self._leave_out(entry, "is there twice; the first one is taken")
        else:
            self._store(match[1], match[2], entry)

    def end_too_early(self, why: str) -> None:
        self._is_cut_off = True
        if self._result.manifest is not None:
            return  # the last file is there: all others are
        if not self._result.folders:
            raise BundleRefused(f"{self._name} is not a bundle: it {why}")
        self._tell("cut_off", f"{self._name} {why}")

    def finish(self) -> Unpacked:
        """Raises BundleRefused if nothing came."""
        result = self._result
        if result.manifest is not None:
            self._compare(result.manifest)
        elif not result.folders:
            left_out = "".join(f"; {flaw.text}" for flaw in result.flaws[:1])
            raise BundleRefused(
                f"{self._name} is not a bundle: no journal is in it{left_out}; unpack "
                "it with what made it, and give the directories of the journals"
            )
        elif not self._is_cut_off:
            self._tell(
                "unlisted",
                f"{self._name} has no {MANIFEST} that can be read: nothing says "
                "whether all of it is there",
            )
        return result

    def _store(self, name: str, folder: str, entry: Entry) -> None:
        directory = self._target / folder
        if folder not in self._result.folders:
            directory.mkdir(mode=0o700, parents=True)  # new, and no link
            self._result.folders.add(folder)
        free = shutil.disk_usage(directory).free - KEEP_FREE
        if entry.size > free:
            raise BundleRefused(
                f"{self._name} does not fit: {entry.name} has {entry.size} bytes, and "
                f"{self._target} has room for {max(free, 0)}; set TMPDIR to a "
                "directory on another disk"
            )
        digest = hashlib.sha256()
        try:
            with (self._target / name).open("xb") as file:
                while chunk := entry.content.read(CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
        finally:
            self._digests[name] = digest.hexdigest()

    def _take_manifest(self, entry: Entry) -> None:
        if entry.size > MANIFEST_SIZE:
            self._leave_out(entry, f"is larger than {MANIFEST_SIZE} bytes")
            return
        text = b"".join(iter(lambda: entry.content.read(CHUNK), b""))
        try:
            manifest = Manifest.model_validate_json(text)
        except ValidationError as error:
            why = f"cannot be read: {error.errors()[0]['msg']}"
            self._leave_out(entry, why)
            return
        self._result.manifest = manifest
        if manifest.bundle_format > BUNDLE_FORMAT:
            self._tell(
                "newer",
                f"{self._name} has format {manifest.bundle_format}; this program reads "
                f"up to {BUNDLE_FORMAT} and may miss what is new; use a newer one",
            )

    def _compare(self, manifest: Manifest) -> None:
        promised = {
            file.name: file.sha256
            for journal in manifest.journals
            for file in journal.files
        }
        for name in sorted(promised.keys() | self._digests.keys()):
            if promised.get(name) == self._digests.get(name):
                continue
            if name not in self._digests:
                why = "is missing"
            elif name in promised:
                why = "is not as it was bundled"
            else:
                why = "was added later"
            self._tell("changed", f"{self._name}: {name} {why}")

    def _leave_out(self, entry: Entry, why: str) -> None:
        self._tell("left_out", f"{self._name}: {entry.name[:200]!r} {why}")

    def _tell(self, what: FlawKind, text: str) -> None:
        flaws = self._result.flaws
        if len(flaws) < FLAWS_TOLD:
            flaws.append(Flaw(what, text))
        elif len(flaws) == FLAWS_TOLD:
            flaws.append(
                Flaw(what, f"{self._name}: and more that is not as it should be")
            )
