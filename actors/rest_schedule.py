"""Moments that a person names for later (docs/contracts.md 4.10)."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from dateutil import parser, tz

from regnal.messages.base import WallTime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Schedule(NamedTuple):
    at: WallTime
    """ISO 8601 with zone."""

    due_us: int
    """Microseconds since 1970."""


class BadSchedule(Exception):
    """The moment cannot be used: answer with this status and text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def parse_schedule(text: str, action: str, now_us: int) -> Schedule:
    """The moment in `text`, which must be in the future.  Raises BadSchedule.

    Nothing of this host enters it (its zone, its idea of today), so that a replay
    elsewhere finds the same.
    """
    now = _EPOCH + now_us * _MICROSECOND
    midnight = now.replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
    try:
        moment = parser.parse(text, default=midnight, tzinfos=_zone)
        aware = moment.utcoffset() is not None
        due_us = (moment - _EPOCH) // _MICROSECOND if aware else 0
    except (ValueError, OverflowError, TypeError, AttributeError) as error:
        # dateutil raises the latter two on some texts that nobody would write.
        raise BadSchedule(
            422,
            "Unable to parse scheduled timestamp. It should be in an unambiguous "
            "format, e.g. ISO 8601",
        ) from error
    if not aware:
        raise BadSchedule(
            400, f"Timezone information is mandatory for the scheduled {action}"
        )
    if due_us <= now_us:
        raise BadSchedule(422, f"Cannot schedule {action} in the past")
    return Schedule(moment.isoformat(), due_us)


def _zone(name: str | None, offset: int | None) -> tzinfo | None:
    """Offsets count, and of the names only those that mean the same everywhere."""
    if offset is not None:
        return tz.tzoffset(None, offset)
    return UTC if name is not None and name.upper() in ("UTC", "GMT", "Z") else None
