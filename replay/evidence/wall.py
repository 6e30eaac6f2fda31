"""Wall clock times of records as seconds since 1970."""

from datetime import UTC, datetime

from regnal.messages.base import Seconds


def wall_seconds(text: str) -> Seconds:
    """Of `2026-11-23T07:31:02.114901Z`; 0 where that cannot be read."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def clock_text(seconds: Seconds, *, with_date: bool = False) -> str:
    """`07:31:02.115`, in UTC."""
    form = "%Y-%m-%d %H:%M:%S.%f" if with_date else "%H:%M:%S.%f"
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime(form)[:-3]
    except (ValueError, OverflowError, OSError):
        return "?"
