"""The `history` key after a promotion (ELEC-23, ELEC-24; docs/contracts.md 2.4)."""

from regnal.messages.base import MemberName, Timeline, WallTime
from regnal.messages.cluster import HistoryLine

History = tuple[HistoryLine, ...]


def merged_history(
    lines: History,
    stored: History | None,
    *,
    timeline: Timeline,
    leader: MemberName,
    at: WallTime,
) -> History:
    """The new timeline's history; what was known of a switch before is kept.

    `timeline` began just now, at `at`, under `leader`.
    """
    known = {(line.timeline, line.lsn): line for line in stored or ()}
    return tuple(
        _with_stamp(line, known.get((line.timeline, line.lsn)), timeline, leader, at)
        for line in lines
    )


def shortened(lines: History, limit: int) -> History:
    """The newest `limit` lines; 0 or less: all."""
    return lines[-limit:] if limit > 0 else lines


def _with_stamp(
    line: HistoryLine,
    stored: HistoryLine | None,
    timeline: Timeline,
    leader: MemberName,
    at: WallTime,
) -> HistoryLine:
    if stored is not None and stored.at is not None:
        return line.model_copy(update={"at": stored.at, "leader": stored.leader})
    if line.timeline == timeline - 1:
        return line.model_copy(update={"at": at, "leader": leader})
    return line
