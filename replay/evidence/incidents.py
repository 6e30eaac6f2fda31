"""Incidents: what happened to a cluster, each with its window of time.

An outage is a gap between the stretches in which somebody took writes (`gaps`); what
else is worth telling (`lesser`) is an incident of its own unless it falls into the
window of an outage.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from regnal.messages.base import MemberName, Seconds
from regnal.messages.frozen import replace
from regnal.replay.evidence.evidence import Evidence, Moment
from regnal.replay.evidence.gaps import Gap, gaps
from regnal.replay.evidence.lesser import Episode, episodes
from regnal.replay.evidence.reigns import Reign, reigns

Kind = Literal[
    "leader_changed",
    "primary_interrupted",
    "leaderless",
    "leader_key_lost",
    "store_outage",
    "replica_lost",
    "replica_rebuilt",
    "daemon_interrupted",
    "stall",
    "clock_stepped",
    "request_failed",
    "switchover_failed",
    "synchronous_changed",
    "paused",
    "cluster_stopped",
    "cluster_created",
]

Weight = Literal["outage", "degraded", "notice"]
"""outage: nobody could write.  degraded: less safe than it should be.  notice: as
somebody wanted it, or harmless."""


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that happened, and when."""

    name: str
    """Such as `reign-4711`: the same on every member, and in every later reading."""

    kind: Kind
    weight: Weight
    began: Moment
    ended: Moment
    """When all was as it should be again, or the journals end."""

    member: MemberName
    """Whom it befell: the former leader of a change."""

    successor: MemberName | None = None
    gap: Gap | None = None
    """The outage of writing; None: there was none."""

    episodes: tuple[Episode, ...] = ()
    """What else falls into its window."""


def incidents(evidence: Evidence) -> tuple[Incident, ...]:
    """All of them, in order."""
    found_reigns = reigns(evidence)
    outages = [_of_gap(gap, found_reigns) for gap in gaps(evidence, found_reigns)]
    outages = _without_overlap(outages)
    rest: list[Episode] = []
    for episode in episodes(evidence, found_reigns):
        owner = _owner(outages, episode)
        if owner is None:
            rest.append(episode)
        else:
            whole = outages[owner]
            outages[owner] = replace(whole, episodes=(*whole.episodes, episode))
    single = [_of_episode(episode) for episode in rest]
    return tuple(sorted([*outages, *single], key=lambda incident: incident.began))


BEFORE: Seconds = 1.0
"""An episode that begins so little before an outage belongs to it."""


def _owner(outages: Sequence[Incident], episode: Episode) -> int | None:
    for index, outage in enumerate(outages):
        if outage.began - BEFORE <= episode.began <= outage.ended:
            return index
        # The last record of a daemon may be older than its end.
        is_its_own = outage.member in episode.members
        if is_its_own and episode.began <= outage.began <= episode.ended:
            return index
    return None


def _without_overlap(found: Sequence[Incident]) -> list[Incident]:
    """What settles after one outage ends where the next begins."""
    cut = []
    for index, incident in enumerate(found):
        following = found[index + 1].began if index + 1 < len(found) else None
        ended = incident.ended if following is None else min(incident.ended, following)
        cut.append(replace(incident, ended=max(ended, incident.began)))
    return cut


def _of_gap(gap: Gap, found: Iterable[Reign]) -> Incident:
    reign = gap.reign
    if gap.successor is None:
        kind: Kind = "cluster_stopped" if gap.is_wanted else "leaderless"
    elif gap.successor == gap.member:
        kind = "primary_interrupted"
    else:
        kind = "leader_changed"
    name = f"write-{gap.member}-{gap.first_record}"
    if reign is not None and kind in ("leader_changed", "leaderless"):
        name = reign.name
    return Incident(
        name=name,
        kind=kind,
        weight="notice" if gap.is_wanted else "outage",
        began=gap.began,
        ended=gap.settled,
        member=gap.member,
        successor=gap.successor,
        gap=gap,
    )


def _of_episode(episode: Episode) -> Incident:
    return Incident(
        name=episode.name,
        kind=episode.kind,
        weight=episode.weight,
        began=episode.began,
        ended=episode.ended,
        member=episode.member,
        episodes=(episode,),
    )
