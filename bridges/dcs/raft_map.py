"""The replicated map of the embedded Raft: what every node applies, in one order.

Path to entry; changed only by `transact`, whose arguments are plain lists and texts,
since they travel pickled and stay in journals.  Pure and deterministic, but for the
local times at which this node saw leases prolonged: they are no part of the state.

How leases end.  Wall clocks of hosts differ, so no wall time is compared.  Each node
remembers by its own clock when it applied the last prolongation of each lease.  The
Raft leader, when `ttl` has passed since then, proposes to delete the entry if its
`lease` number is still the one seen.  An owner asked for the prolongation before
anybody could apply it, so the entry never ends before `asked at + ttl` of its owner;
and a prolongation that comes first in the log changes the number and wins.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

from regnal.messages.base import Instant, Seconds

Condition: TypeAlias = tuple[str, str, Any]
"""(path, test, operand): see `_holds`."""

Change: TypeAlias = tuple[Any, ...]
"""("set", path, value, ttl, owner) or ("delete", path) or ("delete_below", prefix)."""

EntryFacts: TypeAlias = tuple[str, int, str]
"""(value, index, owner), as answers carry it."""

Answer: TypeAlias = tuple[bool, dict[str, EntryFacts | None]]
"""Whether the conditions held, and how the paths concerned are afterwards."""


@dataclass(frozen=True, slots=True)
class Entry:
    value: str
    created: float
    """Seconds since 1970 by the clock of whoever wrote it: for people only."""

    updated: float
    ttl: Seconds | None
    """None: permanent."""

    index: int
    """Revision at which value or owner last changed."""

    owner: str
    """Who wrote it: a member, or one run of its daemon."""

    lease: int
    """Revision at which it was last prolonged."""


class RaftMap:
    """The state machine."""

    def __init__(
        self, clock: Callable[[], Instant], on_change: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._on_change = on_change
        self._revision = 0
        self._entries: dict[str, Entry] = {}
        self._prolonged_at: dict[str, Instant] = {}

    @property
    def entries(self) -> dict[str, Entry]:
        """As applied here; the caller must not change it."""
        return self._entries

    def transact(
        self,
        conditions: Iterable[Condition],
        changes: Iterable[Change],
        wrote_at: float,
    ) -> Answer:
        """If all conditions hold, make all changes."""
        paths: list[str] = [condition[0] for condition in conditions]
        holds = all(self._holds(*condition) for condition in conditions)
        if holds:
            before = self._entries
            # Readers of other threads hold on to the dictionary that they have.
            self._entries = dict(before)
            self._revision += 1
            for change in changes:
                paths.append(change[1])
                self._make(change, wrote_at)
            if _visible(before) != _visible(self._entries):
                self._on_change()
        return holds, {path: _facts(self._entries.get(path)) for path in paths}

    def ended_leases(self) -> tuple[tuple[str, int], ...]:
        """Path and lease number of what should end, by this node's clock."""
        now = self._clock()
        return tuple(
            (path, self._entries[path].lease)
            for path, at in self._prolonged_at.items()
            if now >= at + (self._entries[path].ttl or 0)
        )

    def dump(self) -> dict[str, Any]:
        entries = {path: asdict(entry) for path, entry in self._entries.items()}
        return {"revision": self._revision, "entries": entries}

    def load(self, dumped: dict[str, Any]) -> None:
        before = self._entries
        self._revision = dumped["revision"]
        self._entries = {
            path: Entry(**entry) for path, entry in dumped["entries"].items()
        }
        now = self._clock()
        self._prolonged_at = {
            path: self._prolonged_at.get(path, now)
            if path in before and before[path].lease == entry.lease
            else now
            for path, entry in self._entries.items()
            if entry.ttl is not None
        }
        self._on_change()

    def _holds(self, path: str, test: str, operand: Any) -> bool:
        entry = self._entries.get(path)
        match test:
            case "absent":
                return entry is None
            case "value":
                return entry is not None and entry.value == operand
            case "value_or_absent":
                return entry is None or entry.value == operand
            case "index":
                return entry is not None and entry.index == operand
            case "owner":
                return entry is not None and entry.owner == operand
            case "lease":
                return entry is not None and entry.lease == operand
            case _:
                # A test that only newer nodes know: no.
                return False

    def _make(self, change: Change, wrote_at: float) -> None:
        match change:
            case ("set", str() as path, str() as value, ttl, str() as owner):
                seconds = None if ttl is None else float(ttl)
                self._set(path, value, seconds, owner, wrote_at)
            case ("delete", str() as path):
                self._entries.pop(path, None)
                self._prolonged_at.pop(path, None)
            case ("delete_below", str() as prefix):
                for path in [key for key in self._entries if key.startswith(prefix)]:
                    self._entries.pop(path)
                    self._prolonged_at.pop(path, None)
            case _:
                pass  # what only newer nodes know

    def _set(
        self, path: str, value: str, ttl: Seconds | None, owner: str, wrote_at: float
    ) -> None:
        old = self._entries.get(path)
        revision = self._revision
        if old is not None and (old.value, old.owner) == (value, owner):
            entry = replace(old, ttl=ttl, lease=revision, updated=wrote_at)
        else:
            created = wrote_at if old is None else old.created
            entry = Entry(value, created, wrote_at, ttl, revision, owner, revision)
        self._entries[path] = entry
        if ttl is None:
            self._prolonged_at.pop(path, None)
        else:
            self._prolonged_at[path] = self._clock()


def _visible(entries: dict[str, Entry]) -> dict[str, int]:
    return {path: entry.index for path, entry in entries.items()}


def _facts(entry: Entry | None) -> EntryFacts | None:
    return None if entry is None else (entry.value, entry.index, entry.owner)
