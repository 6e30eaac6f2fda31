"""Survey: whose journal it is, of which cluster, and who else is spoken of in it.

Found without reading everything: from the first record of each segment, and from the
newest segments for the rest.  Nothing here is checked against the chain.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from regnal.journal.places import Segment, segments
from regnal.journal.segment_input import (
    CANNOT_UNPACK,
    MAXIMUM_LINE,
    WALL,
    first_record,
    open_segment,
    wanted,
)
from regnal.journal.stamps import Incarnation
from regnal.messages.base import MemberName

SEGMENTS_SEARCHED = 3
"""So many of the newest are read for the members and the system identifier: a daemon
says both within seconds of its start, and again whenever something changes."""

_IDENTIFIERS = (b'"initialize":"', b'"system_identifier":"')
"""In the store, and of a server."""

_DIGITS = re.compile(rb"\d{10,20}")

_CONFIGURED = b'"type":"configuration_applied"'


@dataclass(frozen=True, slots=True)
class Start:
    """A start of the daemon."""

    at: str
    """By the hybrid clock, as `wall_text` writes it."""

    incarnation: Incarnation
    boot: str
    """Of the host; instants compare only within one."""

    versions: dict[str, str]


@dataclass(frozen=True, slots=True)
class Survey:
    """What a journal is, as far as it says so; None: it does not."""

    member: MemberName | None
    scope: str | None
    system_identifier: str | None
    """Of the cluster as its store knows it, newest first; that of the member's own
    server, which may be another, only where the store says nothing."""

    members: tuple[MemberName, ...]
    """Of the cluster, sorted, its own among them."""

    starts: tuple[Start, ...]
    """Those whose segments are there, the oldest first."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The effective configuration of a member, secrets masked."""

    at: str
    """When it came into force, by the hybrid clock."""

    document: dict[str, Any]


def survey(
    directory: Path, *, since: str | None = None, until: str | None = None
) -> Survey:
    """Of the segments that overlap the time between the moments.  Raises OSError."""
    found = wanted(segments(directory), since=since, until=until)
    brief = survey_of_starts(found)
    identifiers: tuple[str | None, ...] = (None, None)
    members: set[MemberName] = set()
    for segment in reversed(found[-SEGMENTS_SEARCHED:]):
        newest, names = _cluster_in(segment)
        identifiers = tuple(map(_first_known, zip(identifiers, newest, strict=True)))
        members |= names
        if identifiers[0] and members:
            break
    return replace(
        brief,
        system_identifier=_first_known(identifiers),
        members=tuple(sorted(members.union(brief.members))),
    )


def survey_of_starts(found: Sequence[Segment]) -> Survey:
    """What the first records of the segments say: a daemon has time for no more."""
    begins = [start for segment in found if (start := first_record(segment))]
    last = begins[-1] if begins else {}
    member = _text(last.get("member")) or _member_in(last.get("hlc"))
    return Survey(
        member=member,
        scope=_text(last.get("scope")),
        system_identifier=None,
        members=() if member is None else (member,),
        starts=tuple(_start(one) for one in begins if one.get("why") == "opened"),
    )


def configuration_in(found: Sequence[Segment]) -> Configuration | None:
    """The last one in these segments, or the one in force where they begin: the newest
    is searched first, and none beyond the last start of the daemon.

    None: it is not there.  Raises OSError.
    """
    for segment in reversed(found):
        applied = _last_line_with(segment, _CONFIGURED)
        if applied is not None:
            return _configuration(applied)
        if first_record(segment).get("why") == "opened":
            return None
    return None


def _first_known(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value is not None), None)


def _cluster_in(
    segment: Segment,
) -> tuple[tuple[str | None, ...], set[MemberName]]:
    """The last system identifiers in the segment, and every member that it names."""
    identifiers: list[str | None] = [None, None]
    members: set[MemberName] = set()
    seen: set[bytes] = set()
    for text in _lines(segment):
        for place, mark in enumerate(_IDENTIFIERS):
            at = text.rfind(mark)
            number = _DIGITS.match(text, at + len(mark)) if at >= 0 else None
            if number is not None:
                identifiers[place] = number[0].decode()
        if b'members":[{' not in text:
            continue
        names = b"".join(re.findall(rb'\{"name":"[^"]+"', text))
        if names not in seen:  # heartbeats name the same members over and over
            seen.add(names)
            members.update(_members_in(_parsed(text)))
    return tuple(identifiers), members


def _members_in(value: object) -> Iterator[MemberName]:
    """Names in every list of members, however deep it lies."""
    if isinstance(value, list):
        for item in value:
            yield from _members_in(item)
    if not isinstance(value, dict):
        return
    for name, inner in value.items():
        if name in ("members", "known_members") and isinstance(inner, list):
            for member in inner:
                named = member.get("name") if isinstance(member, dict) else None
                if _text(named):
                    yield str(named)
        else:
            yield from _members_in(inner)


def _lines(segment: Segment) -> Iterator[bytes]:
    """The lines that can be read."""
    try:
        with open_segment(segment) as file:
            while text := file.readline(MAXIMUM_LINE):
                yield text
    except CANNOT_UNPACK:
        return


def _last_line_with(segment: Segment, mark: bytes) -> bytes | None:
    last: bytes | None = None
    for text in _lines(segment):
        if mark in text:
            last = text
    return last


def _configuration(text: bytes) -> Configuration | None:
    record = _parsed(text)
    try:
        document = from_json(record["data"]["document"])
        at = str(record["hlc"])[:WALL]
    except (KeyError, TypeError, ValueError):
        return None
    return Configuration(at, document) if isinstance(document, dict) else None


def _start(record: dict[str, Any]) -> Start:
    versions = record.get("versions")
    incarnation = record.get("incarnation")
    return Start(
        at=str(record.get("hlc", ""))[:WALL],
        incarnation=incarnation if type(incarnation) is int else 0,
        boot=str(record.get("boot", "")),
        versions={str(k): str(v) for k, v in versions.items()}
        if isinstance(versions, dict)
        else {},
    )


def _member_in(hlc: object) -> MemberName | None:
    """Where a segment begins in its middle, the clock tells whose it is."""
    return str(hlc).partition("Z+")[2].partition("/")[2] or None


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        value = from_json(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
