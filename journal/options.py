"""What an operator may choose of the journal."""

from dataclasses import dataclass

from regnal.messages.base import Bytes, Seconds

MEBIBYTE: Bytes = 1024 * 1024
DAY: Seconds = 86400.0


@dataclass(frozen=True, slots=True)
class JournalOptions:
    """Limits of the journal; the defaults suit a small cluster on one disk."""

    segment_bytes: Bytes = 64 * MEBIBYTE
    """A segment that has grown larger is sealed and a new one begun."""

    segment_age: Seconds = DAY
    """A segment older than this is sealed, however small."""

    keep_bytes: Bytes = 1024 * MEBIBYTE
    """Oldest sealed segments are removed until the rest fits; pinned ones stay."""

    keep_age: Seconds = 30 * DAY
    """Sealed segments older than this are removed; pinned ones stay."""

    keep_pinned_age: Seconds = 365 * DAY
    """Very old: even a pin does not keep a segment longer."""

    patience: Seconds = 0.5
    """How long anybody waits for the disk before going on without it."""

    buffer_bytes: Bytes = 8 * MEBIBYTE
    """Records kept in memory while the disk does not take them; then they are
    counted and lost."""

    coalesce_seconds: Seconds = 3600.0
    """Held heartbeats are written at least this often."""

    quiet_bytes: Bytes = 128 * 1024
    """So much is held in a quiet stretch before anything is left out: some ten
    heartbeats, about as much as the states of all actors, which then are written."""

    retry_seconds: Seconds = 1.0
    """How often a disk that refused is tried again."""
