"""Bundles: journals of one or several members in one file, to be sent to somebody.

A bundle is a tar, packed with gzip where it is a file: for each member its segments
as they lie on the disk, then `manifest.json`.  That says what is in it, with a digest
of every file and the head of every chain, so that whoever receives it can check it.
A daemon sends its own journal in the same form (`GET /journal?whole=true`).
"""

import gzip
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from regnal.journal.bundle_archive import CHUNK, END, header, padding
from regnal.journal.bundle_manifest import (
    BUNDLE_FORMAT,
    MANIFEST,
    BundledFile,
    BundledJournal,
    Manifest,
    bundled_configuration,
    bundled_start,
)
from regnal.journal.encoding import FORMAT
from regnal.journal.places import QUIET, Segment, open_draft, segments
from regnal.journal.progress import Progress, unheard
from regnal.journal.reader import EVERYTHING, Window
from regnal.journal.segment_input import open_file, wanted
from regnal.journal.survey import (
    Configuration,
    configuration_in,
    survey,
    survey_of_starts,
)
from regnal.journal.verification import Verdict, verify
from regnal.messages.base import Bytes

_LEVEL = 1
"""Of packing: most segments are packed already, and somebody waits."""


@dataclass(frozen=True, slots=True)
class Content:
    """A journal that goes into a bundle."""

    directory: Path
    origin: str | None = None
    """As people call the place that it comes from."""

    configuration: Configuration | None = None
    """The one in force, where the journal itself does not reach back to it."""


class Making(NamedTuple):
    """Who makes the bundle, of which time, and what is missing in it."""

    made_at: str
    made_by: str
    """Program and version."""

    window: Window = EVERYTHING
    """Segments are taken whole if they overlap it."""

    troubles: tuple[str, ...] = ()


def write_bundle(
    target: Path,
    contents: Sequence[Content],
    making: Making,
    progress: Progress = unheard,
) -> Manifest:
    """Bundle the journals; the file appears whole or not at all.

    Their chains are checked on the way.  Raises OSError.
    """
    draft = target.with_name(f"{target.name}.new")
    bundle = Bundle(contents, making, is_checked=True, progress=progress)
    try:
        with (
            open_draft(draft) as raw,
            gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as packed,
        ):
            for chunk in bundle.chunks():
                packed.write(chunk)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return bundle.manifest


class Bundle:
    """A bundle on its way out, piece by piece."""

    manifest: Manifest
    """What was in it, when all of it is out."""

    def __init__(
        self,
        contents: Sequence[Content],
        making: Making,
        *,
        is_checked: bool,
        progress: Progress = unheard,
    ) -> None:
        """`is_checked`: whether the chains are; a daemon leaves that to its reader."""
        self._contents = contents
        self._making = making
        self._is_checked = is_checked
        self._progress = progress
        self._files: list[BundledFile] = []

    def chunks(self) -> Iterator[bytes]:
        """The archive, not packed.  Raises OSError; what came before is then no bundle,
        since it has no manifest."""
        journals = []
        for number, content in enumerate(self._contents, 1):
            folder = f"{number:04d}"
            self._files = []
            described = self._described(folder, content)
            yield from self._journal(folder, content.directory)
            journals.append(described.model_copy(update={"files": tuple(self._files)}))
        making = self._making
        self.manifest = Manifest(
            bundle_format=BUNDLE_FORMAT,
            journal_format=FORMAT,
            made_at=making.made_at,
            made_by=making.made_by,
            since=making.window.since,
            until=making.window.until,
            troubles=making.troubles,
            journals=tuple(journals),
        )
        text = self.manifest.model_dump_json(indent=2).encode() + b"\n"
        yield header(MANIFEST, len(text)) + text + padding(len(text)) + END

    def _described(self, folder: str, content: Content) -> BundledJournal:
        """Before its files are read: what is written meanwhile is there in addition."""
        window = self._making.window
        found = segments(content.directory)
        chosen = wanted(found, since=window.since, until=window.until)
        if self._is_checked:
            surveyed = survey(content.directory, since=window.since, until=window.until)
            configuration = configuration_in(chosen)
        else:
            surveyed, configuration = survey_of_starts(chosen), None
        if configuration is None and chosen:
            before = found[: found.index(chosen[0])]
            configuration = configuration_in(before) or content.configuration
        described = BundledJournal(
            member=surveyed.member,
            folder=folder,
            scope=surveyed.scope,
            system_identifier=surveyed.system_identifier,
            origin=content.origin,
            starts=tuple(map(bundled_start, surveyed.starts)),
            configuration=bundled_configuration(configuration),
            files=(),
        )
        if not self._is_checked:
            return described
        verdict = verify(
            content.directory,
            window=window,
            heard=lambda done: self._progress(f"checking {folder}", done, None),
        )
        return described.model_copy(update=_checked(verdict))

    def _journal(self, folder: str, directory: Path) -> Iterator[bytes]:
        paths = list(self._paths(directory))
        total = sum(path.stat().st_size for path in paths if path.exists())
        done: Bytes = 0
        for path in paths:
            self._progress(f"packing {folder}", done, total)
            with _open(path) as file:
                size = os.fstat(file.fileno()).st_size  # it may be growing
                yield from self._file(f"{folder}/{Path(file.name).name}", file, size)
            done += size

    def _file(self, name: str, file: BinaryIO, size: Bytes) -> Iterator[bytes]:
        yield header(name, size)
        digest = hashlib.sha256()
        left = size
        while left:
            chunk = file.read(min(left, CHUNK))
            if not chunk:
                raise OSError(f"{file.name} became shorter while it was read")
            digest.update(chunk)
            left -= len(chunk)
            yield chunk
        yield padding(size)
        self._files.append(BundledFile(name=name, size=size, sha256=digest.hexdigest()))

    def _paths(self, directory: Path) -> Iterator[Path]:
        window = self._making.window
        chosen = wanted(segments(directory), since=window.since, until=window.until)
        # What is held first, as in reading: if it is written meanwhile, we have both.
        if (directory / QUIET).is_file() and window.until is None:
            yield directory / QUIET
        for segment in chosen:
            if _is_readable(segment):
                yield segment.path
            if segment.pin.is_file():
                yield segment.pin


def _checked(verdict: Verdict) -> dict[str, object]:
    return {
        "first": verdict.first or None,
        "head": str(verdict.head) if verdict.records else None,
        "records": verdict.records,
        "is_whole": verdict.is_whole,
        "damages": tuple(map(str, verdict.damages)),
    }


def _is_readable(segment: Segment) -> bool:
    """What only has a segment's name is left out; the damages tell of it."""
    try:
        _open(segment.path).close()
    except OSError:
        return False
    return True


def _open(path: Path) -> BinaryIO:
    """The file; a segment may be compressed at this very moment."""
    try:
        return open_file(path)
    except FileNotFoundError:
        return open_file(path.with_name(f"{path.name}.gz"))
