"""Explain: finds the incidents in a cluster's journals, and tells one of them.

Two passes: the first makes a small track of each journal, whatever its size, and finds
the incidents in these; the second reads the records around the one that is told.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from regnal.journal.progress import Progress, unheard
from regnal.journal.reader import EVERYTHING, Window, segments_of
from regnal.messages.base import MemberName, Seconds
from regnal.replay.counting import counting
from regnal.replay.evidence.evidence import Evidence, Moment, evidence_of
from regnal.replay.evidence.incidents import Incident, incidents
from regnal.replay.evidence.reigns import reigns
from regnal.replay.evidence.track import Track
from regnal.replay.evidence.tracking import track_of
from regnal.replay.evidence.wall import clock_text
from regnal.replay.evidence.writing import overlaps, writable
from regnal.replay.explaining.judging import Judgement, judge
from regnal.replay.explaining.lesser_story import story_of_episode
from regnal.replay.explaining.outage_story import story_of_outage
from regnal.replay.explaining.story import IncidentTold, Story, Trouble
from regnal.replay.explaining.telling import Frame, verdict_sentence
from regnal.replay.explaining.window import Surroundings, surroundings

BEFORE: Seconds = 2.0
AFTER: Seconds = 3.0
"""How much of the quiet around an incident is shown."""

LATEST = "latest"


class NoSuchIncident(Exception):
    """The text says which there are."""


class Investigation:
    """The journals of one cluster, and what is found in them."""

    def __init__(
        self,
        directories: Mapping[MemberName, Path],
        *,
        since: str | None = None,
        expected: Iterable[MemberName] = (),
        troubles: Sequence[Trouble] = (),
        progress: Progress = unheard,
    ) -> None:
        """Reads all of them.  Raises OSError.

        `since`, as `wall_text` writes moments: only segments that have records of then
        or later are read.  `expected` are members that belong to the cluster, whether or not their
        journals are here.
        """
        tracks = {
            member: track_of(
                directory,
                _from(directory, since),
                counting(progress, f"reading {member}", directory),
            )
            for member, directory in directories.items()
        }
        self._directories = dict(directories)
        self.evidence: Evidence = evidence_of(tracks.values())
        self.expected = tuple(sorted({*expected, *_spoken_of(tracks.values())}))
        self.stretches = writable(self.evidence, reigns(self.evidence))
        self.troubles = (*troubles, *self._own_troubles(tracks.values()))

    @cached_property
    def incidents(self) -> tuple[Incident, ...]:
        """In their order."""
        return incidents(self.evidence)

    def find(self, wanted: str) -> Incident:
        """`latest`, `latest~2` (before), a name, a number of the list, or a moment.

        The latest is the latest that nobody had wanted, or if there is none the latest
        change of leader.  Raises NoSuchIncident.
        """
        if not self.incidents:
            raise NoSuchIncident("there is no incident in these journals")
        name, tilde, back = wanted.partition("~")
        if name == LATEST:
            steps = int(back) if tilde and back.isdecimal() else 0
            worth = self._worth_telling()
            if steps >= len(worth):
                raise NoSuchIncident(
                    f"there are only {len(worth)} incidents that are worth telling; "
                    "`regnal explain --list` shows them"
                )
            return worth[-1 - steps]
        if wanted.isdecimal() and 0 < int(wanted) <= len(self.incidents):
            return self.incidents[int(wanted) - 1]
        for incident in self.incidents:
            if wanted == incident.name:
                return incident
        # What members called it; of several that fall into that time the gravest.
        for incident in sorted(self.incidents, key=lambda one: one.gap is None):
            if wanted in self._aliases(incident):
                return incident
        raise NoSuchIncident(
            f"there is no incident {wanted!r}; `regnal explain --list` shows all of them"
        )

    def judgement(self, incident: Incident) -> Judgement:
        return judge(self.evidence, incident)

    def listed(self) -> tuple[IncidentTold, ...]:
        """Every incident with its verdict, in order."""
        return tuple(self._listed(incident) for incident in self.incidents)

    def story(self, incident: Incident) -> Story:
        """All that is told of it.  Raises OSError."""
        since, until = self._window(incident)
        around = self.surroundings(incident)
        frame = Frame(
            evidence=self.evidence,
            incident=incident,
            judgement=self.judgement(incident),
            around=around,
            expected=self.expected,
            stretches=self.stretches,
            since=since,
            until=until,
            troubles=self._troubles_of(around.is_cut),
            aliases=self._aliases(incident),
        )
        if incident.gap is not None:
            return story_of_outage(frame)
        return story_of_episode(frame)

    def surroundings(self, incident: Incident) -> Surroundings:
        """The messages and steps of all members that belong to it.  Raises OSError."""
        since, until = self._window(incident)
        return surroundings(self._directories, self.evidence, since, until)

    def _window(self, incident: Incident) -> tuple[Moment, Moment]:
        """What belongs to the next outage is not told with this one."""
        later = [
            other.began
            for other in self.incidents
            if other.gap is not None and other.began > incident.began
        ]
        until = max(incident.ended, min([incident.ended + AFTER, *later]))
        return incident.began - BEFORE, until

    def _worth_telling(self) -> list[Incident]:
        serious = [one for one in self.incidents if one.weight != "notice"]
        if serious:
            return serious
        changes = [one for one in self.incidents if one.kind == "leader_changed"]
        return changes or list(self.incidents)

    def _listed(self, incident: Incident) -> IncidentTold:
        judgement = self.judgement(incident)
        gap = incident.gap
        return IncidentTold(
            name=incident.name,
            kind=incident.kind,
            weight=incident.weight,
            began=incident.began,
            ended=incident.ended,
            member=incident.member,
            successor=incident.successor,
            cause=judgement.cause.code,
            sentence=verdict_sentence(self.evidence, incident, judgement),
            outage=None
            if gap is None
            else (self.evidence.end if gap.ended is None else gap.ended)
            - gap.before.until,
            acknowledged_by=self._acknowledged_by(incident),
        )

    def _aliases(self, incident: Incident) -> tuple[str, ...]:
        """Names that members gave it when it happened."""
        names = {
            str(opened.data.get("incident"))
            for opened in self.evidence.between(
                incident.began - BEFORE, incident.ended + AFTER, "incident_opened"
            )
        }
        return tuple(sorted(names - {incident.name}))

    def _acknowledged_by(self, incident: Incident) -> str | None:
        names = {incident.name, *self._aliases(incident)}
        for done in self.evidence.between(
            incident.began, self.evidence.end, "incident_acknowledged"
        ):
            if done.data.get("incident") in names:
                return str(done.data.get("by"))
        return None

    def _own_troubles(self, tracks: Iterable[Track]) -> list[Trouble]:
        found = [
            Trouble(code="DAMAGED", text=f"{track.member}: {text}")
            for track in tracks
            for text in track.troubles
        ]
        found += [
            Trouble(
                code="TWO_PRIMARIES",
                text=f"{' and '.join(overlap.members)} both took writes from "
                f"{clock_text(overlap.since)} for {overlap.until - overlap.since:.2f} s: "
                "compare their rows of that time, and report how it came about",
            )
            for overlap in overlaps(self.stretches)
        ]
        found += [
            Trouble(
                code="CLOCK_SKEW",
                text=f"the wall clock of {skew.member} is {abs(skew.ahead):.1f} s "
                f"{'ahead of' if skew.ahead > 0 else 'behind'} the others; times here are "
                "those of the others",
            )
            for skew in self.evidence.clocks.skews
        ]
        found += [
            Trouble(
                code="CLOCK_NOT_ALIGNED",
                text=f"nothing but its wall clock tells how the times of {life.member} "
                f"from {clock_text(life.began)} on lie to those of the others",
            )
            for lives in self.evidence.lives.values()
            for life in lives
            if not self.evidence.clocks.is_sure_of(life.life.boot)
        ]
        return found

    def _troubles_of(self, is_cut: bool) -> tuple[Trouble, ...]:
        missing = [
            Trouble(code="MISSING_MEMBER", text=f"the journal of {member} is missing")
            for member in self.expected
            if member not in self.evidence.tracks
        ]
        cut = [
            Trouble(
                code="WINDOW_CUT",
                text="there are too many records in this time: only the first are told",
            )
        ]
        return (*self.troubles, *missing, *(cut if is_cut else ()))


def _from(directory: Path, since: str | None) -> Window:
    """Whole segments: the first record of one says whose life it is of."""
    if since is None:
        return EVERYTHING
    found = segments_of(directory, Window(since=since))
    return Window(after=found[0].first - 1) if found else EVERYTHING


def _spoken_of(tracks: Iterable[Track]) -> set[MemberName]:
    """Members that the leader key's watchers saw."""
    return {
        name for track in tracks for key in track.leader_keys for name in key.members
    }
