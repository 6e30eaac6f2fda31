"""Moments, as people give them: `2026-11-23T07:31`, `07:31:02`, `10m` (ago)."""

import re
from datetime import UTC, datetime, timedelta

from regnal.journal.stamps import Microseconds, wall_text

_AGO = re.compile(r"(\d{1,9})\s*(ms|s|m|min|h|d)")

_UNITS: dict[str, timedelta] = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


def parse_moment(text: str, now: Microseconds) -> str:
    """The moment as `wall_text` writes it, to be compared with records.

    ISO 8601, UTC where no zone is given, as records are shown; a time alone is
    today's; a span (`90s`, `10m`, `2h`, `1d`) is before `now`.  Raises ValueError.
    """
    today = datetime.fromtimestamp(now / 1_000_000, UTC)
    stripped = text.strip()
    try:
        if ago := _AGO.fullmatch(stripped):
            moment = today - int(ago[1]) * _UNITS[ago[2]]
        elif re.fullmatch(r"\d{1,2}:\d{2}.*", stripped):
            clock = stripped if stripped[2] == ":" else f"0{stripped}"
            moment = datetime.fromisoformat(f"{today:%Y-%m-%d}T{clock}")
        else:
            moment = datetime.fromisoformat(stripped)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return wall_text(round(moment.timestamp() * 1_000_000))
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text[:100]!r} is not a moment; "
            "give one such as 2026-11-23T07:31:02Z, 07:31, 90s, 10m, 2h or 1d"
        ) from None
