"""Standbys that look connected and confirm nothing: to wait for them is to wait in vain.

A standby that hangs, or whose answers are lost, streams in PostgreSQL's eyes until
wal_sender_timeout, a minute by default; until then every commit waits for it.  A standby
that works confirms what it has flushed within milliseconds.

So one that is silent for `REPLACED_AFTER` gives its place to one that is not: that costs
nothing.  Where there is no other, it is let go after retry_timeout: then the leader
works alone, and nobody could take over from it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from regnal.messages.base import LSN, Instant, Seconds
from regnal.messages.postgres import PostgresStatus

REPLACED_AFTER: Seconds = 1.0
"""Of silence.  A disk that stalls for longer is better waited for by nobody."""


@dataclass(frozen=True, slots=True)
class Silence:
    """A standby that has not confirmed what there is to confirm."""

    name: str
    """In lower case."""

    flushed: LSN
    seen_at: Instant
    lasted: Seconds
    """How long it was seen to be so: while nobody looked, nothing is held against it."""


def silences(
    known: tuple[Silence, ...],
    status: PostgresStatus,
    now: Instant,
    longest_step: Seconds,
) -> tuple[Silence, ...]:
    """Of the standbys in this observation, given those of the one before.

    `longest_step`: what one pair of observations may count at most.
    """
    return tuple(_silences(known, status, now, longest_step))


def silent_names(known: tuple[Silence, ...], patience: Seconds) -> frozenset[str]:
    return frozenset(one.name for one in known if one.lasted >= patience)


def _silences(
    known: tuple[Silence, ...],
    status: PostgresStatus,
    now: Instant,
    longest_step: Seconds,
) -> Iterator[Silence]:
    before = {one.name: one for one in known}
    written = status.write_lsn
    for sender in status.senders:
        flushed, name = sender.flush_lsn, sender.application_name.lower()
        if flushed is None or written is None or flushed >= written:
            continue
        last = before.get(name)
        if last is None or last.flushed != flushed:
            yield Silence(name, flushed, now, 0.0)
        else:
            step = min(max(0.0, now - last.seen_at), longest_step)
            yield Silence(name, flushed, now, last.lasted + step)
