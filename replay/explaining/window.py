"""The window: the full records around an incident, of all members, with their causes."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from regnal.journal.reader import Window as RecordWindow
from regnal.messages.base import MemberName, Seconds
from regnal.replay.evidence.evidence import Evidence, Moment
from regnal.replay.evidence.reading import Entry, entries
from regnal.replay.evidence.track import When

MAXIMUM_ENTRIES = 200_000
"""Of a member.  A window that has more is told from its first ones."""

SLACK: Seconds = 5.0
"""A journal holds routine records back: what is so much later ends the window."""


@dataclass(frozen=True, slots=True)
class Told:
    """One message or step in the window."""

    moment: Moment
    member: MemberName
    is_step: bool
    id: str
    """Of the message; of a step the message that it heard."""

    part: str
    """Who said the message; the actor of a step."""

    what: str
    """Type of the message; rule of the step."""

    cause: str | None
    said: tuple[str, ...]
    """Ids."""

    data: dict[str, Any]
    """Of the message, or the facts of the step."""

    record: int
    offset: Seconds
    """To be added to an instant in the data, to have a moment."""

    @property
    def key(self) -> str:
        """Unique in the window."""
        return f"{self.part}:{self.id}" if self.is_step else self.id


@dataclass
class Surroundings:
    """All messages and steps of all members in the window, in order."""

    told: list[Told] = field(default_factory=list)
    messages: dict[str, Told] = field(default_factory=dict)
    """By id."""

    sayers: dict[str, Told] = field(default_factory=dict)
    """The step that said a message, by the message's id."""

    is_cut: bool = False

    def of(self, member: MemberName) -> Iterator[Told]:
        return (one for one in self.told if one.member == member)

    def type_of(self, identifier: str) -> str | None:
        message = self.messages.get(identifier)
        return message.what if message is not None else None


def surroundings(
    directories: Mapping[MemberName, Path],
    evidence: Evidence,
    since: Moment,
    until: Moment,
) -> Surroundings:
    """What the journals hold of [since, until].  Raises OSError."""
    found = Surroundings()
    for member, directory in directories.items():
        if member in evidence.tracks:
            own = _of_member(directory, evidence, member, since, until)
            for count, one in enumerate(own):
                if count >= MAXIMUM_ENTRIES:
                    found.is_cut = True
                    break
                found.told.append(one)
    found.told.sort(key=lambda one: (one.moment, one.member, one.record))
    for one in found.told:
        if one.is_step:
            for said in one.said:
                found.sayers[said] = one
        else:
            found.messages[one.id] = one
    return found


def _of_member(
    directory: Path,
    evidence: Evidence,
    member: MemberName,
    since: Moment,
    until: Moment,
) -> Iterator[Told]:
    boots = {life.incarnation: life.boot for life in evidence.tracks[member].lives}
    after = _record_before(evidence, member, since)
    for entry in entries(directory, RecordWindow(after=after)):
        if entry.kind not in ("message", "step"):
            continue
        boot = boots.get(_incarnation(entry))
        if boot is None:
            continue
        moment = evidence.clocks.moment(When(boot, entry.at))
        if moment > until + SLACK:
            return
        if since <= moment <= until:
            yield _told(entry, member, moment)


def _record_before(evidence: Evidence, member: MemberName, since: Moment) -> int:
    """Number of a record that is surely earlier."""
    earlier: Iterable[int] = (
        happening.record
        for happening in evidence.between(evidence.begin, since - SLACK, member=member)
    )
    return max(0, max(earlier, default=0) - 1)


def _incarnation(entry: Entry) -> int:
    """By the id; a window may begin in the middle of a life."""
    identifier = str(entry.fields.get("id") or entry.fields.get("heard") or "")
    parts = identifier.rsplit("/", 2)
    if len(parts) == 3 and parts[1].isdecimal():
        return int(parts[1])
    return entry.incarnation


def _told(entry: Entry, member: MemberName, moment: Moment) -> Told:
    fields = entry.fields
    is_step = entry.kind == "step"
    data = fields.get("facts") if is_step else fields.get("data")
    said = fields.get("said")
    return Told(
        moment=moment,
        member=member,
        is_step=is_step,
        id=str(fields.get("heard" if is_step else "id", "")),
        part=str(fields.get("actor" if is_step else "from", "")),
        what=str(fields.get("rule" if is_step else "type") or ""),
        cause=fields.get("cause"),
        said=tuple(map(str, said)) if isinstance(said, list) else (),
        data=data if isinstance(data, dict) else {},
        record=entry.number,
        offset=moment - entry.at,
    )
