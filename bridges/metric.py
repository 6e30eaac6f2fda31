"""A metric, and what was measured, before anybody writes it down."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple


class Metric(NamedTuple):
    """Its name is a promise: dashboards and alerts have it."""

    name: str
    type: Literal["gauge", "counter"]
    help: str


@dataclass(frozen=True, slots=True)
class Sample:
    value: float | str
    """A text: a number that is to be shown as it stands there."""

    labels: Mapping[str, str] = field(default_factory=dict)
    """Beside those that all metrics of the member have."""


@dataclass(frozen=True, slots=True)
class Measured:
    metric: Metric
    samples: Sequence[Sample]


def exposition(labels: Mapping[str, str], measured: Iterable[Measured]) -> str:
    """In Prometheus' text format; `labels`: what tells the metrics of members apart."""
    lines: list[str] = []
    for one in measured:
        name, kind, text = one.metric
        lines += (f"# HELP {name} {text}", f"# TYPE {name} {kind}")
        for sample in one.samples:
            shown = ",".join(
                f'{key}="{_escape(value)}"'
                for key, value in {**labels, **sample.labels}.items()
            )
            lines.append(f"{name}{{{shown}}} {sample.value}")
    return "".join(f"{line}\n" for line in lines)


def _escape(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
