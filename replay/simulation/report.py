"""What a campaign showed: how often and how long writes stopped, and what broke."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from regnal.messages.base import Seconds
from regnal.replay.simulation.campaign import Episode
from regnal.replay.simulation.life import Outage
from regnal.replay.simulation.profiles import HOUR

STEPS: tuple[Seconds, ...] = (1, 2, 5, 10, 20, 30, 45, 60, 120, 300)
"""Bounds of the rows of the distribution."""

_BAR = 24
"""Characters."""

Style = Callable[[str, str], str]


class Row(NamedTuple):
    """Outages of a length between two steps."""

    least: Seconds
    most: Seconds
    """Infinity: no bound."""

    times: int
    total: Seconds


class ByFault(NamedTuple):
    """What faults of one kind did."""

    kind: str
    times: int
    outages: int
    median: Seconds
    worst: Seconds


@dataclass(frozen=True)
class Report:
    hours: float
    """Of the campaign; 0: one life, that has no rates."""

    episodes: tuple[Episode, ...]

    @property
    def faults(self) -> int:
        return sum(len(episode.life.schedule) for episode in self.episodes)

    @property
    def played(self) -> Seconds:
        return sum(episode.lived.played for episode in self.episodes)

    @property
    def outages(self) -> list[Outage]:
        return [o for episode in self.episodes for o in episode.lived.outages]

    @property
    def broken(self) -> list[Episode]:
        return [episode for episode in self.episodes if episode.lived.is_broken]

    @property
    def stranded(self) -> int:
        return sum(len(episode.lived.stranded) for episode in self.episodes)

    @property
    def acknowledged(self) -> int:
        return sum(episode.lived.acknowledged for episode in self.episodes)

    @property
    def lost(self) -> int:
        return sum(episode.lived.lost for episode in self.episodes)

    @property
    def worst(self) -> tuple[Episode, Outage] | None:
        """The longest outage; None: writes never stopped."""
        every = [(e, o) for e in self.episodes for o in e.lived.outages]
        return max(every, key=lambda one: one[1].duration, default=None)

    def distribution(self) -> list[Row]:
        """From the shortest that occurred to the longest."""
        durations = [outage.duration for outage in self.outages]
        bounds = zip(STEPS, (*STEPS[1:], math.inf), strict=True)
        rows = [_row(least, most, durations) for least, most in bounds]
        filled = [number for number, row in enumerate(rows) if row.times]
        return rows[filled[0] : filled[-1] + 1] if filled else []

    def by_fault(self) -> list[ByFault]:
        """The kinds that stopped writes most often first."""
        counts = Counter(f.kind for e in self.episodes for f in e.life.schedule)
        durations: dict[str, list[Seconds]] = {kind: [] for kind in counts}
        for outage in self.outages:
            kind = outage.after.partition(" ")[0]
            durations.setdefault(kind, []).append(outage.duration)
        rows = [
            ByFault(kind, counts[kind], len(d), quantile(d, 0.5), max(d, default=0.0))
            for kind, d in durations.items()
        ]
        return sorted(rows, key=lambda row: (-row.outages, row.kind))

    def as_json(self) -> dict[str, Any]:
        durations = [outage.duration for outage in self.outages]
        return {
            "hours": self.hours,
            "hours_played": round(self.played / HOUR, 3),
            "episodes": len(self.episodes),
            "faults": self.faults,
            "outages": len(durations),
            "outage_seconds": round(sum(durations), 1),
            "writable": _writable(durations, self.hours) if self.hours else None,
            "quantiles": {str(q): quantile(durations, q) for q in (0.5, 0.9, 0.99, 1)},
            "distribution": [
                {
                    "at_least": row.least,
                    "less_than": None if math.isinf(row.most) else row.most,
                    "count": row.times,
                    "seconds": round(row.total, 1),
                }
                for row in self.distribution()
            ],
            "by_fault": [
                {
                    "fault": row.kind,
                    "count": row.times,
                    "outages": row.outages,
                    "median": row.median,
                    "worst": row.worst,
                }
                for row in self.by_fault()
            ],
            "acknowledged_rows": self.acknowledged,
            "lost_rows": self.lost,
            "stranded": self.stranded,
            "worst": _as_json(self.worst),
            "broken": [
                {
                    "what": e.lived.broken,
                    "why": e.lived.why,
                    "seed": e.life.seed,
                    "faults": [str(fault) for fault in e.life.schedule],
                }
                for e in self.broken
            ],
        }


def report_text(report: Report, style: Style) -> str:
    lines = [_heading(report), ""]
    durations = [outage.duration for outage in report.outages]
    if durations:
        lines += [style(_sum(report, durations), "heading"), ""]
        lines += _distribution_lines(report.distribution())
        lines += ["", _quantiles(durations)]
    else:
        lines.append(style("Writes never stopped for a second or longer.", "good"))
    lines += ["", *_fault_lines(report.by_fault())]
    lines += ["", *_losses(report, style)]
    return "\n".join(lines)


def _heading(report: Report) -> str:
    faults = _counted(report.faults, "fault")
    if not report.hours:
        return f"One life of {report.played:.0f} s, with {faults}"
    return (
        f"{report.hours:g} hours of the cluster, {faults} in "
        f"{_counted(len(report.episodes), 'episode')} ({report.played / HOUR:.1f} h played)"
    )


def _sum(report: Report, durations: Sequence[Seconds]) -> str:
    times, seconds = _counted(len(durations), "time"), sum(durations)
    if not report.hours:
        return f"Writes stopped {times}, {seconds:.0f} s in all."
    per_1000 = len(durations) * 1000 / report.hours
    return (
        f"Writes stopped {times} ({per_1000:.1f} in 1000 hours), {seconds:.0f} s "
        f"in all; writable {_writable(durations, report.hours):.4%} of the time."
    )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _quantiles(durations: Sequence[Seconds]) -> str:
    named = (("median", 0.5), ("90 %", 0.9), ("99 %", 0.99), ("longest", 1))
    return "  ".join(f"{name} {quantile(durations, q):.1f} s" for name, q in named)


def quantile(values: Sequence[float], q: float) -> float:
    """The smallest value that a share `q` of them does not exceed; 0 of none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, math.ceil(q * len(ordered)) - 1)], 3)


def _row(least: Seconds, most: Seconds, durations: Sequence[Seconds]) -> Row:
    within = [d for d in durations if least <= d < most]
    return Row(least, most, len(within), sum(within))


def _distribution_lines(rows: Sequence[Row]) -> list[str]:
    highest = max(row.times for row in rows)
    lines = [f"{'outage':>12}  {'times':>6}  {'seconds':>8}"]
    for row in rows:
        if math.isinf(row.most):
            span = f"{row.least:g} s or more"
        else:
            span = f"{row.least:g} to {row.most:g} s"
        bar = "#" * math.ceil(_BAR * row.times / highest)
        line = f"{span:>12}  {row.times:6}  {row.total:8.0f}  {bar}"
        lines.append(line.rstrip())
    return lines


def _fault_lines(rows: Sequence[ByFault]) -> list[str]:
    if not rows:
        return ["There was no fault: more hours, or another profile, show something."]
    width = max(len("after"), *(len(row.kind) for row in rows))
    stopped, times = "stopped writes", f"{'median':>8}  {'longest':>8}"
    lines = [f"{'after':{width}}  {'faults':>6}  {stopped}  {times}"]
    for row in rows:
        median = f"{row.median:.1f} s" if row.outages else "-"
        worst = f"{row.worst:.1f} s" if row.outages else "-"
        lines.append(
            f"{row.kind or 'no fault':{width}}  {row.times:6}  {row.outages:14}  "
            f"{median:>8}  {worst:>8}"
        )
    return lines


def _losses(report: Report, style: Style) -> list[str]:
    lines = []
    if report.lost:
        lines.append(
            f"{report.lost} of {report.acknowledged} acknowledged rows were lost: "
            "asynchronous replication allows it (synchronous_mode does not)."
        )
    else:
        lines.append(f"None of {report.acknowledged} acknowledged rows was lost.")
    if report.stranded:
        lines.append(
            f"{_counted(report.stranded, 'time')} a member waited for a person at the end: its data "
            "had diverged, and may be neither rewound nor removed."
        )
    if report.broken:
        text = f"{_counted(len(report.broken), 'episode')} went wrong."
        lines.append(style(text, "bad"))
    else:
        lines.append(style("No safety law broke; all episodes came to rest.", "good"))
    return lines


def _writable(durations: Sequence[Seconds], hours: float) -> float:
    """Share of the time in which writes were acknowledged."""
    return 1 - sum(durations) / (hours * HOUR)


def _as_json(worst: tuple[Episode, Outage] | None) -> dict[str, Any] | None:
    if worst is None:
        return None
    episode, outage = worst
    return {
        "seconds": round(outage.duration, 3),
        "began": round(outage.began, 3),
        "after": outage.after,
        "seed": episode.life.seed,
        "faults": [str(fault) for fault in episode.life.schedule],
    }
