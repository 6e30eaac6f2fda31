"""Traces from the journals of a cluster: the spans of all members, on one time line.

    found = traces_of(case)
    trace = find(found, "latest")

The spans are made as they are when the daemon exports them; only their times are better:
those of hosts whose clocks differ are brought together, as far as the journals tell how.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from regnal.events.cloud import Reporter
from regnal.events.spans import naming
from regnal.events.spans.loom import Clock
from regnal.events.spans.span import Span, TraceId, UnixNanos
from regnal.events.tracing import TraceName
from regnal.journal.progress import Progress, unheard
from regnal.journal.reader import EVERYTHING, Record, scan
from regnal.journal.spans import SpanReader
from regnal.messages.base import Instant, MemberName
from regnal.replay.case import Case, Journal
from regnal.replay.counting import counting
from regnal.replay.evidence.alignment import aligned
from regnal.replay.evidence.track import When
from regnal.replay.evidence.tracking import track_of

LATEST = "latest"

SERIOUS = frozenset(
    {
        "failover",
        "failover averted",
        "postgres crash",
        "fencing",
        "dcs outage",
        "stall",
        "actor failure",
    }
)
"""Roots of what nobody had wanted."""


class NoSuchTrace(Exception):
    """The text says which there are."""


class Trace(NamedTuple):
    """All that is told of one incident."""

    id: TraceId
    name: TraceName
    """Of the incident."""

    spans: tuple[Span, ...]
    """By their beginning."""

    @property
    def root(self) -> Span | None:
        """None: who tells it has no journal here."""
        return next((span for span in self.spans if span.parent is None), None)

    @property
    def title(self) -> str:
        """What its root is called, or as much as is known."""
        return "?" if self.root is None else self.root.name

    @property
    def members(self) -> tuple[MemberName, ...]:
        return tuple(sorted({span.member for span in self.spans}))

    @property
    def start(self) -> UnixNanos:
        return self.spans[0].start

    @property
    def end(self) -> UnixNanos:
        return max(span.end for span in self.spans)


def spans_of(
    case: Case, *, share: float = 0.0, progress: Progress = unheard
) -> Iterator[Span]:
    """Of all journals, one member after the other.  `share`: see `Weaver`.

    Raises OSError.
    """
    clock = _clock_of(case.journals, progress) if len(case.journals) > 1 else None
    for journal in case.journals:
        reader = SpanReader(
            Reporter(journal.scope, journal.member), share=share, clock=clock
        )
        for item in scan(journal.directory):
            if isinstance(item, Record):
                yield from reader.read(item)
        yield from reader.finish()


def traces_of(spans: Iterable[Span]) -> tuple[Trace, ...]:
    """By their beginning; of spans with one id the first counts."""
    known: dict[TraceId, dict[str, Span]] = defaultdict(dict)
    for span in spans:
        known[span.trace].setdefault(span.span, span)
    found = [
        Trace(
            id=id_,
            name=_name(by_id.values()),
            spans=tuple(sorted(by_id.values(), key=lambda one: (one.start, -one.end))),
        )
        for id_, by_id in known.items()
    ]
    return tuple(sorted(found, key=lambda trace: (trace.start, trace.id)))


def find(traces: Sequence[Trace], wanted: str) -> Trace:
    """`latest`, `latest~2` (before), the name of an incident, a trace id, or a number of
    the list, from 1.

    The latest is the latest that nobody had wanted, or if there is none the latest of
    all.  Raises NoSuchTrace.
    """
    if not traces:
        raise NoSuchTrace("there is nothing in these journals that would be a trace")
    name, tilde, back = wanted.partition("~")
    if name == LATEST:
        steps = int(back) if tilde and back.isdecimal() else 0
        worth = [one for one in traces if one.title in SERIOUS] or list(traces)
        if steps >= len(worth):
            raise NoSuchTrace(
                f"there are only {len(worth)} traces that are worth telling; "
                "`regnal trace export --list` shows all"
            )
        return worth[-1 - steps]
    if wanted.isdecimal() and 0 < int(wanted) <= len(traces):
        return traces[int(wanted) - 1]
    for trace in traces:
        if wanted in (trace.name, trace.id):
            return trace
    raise NoSuchTrace(
        f"there is no trace {wanted!r}; `regnal trace export --list` shows all"
    )


def _name(spans: Iterable[Span]) -> TraceName:
    for span in spans:
        name = span.attributes.get(naming.INCIDENT)
        if isinstance(name, str):
            return name
    return "?"


def _clock_of(journals: Sequence[Journal], progress: Progress) -> Clock:
    clocks = aligned(
        track_of(
            journal.directory,
            EVERYTHING,
            counting(progress, f"reading {journal.member}", journal.directory),
        )
        for journal in journals
    )

    def moment(boot: str, at: Instant) -> UnixNanos:
        return round(clocks.moment(When(boot, at)) * 1e9)

    return moment
