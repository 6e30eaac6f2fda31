"""Bundles: journals of one or several members in one file, to be sent to somebody.

A bundle is a tar.gz: `manifest.json`, then for each member its segments as they
lie on the disk.  The manifest says what is in it, with a digest of every file and
the head of every chain, so that whoever receives it can check it.

What comes out of a bundle is somebody else's: names are checked against what a
bundle may hold, sizes against a limit, and nothing is written outside the target.
"""

import gzip
import hashlib
import io
import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, BinaryIO

from pydantic import BaseModel, ConfigDict, ValidationError

from regnal.journal.encoding import FORMAT
from regnal.journal.places import QUIET, segments
from regnal.journal.verification import Verdict, verify
from regnal.messages.base import Bytes, MemberName

BUNDLE_FORMAT = 1

MAXIMUM_SIZE: Bytes = 16 * 1024**3
"""Of everything in a bundle, unpacked to files; what is larger is refused."""

MAXIMUM_FILES = 100_000

_CHUNK: Bytes = 1024 * 1024

_MANIFEST = "manifest.json"
_MANIFEST_SIZE: Bytes = 64 * 1024**2

_NAME = re.compile(r"(\d{4})/(journal-\d{12}\.(jsonl|jsonl\.gz|pin)|quiet\.jsonl)")


class BundleRefused(Exception):
    """The file is not a bundle that we may unpack; the text says why."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class BundledFile(_Part):
    name: str
    """In the archive: number of the journal, a slash, name of the file."""

    size: Bytes
    sha256: str


class BundledJournal(_Part):
    """One member's journal, as it was when it was bundled."""

    member: MemberName | None
    folder: str
    first: int
    head: str
    """`number:hash` of the last record."""

    records: int
    is_whole: bool
    damages: tuple[str, ...]
    files: tuple[BundledFile, ...]


class Manifest(_Part):
    """What a bundle says of itself."""

    bundle_format: int
    journal_format: int
    made_at: str
    made_by: str
    journals: tuple[BundledJournal, ...]


def write_bundle(
    target: Path, directories: Sequence[Path], *, made_at: str, made_by: str
) -> Manifest:
    """Bundle the journals; the file appears whole or not at all.

    `made_by`: program and version.  Raises OSError.
    """
    draft = target.with_name(f"{target.name}.new")
    try:
        with tarfile.open(draft, "w:gz", compresslevel=6) as archive:
            journals = tuple(
                _add_journal(archive, f"{number:04d}", directory)
                for number, directory in enumerate(directories, 1)
            )
            manifest = Manifest(
                bundle_format=BUNDLE_FORMAT,
                journal_format=FORMAT,
                made_at=made_at,
                made_by=made_by,
                journals=journals,
            )
            content = manifest.model_dump_json(indent=2).encode() + b"\n"
            _add(archive, _MANIFEST, io.BytesIO(content), len(content))
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return manifest


def unpack_bundle(bundle: Path, target: Path) -> Manifest:
    """Unpack into new directories below `target`, and check every digest.

    Returns the manifest; the journal with folder `0001` is in `target/0001`.
    Raises BundleRefused, or OSError.
    """
    try:
        with tarfile.open(bundle, "r:gz") as archive:
            digests, manifest = _extract(archive, target)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile) as error:
        raise BundleRefused(f"{bundle} is not a bundle: {error}") from error
    if manifest is None:
        raise BundleRefused(f"{bundle} has no {_MANIFEST}")
    promised = {
        file.name: file.sha256
        for journal in manifest.journals
        for file in journal.files
    }
    if promised != digests:
        wrong = sorted(set(promised.items()) ^ set(digests.items()))
        raise BundleRefused(f"{bundle}: {wrong[0][0]} is not what the manifest says")
    return manifest


def _add_journal(
    archive: tarfile.TarFile, folder: str, directory: Path
) -> BundledJournal:
    files = []
    for path in _paths(directory):
        with _open(path) as file:
            name = f"{folder}/{Path(file.name).name}"
            size = os.fstat(file.fileno()).st_size  # it may be growing
            digest = _add(archive, name, file, size)
        files.append(BundledFile(name=name, size=size, sha256=digest))
    return _described(folder, verify(directory), tuple(files))


def _described(
    folder: str, verdict: Verdict, files: tuple[BundledFile, ...]
) -> BundledJournal:
    return BundledJournal(
        member=verdict.member,
        folder=folder,
        first=verdict.first,
        head=str(verdict.head),
        records=verdict.records,
        is_whole=verdict.is_whole,
        damages=tuple(map(str, verdict.damages)),
        files=files,
    )


def _paths(directory: Path) -> Iterator[Path]:
    # What is held first, as in reading: if it is written meanwhile, we have both.
    quiet = directory / QUIET
    if quiet.exists():
        yield quiet
    for segment in segments(directory):
        yield segment.path
        if segment.pin.exists():
            yield segment.pin


def _open(path: Path) -> BinaryIO:
    """The file; a segment may be compressed at this very moment."""
    try:
        return path.open("rb")
    except FileNotFoundError:
        return path.with_name(f"{path.name}.gz").open("rb")


def _add(archive: tarfile.TarFile, name: str, file: IO[bytes], size: Bytes) -> str:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    reading = _Digesting(file)
    archive.addfile(entry, reading)
    return reading.digest.hexdigest()


class _Digesting(io.RawIOBase):
    """A file that is read once, with the digest of what was read."""

    def __init__(self, file: IO[bytes]) -> None:
        self.digest = hashlib.sha256()
        self._file = file

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self.digest.update(content)
        return content


def _extract(
    archive: tarfile.TarFile, target: Path
) -> tuple[dict[str, str], Manifest | None]:
    digests: dict[str, str] = {}
    manifest: Manifest | None = None
    room = MAXIMUM_SIZE
    for entry in archive:
        room -= entry.size
        if room < 0 or len(digests) >= MAXIMUM_FILES:
            raise BundleRefused("the bundle is too large")
        content = archive.extractfile(entry) if entry.isreg() else None
        if content is None:
            raise BundleRefused(f"{entry.name!r} is not a plain file")
        if entry.name == _MANIFEST:
            manifest = _manifest(content)
            continue
        if _NAME.fullmatch(entry.name) is None or entry.name in digests:
            raise BundleRefused(f"{entry.name!r} is not the name of a journal's file")
        digests[entry.name] = _store(content, target / entry.name)
    return digests, manifest


def _manifest(content: IO[bytes]) -> Manifest:
    try:
        manifest = Manifest.model_validate_json(content.read(_MANIFEST_SIZE))
    except ValidationError as error:
        raise BundleRefused(f"{_MANIFEST} cannot be read: {error}") from error
    if manifest.bundle_format > BUNDLE_FORMAT:
        raise BundleRefused(
            f"the bundle has format {manifest.bundle_format}; "
            f"this program reads up to {BUNDLE_FORMAT}"
        )
    return manifest


def _store(content: IO[bytes], path: Path) -> str:
    digest = hashlib.sha256()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("xb") as file:  # never over a file that is there
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()
