"""The journals of several members as one, in causal order.

The order is that of the hybrid clocks: what a member could know of is earlier,
however wrong the wall clocks of the hosts are.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regnal.journal.chain_check import Damage
from regnal.journal.reader import Record, scan
from regnal.journal.stamps import parse_hlc
from regnal.messages.base import MemberName
from regnal.messages.envelope import HybridTime


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of one member's journal."""

    hlc: HybridTime
    kind: str
    fields: dict[str, Any]

    @property
    def member(self) -> MemberName:
        return self.hlc.member

    @property
    def seconds(self) -> float:
        """Since 1970, by the hybrid clock."""
        return self.hlc.wall_us / 1e6

    @property
    def type(self) -> str:
        """Of a message; empty for other records."""
        return str(self.fields.get("type", ""))

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.fields.get("data", {})
        return data

    @property
    def rule(self) -> str | None:
        rule: str | None = self.fields.get("rule")
        return rule


def merged(directories: Sequence[Path], troubles: list[str]) -> Iterator[Entry]:
    """All messages and steps in order.  What cannot be read is added to
    `troubles`, and the rest is used."""
    streams = [_entries(directory, troubles) for directory in directories]
    return heapq.merge(*streams, key=lambda entry: entry.hlc)


def _entries(directory: Path, troubles: list[str]) -> Iterable[Entry]:
    for item in scan(directory, with_held=True):
        if isinstance(item, Damage):
            troubles.append(f"{directory}: {item}")
        elif item.kind in ("message", "step"):
            entry = _entry(item, directory, troubles)
            if entry is not None:
                yield entry


def _entry(record: Record, directory: Path, troubles: list[str]) -> Entry | None:
    try:
        return Entry(parse_hlc(record.fields["hlc"]), record.kind, record.fields)
    except (KeyError, ValueError) as error:
        troubles.append(f"{directory}: record {record.n}: {error}")
        return None
