"""Reigns: who held the leader key, one after the other, as all members saw it.

A reign is told by the revision of its key, which all who watched agree on.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from regnal.actors.incident_names import SAME_REIGN, reign_incident
from regnal.messages.base import MemberName
from regnal.replay.evidence.alignment import Clocks
from regnal.replay.evidence.evidence import Evidence, Moment
from regnal.replay.evidence.track import KeySeen, Track


@dataclass(frozen=True, slots=True)
class Reign:
    """A time in which one member held the leader key."""

    holder: MemberName
    revisions: tuple[str, ...]
    began: Moment
    """When it was first seen."""

    ended: Moment | None
    """When somebody first saw the key gone, or in other hands; None: nobody did."""

    request: dict[str, Any] | None
    """The failover key when the reign was first seen."""

    was_gone: bool = False
    """Whether somebody saw that nobody had the key when it ended."""

    @property
    def name(self) -> str:
        """What its end is called by: `reign-4711`."""
        return reign_incident(self.revisions[-1])


def reigns(evidence: Evidence) -> tuple[Reign, ...]:
    """In their order."""
    found = sorted(
        _single(evidence.tracks.values(), evidence.clocks), key=lambda r: r.began
    )
    joined: list[Reign] = []
    for reign in found:
        if joined and _is_same(joined[-1], reign):
            joined[-1] = Reign(
                holder=reign.holder,
                revisions=joined[-1].revisions + reign.revisions,
                began=joined[-1].began,
                ended=reign.ended,
                request=joined[-1].request,
                was_gone=reign.was_gone,
            )
        else:
            joined.append(reign)
    return tuple(joined)


def _is_same(before: Reign, reign: Reign) -> bool:
    if before.holder != reign.holder or before.was_gone:
        return False
    return before.ended is None or reign.began - before.ended < SAME_REIGN


def _single(tracks: Iterable[Track], clocks: Clocks) -> list[Reign]:
    """One for each revision."""
    began: dict[tuple[str, str], tuple[Moment, dict[str, Any] | None]] = {}
    ended: dict[tuple[str, str], Moment] = {}
    gone: set[tuple[str, str]] = set()
    for track in tracks:
        for key in track.leader_keys:
            if key.holder is not None:
                name, moment = _name(key), clocks.moment(key.when)
                if name not in began or moment < began[name][0]:
                    began[name] = (moment, key.request)
        for key, following in pairwise(track.leader_keys):
            if key.holder is not None and _name(key) != _name(following):
                moment = clocks.moment(following.when)
                ended[_name(key)] = min(moment, ended.get(_name(key), moment))
                if following.holder is None:
                    gone.add(_name(key))
    return [
        Reign(
            holder=MemberName(name[0]),
            revisions=(name[1],),
            began=moment,
            ended=ended.get(name),
            request=request,
            was_gone=name in gone,
        )
        for name, (moment, request) in began.items()
    ]


def _name(key: KeySeen) -> tuple[str, str]:
    return (key.holder or "", key.revision)
