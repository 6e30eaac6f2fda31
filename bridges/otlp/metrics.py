"""Metrics as OTLP has them: those of `GET /metrics`, under the same names."""

from collections.abc import Callable, Mapping, Sequence

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)

from regnal.bridges.metric import Measured, Sample
from regnal.bridges.otlp.batch import Batch, plain_values
from regnal.bridges.otlp.resources import Resources
from regnal.events.spans.span import UnixNanos
from regnal.messages.base import MemberName


class Meter:
    """Makes requests of what was measured; remembers since when each counter counts."""

    def __init__(
        self,
        whose: tuple[str, MemberName],
        resources: Resources,
        wall: Callable[[], UnixNanos],
    ) -> None:
        """`whose`: scope and member."""
        self._scope, self._member = whose
        self._resources = resources
        self._wall = wall
        self._counters: dict[tuple[str, tuple[str, ...]], tuple[UnixNanos, float]] = {}
        """By name and labels: since when, and how far."""

        self._began = wall()

    def batch(self, measured: Sequence[Measured]) -> Batch:
        # Dashboards tell members apart by these labels, not by the resource.
        labels = {"scope": self._scope, "name": self._member}
        now = self._wall()
        metrics = [self._metric(one, labels, now) for one in measured]
        data = MetricsData(
            [
                ResourceMetrics(
                    self._resources.of(self._scope, self._member),
                    [ScopeMetrics(self._resources.library, metrics, "")],
                    "",
                )
            ]
        )
        count = sum(len(one.samples) for one in measured)
        return Batch("metrics", encode_metrics(data).SerializeToString(), count)

    def _metric(
        self, one: Measured, labels: Mapping[str, str], now: UnixNanos
    ) -> Metric:
        is_counter = one.metric.type == "counter"
        points = [
            NumberDataPoint(
                plain_values({**labels, **sample.labels}),
                self._since(one.metric.name, sample, now) if is_counter else 0,
                now,
                float(sample.value),
            )
            for sample in one.samples
        ]
        data: Sum | Gauge = Gauge(points)
        if is_counter:
            data = Sum(points, AggregationTemporality.CUMULATIVE, is_monotonic=True)
        return Metric(one.metric.name, one.metric.help, "", data)

    def _since(self, name: str, sample: Sample, now: UnixNanos) -> UnixNanos:
        """When the counter began; one that has fallen (a position in the WAL of a
        former primary) has begun anew."""
        value = float(sample.value)
        key = (name, tuple(sample.labels.values()))
        since, reached = self._counters.get(key, (self._began, value))
        if value < reached:
            since = now
        self._counters[key] = (since, value)
        return since
