"""Which of the journals that were found belong together, and one for each member.

Of several clusters the one with the most members is looked at.  What was found twice of
one member is joined where both are parts of one chain; where they are not, the newer
one is used.  Nothing is left out without being told.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from regnal.journal.places import QUIET, Segment, segments
from regnal.journal.segment_input import first_record
from regnal.journal.survey import Survey, survey
from regnal.messages.base import MemberName
from regnal.messages.frozen import replace
from regnal.replay.sources.copies import better_of, lay_down
from regnal.replay.sources.gathering import FoundJournal, Gathered, Question, Workshop


@dataclass(frozen=True, slots=True)
class Known:
    """A journal, and what it says it is."""

    found: FoundJournal
    survey: Survey

    @property
    def member(self) -> MemberName:
        return self.survey.member or ""

    @property
    def scope(self) -> str:
        return self.survey.scope or self.found.scope or ""


def all_of(gathered: Gathered, question: Question, shop: Workshop) -> list[Known]:
    """Every journal, of whatever cluster, several of one member as well."""
    each: list[Known] = []
    once = _once(gathered.journals)
    for number, found in enumerate(once):
        question.progress("looking at the journals", number, len(once))
        try:
            each += _by_identity(found, gathered, question, shop)
        except OSError as error:
            gathered.trouble(
                "place_unusable",
                str(found.directory),
                f"{found.directory} cannot be read: {error.strerror}; let this user "
                "read it, or copy it",
            )
    return sorted(each, key=lambda known: known.member)


def joined(gathered: Gathered, question: Question, shop: Workshop) -> list[Known]:
    """One journal for each member of one cluster, sorted by name."""
    readable: list[Known] = []
    for known in all_of(gathered, question, shop):
        if known.member:
            readable.append(known)
            continue
        gathered.trouble(
            "journal_damaged",
            known.found.origin,
            f"{known.found.origin}: no record can be read; this journal is left out",
        )
    members: dict[MemberName, list[Known]] = defaultdict(list)
    for known in _of_one_cluster(readable, gathered):
        members[known.member].append(known)
    return [
        _one_of(several, gathered, question, shop)
        for _, several in sorted(members.items())
    ]


def _once(journals: Sequence[FoundJournal]) -> list[FoundJournal]:
    """Without those whose directory was named before."""
    once: dict[Path, FoundJournal] = {}
    for one in journals:
        once.setdefault(one.directory.resolve(), one)
    return list(once.values())


def _known(found: FoundJournal, question: Question) -> Known:
    """Raises OSError."""
    return Known(
        found, survey(found.directory, since=question.since, until=question.until)
    )


def _by_identity(
    found: FoundJournal, gathered: Gathered, question: Question, shop: Workshop
) -> list[Known]:
    """The directory; or one for each member whose segments lie in it.

    Raises OSError.
    """
    parts = _parts(segments(found.directory))
    if len(parts) <= 1:
        return [_known(found, question)]
    names = ", ".join(f"{member} of {scope}" for member, scope in parts)
    gathered.trouble(
        "journal_mixed",
        str(found.directory),
        f"{found.directory} holds segments of several journals ({names}); each is "
        "looked at by itself; a directory must be written by one daemon alone",
    )
    newest = max(parts, key=lambda part: parts[part][-1].first)
    result = []
    for part, chosen in parts.items():
        quiet = found.directory / QUIET if part == newest else None
        directory = lay_down(chosen, quiet, shop.new())
        result.append(_known(replace(found, directory=directory), question))
    return result


def _parts(found: Sequence[Segment]) -> dict[tuple[str, str], list[Segment]]:
    """Segments by member and scope; one that does not say is with those before it."""
    parts: dict[tuple[str, str], list[Segment]] = {}
    unknown: list[Segment] = []
    current: tuple[str, str] | None = None
    for segment in found:
        start = first_record(segment)
        member, scope = start.get("member"), start.get("scope")
        if isinstance(member, str) and isinstance(scope, str):
            current = member, scope
        if current is None:
            unknown.append(segment)
        else:
            parts.setdefault(current, []).append(segment)
    if unknown and parts:
        first = next(iter(parts))
        parts[first] = unknown + parts[first]
    return parts


def _of_one_cluster(each: Sequence[Known], gathered: Gathered) -> list[Known]:
    """Those of the cluster of which there are the most members."""
    clusters: dict[tuple[str, str], list[Known]] = {}
    for known in each:
        if not known.scope:
            continue  # it may be of any
        clusters.setdefault((known.scope, _identifier(known, each)), []).append(known)
    if len(clusters) <= 1:
        return list(each)
    # Of two that are equal, max takes the one that was named first.
    chosen = max(clusters, key=lambda one: len({k.member for k in clusters[one]}))
    for cluster, others in clusters.items():
        for known in others if cluster != chosen else ():
            gathered.trouble(
                "other_cluster",
                known.member,
                f"{known.found.origin} has the journal of {known.member} "
                f"of {_described(cluster)}, not of {_described(chosen)}: it is left "
                "out; look at it by itself",
            )
    return [*clusters[chosen], *(known for known in each if not known.scope)]


def _identifier(known: Known, each: Sequence[Known]) -> str:
    """Of the database cluster; where the journal does not say, any of its scope."""
    if known.survey.system_identifier:
        return known.survey.system_identifier
    return next(
        (
            other.survey.system_identifier
            for other in each
            if other.scope == known.scope and other.survey.system_identifier
        ),
        "",
    )


def _described(cluster: tuple[str, str]) -> str:
    scope, identifier = cluster
    name = f"the cluster {scope}" if scope else "a cluster without a name"
    return f"{name} (system identifier {identifier})" if identifier else name


def _one_of(
    several: Sequence[Known], gathered: Gathered, question: Question, shop: Workshop
) -> Known:
    """What is known of one member, in one directory."""
    best = several[0]
    for other in several[1:]:
        best = _joined(best, other, gathered, question, shop)
    return best


def _joined(
    one: Known, other: Known, gathered: Gathered, question: Question, shop: Workshop
) -> Known:
    name = one.member
    places = f"{one.found.origin} and {other.found.origin}"
    try:
        both = better_of(one.found.directory, other.found.directory)
    except OSError as error:
        gathered.trouble(
            "journal_conflict",
            one.member,
            f"{name} has journals in {places}; the second is left out, since they "
            f"cannot be compared: {error}",
        )
        return one
    if both is None:
        newer, older = sorted((one, other), key=_newest, reverse=True)
        gathered.trouble(
            "journal_conflict",
            one.member,
            f"{name} has two journals that are not parts of one: {places}; that of "
            f"{newer.found.origin} is used, since it is newer, and "
            f"{older.found.origin} is left out; look at it by itself",
        )
        return newer
    gathered.trouble(
        "journal_joined",
        one.member,
        f"{name} has parts of its journal in {places}; they are joined",
    )
    directory = lay_down(both.segments, both.quiet, shop.new())
    newer, older = sorted((one, other), key=_newest, reverse=True)
    found = FoundJournal(
        directory,
        f"{one.found.origin}, {other.found.origin}",
        configuration=newer.found.configuration or older.found.configuration,
        witness=newer.found.witness or older.found.witness,
    )
    return _known(found, question)


def _newest(known: Known) -> str:
    """When its last segment begins."""
    found = segments(known.found.directory)
    return str(first_record(found[-1]).get("hlc", "")) if found else ""
