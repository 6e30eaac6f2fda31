"""What a bundle says of itself: `manifest.json`, the last file in it.

Format 2 tells what a reader of the journals wants to know before reading them: the
configuration in force at the end, versions, starts of the daemon.  Format 1 had the
files and their digests alone; it is read for ever.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from regnal.journal.survey import Configuration, Start
from regnal.messages.base import Bytes, MemberName

BUNDLE_FORMAT = 2

MANIFEST = "manifest.json"

MANIFEST_SIZE: Bytes = 16 * 1024**2
"""A hundred members, each with a hundred segments, take a few mebibytes."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class BundledFile(_Part):
    name: str
    """In the archive: number of the journal, a slash, name of the file."""

    size: Bytes
    sha256: str


class BundledStart(_Part):
    """A start of the member's daemon."""

    at: str
    incarnation: int
    boot: str
    versions: dict[str, str]


class BundledConfiguration(_Part):
    """In force at the end of what is bundled, secrets masked."""

    at: str
    document: dict[str, Any]


class BundledJournal(_Part):
    """One member's journal, as it was when it was bundled.  What nobody has looked at
    is None: a daemon that sends its journal does not check the chain first."""

    member: MemberName | None
    folder: str
    scope: str | None = None
    system_identifier: str | None = None
    origin: str | None = None
    """Where whoever made the bundle had it from."""

    first: int | None = None
    """Number of the first record."""

    head: str | None = None
    """`number:hash` of the last record: the proof that no end was cut off later."""

    records: int | None = None
    is_whole: bool | None = None
    damages: tuple[str, ...] = ()
    starts: tuple[BundledStart, ...] = ()
    configuration: BundledConfiguration | None = None
    files: tuple[BundledFile, ...]


class Manifest(_Part):
    """The whole bundle."""

    bundle_format: int
    journal_format: int
    made_at: str
    made_by: str
    since: str | None = None
    until: str | None = None
    """What was asked for: whole segments that overlap it are there.  None: no limit."""

    troubles: tuple[str, ...] = ()
    """What is not in it and why, such as members that could not be reached."""

    journals: tuple[BundledJournal, ...]


def bundled_start(start: Start) -> BundledStart:
    return BundledStart(
        at=start.at,
        incarnation=start.incarnation,
        boot=start.boot,
        versions=start.versions,
    )


def bundled_configuration(found: Configuration | None) -> BundledConfiguration | None:
    if found is None:
        return None
    return BundledConfiguration(at=found.at, document=found.document)
