"""Stamps as text: pure functions of the microseconds that an envelope carries."""

from datetime import UTC, datetime

from regnal.messages.base import WallTime
from regnal.messages.envelope import HybridTime

_MICRO = 1_000_000


def iso_text(wall_us: int) -> WallTime:
    """ISO 8601 with zone, as the `history` key has it (docs/contracts.md 2.4)."""
    return _moment(wall_us).isoformat(timespec="microseconds")


def hlc_text(stamp: HybridTime) -> str:
    """`2026-11-23T07:31:02.114901Z+3/pg2`, as in the journal."""
    wall = _moment(stamp.wall_us).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return f"{wall}Z+{stamp.logical}/{stamp.member}"


def _moment(wall_us: int) -> datetime:
    seconds, micro = divmod(wall_us, _MICRO)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micro)
