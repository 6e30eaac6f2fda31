"""What `GET /metrics` tells of publishers."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

from regnal.runtime.publisher import Publisher


class _Family(NamedTuple):
    name: str
    type: Literal["gauge", "counter"]
    help: str


_UP = _Family(
    "regnal_outbox_up", "gauge", "Value is 1 if what is published is taken, else 0."
)
_WAITING = _Family(
    "regnal_outbox_waiting_records",
    "gauge",
    "Records of the journal that wait to be published.",
)
_SENT = _Family("regnal_outbox_sent_total", "counter", "Messages that were published.")
_FAILURES = _Family(
    "regnal_outbox_failures_total", "counter", "Attempts to publish that failed."
)
_LOST = _Family(
    "regnal_outbox_lost_records_total",
    "counter",
    "Records that were removed before they could be published.",
)


def exposition(labels: str, publishers: Sequence[Publisher[Any]]) -> str:
    """In Prometheus' text format; `labels` as they stand between the braces."""
    if not publishers:
        return ""
    values = {
        _UP: [int(one.tally.trouble is None) for one in publishers],
        _WAITING: [one.waiting for one in publishers],
        _SENT: [one.tally.sent for one in publishers],
        _FAILURES: [one.tally.failures for one in publishers],
        _LOST: [one.tally.lost_records for one in publishers],
    }
    names = [one.name for one in publishers]
    return "".join(
        line
        for family, numbers in values.items()
        for line in _lines(family, labels, zip(names, numbers, strict=True))
    )


def _lines(
    family: _Family, labels: str, numbers: Iterable[tuple[str, int]]
) -> Iterable[str]:
    yield f"# HELP {family.name} {family.help}\n"
    yield f"# TYPE {family.name} {family.type}\n"
    for name, number in numbers:
        yield f'{family.name}{{{labels},consumer="{name}"}} {number}\n'
