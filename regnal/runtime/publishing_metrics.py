"""What `GET /metrics` tells of publishers."""

from collections.abc import Mapping, Sequence

from regnal.bridges.metric import Measured, Metric, Sample
from regnal.runtime.publisher import Publishing

_UP = Metric(
    "regnal_outbox_up", "gauge", "Value is 1 if what is published is taken, else 0."
)
_WAITING = Metric(
    "regnal_outbox_waiting_records",
    "gauge",
    "Records of the journal that wait to be published.",
)
_SENT = Metric("regnal_outbox_sent_total", "counter", "Messages that were published.")
_FAILURES = Metric(
    "regnal_outbox_failures_total", "counter", "Attempts to publish that failed."
)
_REFUSED = Metric(
    "regnal_outbox_refused_total",
    "counter",
    "Messages that whoever receives them refused for good.",
)
_LOST = Metric(
    "regnal_outbox_lost_records_total",
    "counter",
    "Records that were removed before they could be published.",
)


def measured(publishers: Sequence[Publishing]) -> Sequence[Measured]:
    """Of each consumer; none where there are none."""
    if not publishers:
        return ()
    values: Mapping[Metric, Sequence[int]] = {
        _UP: [int(one.tally.trouble is None) for one in publishers],
        _WAITING: [one.waiting for one in publishers],
        _SENT: [one.tally.sent for one in publishers],
        _FAILURES: [one.tally.failures for one in publishers],
        _REFUSED: [one.tally.refused for one in publishers],
        _LOST: [one.tally.lost_records for one in publishers],
    }
    names = [one.name for one in publishers]
    return [
        Measured(
            metric,
            [
                Sample(number, {"consumer": name})
                for name, number in zip(names, numbers, strict=True)
            ],
        )
        for metric, numbers in values.items()
    ]
