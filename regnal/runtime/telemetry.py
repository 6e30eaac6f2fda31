"""Telemetry: the section `otel` as consumers of the journal, and as a clock that sends
what `GET /metrics` tells.

Nothing of OpenTelemetry's libraries is imported unless the configuration asks for it.
"""

import importlib
import importlib.util
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from regnal.bridges.metric import Measured
from regnal.bridges.otlp.options import OtlpOptions
from regnal.bridges.outgoing import NotSent, PartlyTaken
from regnal.events.cloud import Reporter
from regnal.events.log_line import LogLine
from regnal.events.spans.span import Span
from regnal.journal.log_lines import LogReader
from regnal.journal.outbox import Gap, Item
from regnal.journal.reader import Record
from regnal.journal.spans import SpanReader
from regnal.journal.stamps import Microseconds
from regnal.messages.base import Command, Instant, JsonText, MemberName, Seconds
from regnal.messages.envelope import Envelope, PartName
from regnal.runtime.outgoing_options import OtelSection
from regnal.runtime.trouble_log import Tally, TroubleLog

logger = logging.getLogger(__name__)

LIBRARIES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.common")
GRPC_LIBRARY = "grpc"
_EXPORTER = "regnal.bridges.otlp.exporter"

LONGEST_ASKED_FOR: Seconds = 300.0
"""Longer than that no collector may keep us waiting."""

STOP_WITHIN: Seconds = 1.0


class Exporter(Protocol):
    """A collector, as the bridges have it; what is packed is sent later."""

    def pack_spans(self, spans: Sequence[Span]) -> Any: ...

    def pack_logs(self, lines: Sequence[LogLine]) -> Any: ...

    def pack_metrics(
        self, whose: tuple[str, MemberName], measured: Sequence[Measured]
    ) -> Any: ...

    def send(self, batch: Any) -> int:
        """How many were taken.  Raises NotSent, PartlyTaken."""
        ...

    def close(self) -> None: ...


class NoExporter:
    """Stands for one that cannot be had here, and says why as often as it is asked."""

    def __init__(self, why: str) -> None:
        self._why = why

    def pack_spans(self, spans: Sequence[Span]) -> str:
        return self._why

    def pack_logs(self, lines: Sequence[LogLine]) -> str:
        return self._why

    def pack_metrics(
        self, whose: tuple[str, MemberName], measured: Sequence[Measured]
    ) -> str:
        return self._why

    def send(self, batch: Any) -> int:
        raise NotSent(self._why)

    def close(self) -> None:
        """Nothing is open."""


def exporter_to(options: OtlpOptions) -> Exporter:
    """Connects when something is sent."""
    wanted = (*LIBRARIES, GRPC_LIBRARY) if options.is_grpc else LIBRARIES
    missing = [name for name in wanted if not _is_there(name)]
    if missing:
        extra = "otel-grpc" if options.is_grpc else "otel"
        return NoExporter(
            f"the Python package of {missing[0]} is not installed: "
            f"pip install 'regnal[{extra}]'"
        )
    library: Any = importlib.import_module(_EXPORTER)
    exporter: Exporter = library.open_exporter(options)
    return exporter


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even its parent is
        return False


class SpansToCollector:
    """See `regnal.runtime.publisher.Consumer`."""

    name = "otlp-traces"
    linger: Seconds = 2.0
    """They are for later; a failover has the interpreter for itself."""

    def __init__(
        self,
        reporter: Reporter,
        clock: Callable[[], Instant],
        exporter: Exporter,
        sampling: float,
    ) -> None:
        """`clock`: that of instants.  `sampling`: the share of quiet life that is told;
        of incidents all is."""
        self._reporter = reporter
        self._clock = clock
        self._exporter = exporter
        self._sampling = sampling
        self._reader = SpanReader(reporter, share=sampling)

    @property
    def memory(self) -> JsonText | None:
        return self._reader.memory

    def remember(self, memory: JsonText | None) -> None:
        self._reader = SpanReader(self._reporter, memory, share=self._sampling)

    def understand(self, items: Sequence[Item]) -> Any:
        spans = [
            span
            for item in items
            if isinstance(item, Record)
            for span in self._reader.read(item)
        ]
        return self._packed(spans)

    def tick(self) -> Any:
        return self._packed(self._reader.tick(self._clock()))

    def send(self, parcel: Any) -> int:
        return 0 if parcel is None else self._exporter.send(parcel)

    def close(self) -> None:
        self._exporter.close()

    def _packed(self, spans: Sequence[Span]) -> Any:
        return self._exporter.pack_spans(spans) if spans else None


class LogsToCollector:
    """See `regnal.runtime.publisher.Consumer`."""

    name = "otlp-logs"
    linger: Seconds = 2.0

    def __init__(
        self,
        reporter: Reporter,
        wall: Callable[[], Microseconds],
        exporter: Exporter,
    ) -> None:
        self._reporter = reporter
        self._wall = wall
        self._exporter = exporter
        self._reader = LogReader(reporter)

    @property
    def memory(self) -> JsonText | None:
        return self._reader.memory

    def remember(self, memory: JsonText | None) -> None:
        self._reader = LogReader(self._reporter, memory)

    def understand(self, items: Sequence[Item]) -> Any:
        lines: list[LogLine] = []
        for item in items:
            if isinstance(item, Gap):
                lines.append(self._reader.gap(item.first, item.last, self._wall()))
            else:
                lines += self._reader.read(item)
        return self._exporter.pack_logs(lines) if lines else None

    def tick(self) -> None:
        """Lines are told at once."""

    def send(self, parcel: Any) -> int:
        return 0 if parcel is None else self._exporter.send(parcel)

    def close(self) -> None:
        self._exporter.close()


class MetricsToCollector:
    """Sends what `GET /metrics` tells, again and again.  See `bridges.contract.Bridge`.

    What was not taken is not sent again: the next measurement says the same of counters,
    and of everything else something newer.
    """

    name: PartName = "otlp-metrics"
    performs: tuple[type[Command], ...] = ()
    waiting = 0
    """It has no place in the journal."""

    def __init__(
        self,
        whose: tuple[str, MemberName],
        measure: Callable[[], Sequence[Measured]],
        exporter: Exporter,
        interval: Seconds,
    ) -> None:
        """`whose`: scope and member.  `measure`: from any thread."""
        self.tally = Tally()
        self._whose = whose
        self._measure = measure
        self._exporter = exporter
        self._interval = interval
        self._troubles = TroubleLog(self.name, self.tally, logger)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def perform(self, envelope: Envelope[Command]) -> None:
        raise AssertionError(envelope.message)

    def stop(self) -> None:
        self._stopping.set()
        self._exporter.close()
        self._thread.join(STOP_WITHIN)

    # In its own thread.

    def _run(self) -> None:
        wait = self._interval
        while not self._stopping.wait(wait):
            wait = max(self._interval, self._export())

    def _export(self) -> Seconds:
        """How long the collector does not want to hear of us."""
        then = "and measured again"
        try:
            batch = self._exporter.pack_metrics(self._whose, self._measure())
            count = self._exporter.send(batch)
        except NotSent as error:
            self._troubles.fail(str(error), then)
            return min(error.after, LONGEST_ASKED_FOR)
        except PartlyTaken as error:
            self._troubles.refuse(error)
        except Exception as error:  # the edge of a thread that has to go on
            self._troubles.fail(f"{type(error).__name__}: {error}", then)
            logger.debug("%s failed.", self.name, exc_info=error)
        else:
            self._troubles.succeed(count)
        return 0.0


def consumers_of(
    section: OtelSection,
    reporter: Reporter,
    wall: Callable[[], Microseconds],
    boot: Callable[[], Instant],
) -> Iterator[SpansToCollector | LogsToCollector]:
    """`wall` and `boot`: the clocks of this host.  Each has a connection of its own: one signal does not wait for the other."""
    if section.traces:
        exporter = exporter_to(section.client)
        yield SpansToCollector(reporter, boot, exporter, section.sampling)
    if section.logs:
        yield LogsToCollector(reporter, wall, exporter_to(section.client))


def metrics_to_collector(
    section: OtelSection,
    whose: tuple[str, MemberName],
    measure: Callable[[], Sequence[Measured]],
) -> MetricsToCollector:
    return MetricsToCollector(
        whose, measure, exporter_to(section.client), section.metrics_interval
    )
