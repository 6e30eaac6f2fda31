"""A track: what one member's journal shows of it over time, in little room.

A journal may have gigabytes; its track has the lives of the daemon, a few *lanes*
(states with the moments at which they changed), and *marks* (things that happened).
All moments are instants of the host's boot clock, with the boot that they belong to,
until `alignment` knows how the clocks of the hosts lie to one another.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from regnal.messages.base import LSN, Instant, MemberName, Seconds

Boot: TypeAlias = str
"""Of a host, by the kernel's id: instants compare only within one."""

LaneName = Literal[
    "daemon",
    "phase",
    "postgres",
    "replication",
    "lease",
    "store",
    "leader",
    "paused",
]
"""daemon: running, absent.  phase: of the supervisor's state machine.  postgres:
absent, starting, primary, standby, stopping, unknown.  replication: streaming,
ended, none.  lease: held, none, lost.  store: reachable, unreachable.  leader: the
holder of the key as seen from here, or nobody.  paused: paused, automatic."""


class When(NamedTuple):
    """A moment on the clock of one boot of one host."""

    boot: Boot
    at: Instant


class Change(NamedTuple):
    """From this moment on a lane is in this state."""

    when: When
    state: str
    record: int
    """Number of the record that shows it."""


class Mark(NamedTuple):
    """Something that happened."""

    when: When
    what: str
    """The type of a message, or `actor/rule` of a step."""

    data: dict[str, Any]
    """Of the message, or the facts of the step."""

    record: int
    id: str
    """Of the message; of a step the message that it heard."""

    incarnation: int


class Position(NamedTuple):
    """How far the WAL was."""

    when: When
    lsn: LSN


End = Literal["stopped", "vanished", "open"]
"""Of a life.  stopped: the journal was closed in order.  vanished: the next start found it
unfinished.  open: the journal ends; whether the daemon does, nobody wrote down."""


@dataclass(slots=True)
class Life:
    """One run of the daemon."""

    incarnation: int
    boot: Boot
    began: When
    last: When
    """Of its last record."""

    wall_offset: Seconds
    """Seconds since 1970 of its wall clock, less the boot clock, at its start."""

    scope: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    end: End = "open"
    last_reset: str | None = None
    first_record: int = 0
    last_record: int = 0


class Stamp(NamedTuple):
    """A hybrid stamp of a member, as another one saw it."""

    member: MemberName
    hlc: str
    seen: When


@dataclass(slots=True)
class Track:
    """One member, as its own journal shows it."""

    member: MemberName
    lives: list[Life] = field(default_factory=list)
    lanes: dict[LaneName, list[Change]] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    """Of the WAL of a primary; thinned out."""

    published: dict[str, When] = field(default_factory=dict)
    """Hybrid stamps that it published, with their moment."""

    seen: list[Stamp] = field(default_factory=list)
    leader_keys: list["KeySeen"] = field(default_factory=list)
    settings: list["SettingsSeen"] = field(default_factory=list)
    wall_steps: list[tuple[When, Seconds]] = field(default_factory=list)
    records: int = 0
    troubles: list[str] = field(default_factory=list)

    def marked(self, *what: str) -> Iterator[Mark]:
        """The marks of these kinds, in order."""
        return (mark for mark in self.marks if mark.what in what)

    def lane(self, name: LaneName) -> list[Change]:
        return self.lanes.get(name, [])

    def change(self, name: LaneName, when: When, state: str, record: int) -> None:
        """Note the state if it is another than before."""
        changes = self.lanes.setdefault(name, [])
        if not changes or changes[-1].state != state:
            changes.append(Change(when, state, record))


class KeySeen(NamedTuple):
    """The leader key, as first seen in this form."""

    when: When
    holder: MemberName | None
    """None: it is gone."""

    revision: str
    """Empty: it is gone."""

    request: dict[str, Any] | None
    """The failover key at that moment."""

    members: tuple[MemberName, ...]
    record: int


class SettingsSeen(NamedTuple):
    """Settings in force from this moment on (`messages/settings.py`, as JSON)."""

    when: When
    values: dict[str, Any]
    record: int
