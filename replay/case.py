"""A case: the journals of one cluster that are looked at together.

    with opened(["/var/lib/regnal", "http://10.0.0.7:8008"], since=moment) as case:
        for journal in case.journals:
            for item in scan(journal.directory, Window(since=moment)): ...

Wherever the journals come from (directories, bundles, the REST API of members, a NATS
stream), they are read as directories of segments, the lines byte for byte as the daemon
wrote them, so that the chain can be checked.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from regnal.bridges.http.options import ClientOptions
from regnal.bridges.nats.options import NatsOptions
from regnal.journal.chain_check import Damage
from regnal.journal.ledger import Head
from regnal.journal.progress import Progress, unheard
from regnal.journal.survey import Configuration, Start
from regnal.messages.base import MemberName
from regnal.messages.frozen import replace
from regnal.replay.sources.gathering import Gathered, Question, Workshop, workshop
from regnal.replay.sources.joining import Known, all_of, joined
from regnal.replay.sources.places import find
from regnal.replay.sources.rest import NOBODY, Target, fetch
from regnal.replay.troubles import Trouble


@dataclass(frozen=True, slots=True)
class Journal:
    """One member's journal, wherever it came from."""

    member: MemberName
    """Empty where no record can be read, which is only with `every`."""

    scope: str
    directory: Path
    """Of its segments; gone when the case is closed, unless it was there before."""

    origin: str
    """As the user named it, without passwords."""

    system_identifier: str | None = None
    """Of the database cluster; None: not known."""

    starts: tuple[Start, ...] = ()
    """Of its daemon, the oldest first."""

    configuration: Configuration | None = None
    """In force at the end, where whoever sent the journal said so.  The journal itself
    has it, unless it does not reach back to where it was applied."""

    witness: Head | None = None
    """The last record, as whoever made the bundle saw it."""


@dataclass(frozen=True, slots=True)
class Case:
    """The journals of one cluster."""

    journals: tuple[Journal, ...]
    """One for each member, sorted by name."""

    expected: tuple[MemberName, ...]
    """Every member that any record or answer speaks of, sorted by name."""

    troubles: tuple[Trouble, ...]
    """What is known before anything is read; `damaged` makes more while reading."""

    @property
    def missing(self) -> tuple[MemberName, ...]:
        """Members that are expected and have no journal here."""
        there = {journal.member for journal in self.journals}
        return tuple(name for name in self.expected if name not in there)


@contextmanager
def opened(
    places: Sequence[str],
    *,
    since: str | None = None,
    until: str | None = None,
    client: ClientOptions | None = None,
    nats: NatsOptions | None = None,
    progress: Progress = unheard,
    every: bool = False,
) -> Iterator[Case]:
    """The journals at these places, as long as the block lasts.

    A place is a directory (of a journal, or above several), a bundle, `http(s)://host`
    of the REST API of any member, or `nats://host/cluster` of a stream.  `since`,
    `until`: as `wall_text` writes moments; from outside only segments that overlap the
    time are fetched, and so records beyond it are there as well.  `client`: how to
    speak to members; None: without credentials.  `nats`: how to speak to NATS, likewise.
    `every`: all journals as they are, of
    several clusters and several of one member as well, and none is said to be missing.

    Never raises for what is wrong with a place: that is a trouble.
    """
    question = Question(since, until, client or NOBODY, progress, nats)
    with workshop() as shop:
        gathered = Gathered()
        find(places, question, shop, gathered)
        yield (
            _every(gathered, question, shop)
            if every
            else _case(gathered, question, shop)
        )


@contextmanager
def opened_members(
    members: Sequence[tuple[MemberName, str]],
    *,
    since: str | None = None,
    until: str | None = None,
    client: ClientOptions | None = None,
    progress: Progress = unheard,
) -> Iterator[Case]:
    """As `opened`, for who knows the members and the addresses of their REST APIs
    (`http(s)://host:port`, whatever path follows)."""
    question = Question(since, until, client or NOBODY, progress)
    with workshop() as shop:
        gathered = Gathered()
        targets = [Target.at(name, url) for name, url in members]
        fetch(targets, question, shop, gathered)
        yield _case(gathered, question, shop)


def damaged(journal: Journal, damage: Damage) -> Trouble:
    """What is to be told of damage that reading the journal met."""
    text = f"the journal of {journal.member or journal.origin}: {damage}"
    if damage.what == "newer":
        text += "; use a newer version of this program"
    return Trouble("journal_damaged", journal.member or journal.origin, text)


def _every(gathered: Gathered, question: Question, shop: Workshop) -> Case:
    known = all_of(gathered, question, shop)
    return Case(
        journals=tuple(map(_journal, known)),
        expected=tuple(sorted({one.member for one in known})),
        troubles=tuple(gathered.troubles),
    )


def _case(gathered: Gathered, question: Question, shop: Workshop) -> Case:
    known = joined(gathered, question, shop)
    expected = gathered.spoken_of.union(*(one.survey.members for one in known))
    case = Case(
        journals=tuple(map(_journal, known)),
        expected=tuple(sorted(expected)),
        troubles=tuple(gathered.troubles),
    )
    return replace(case, troubles=(*case.troubles, *_missing(case)))


def _journal(known: Known) -> Journal:
    return Journal(
        member=known.member,
        scope=known.scope,
        directory=known.found.directory,
        origin=known.found.origin,
        system_identifier=known.survey.system_identifier,
        starts=known.survey.starts,
        configuration=known.found.configuration,
        witness=known.found.witness,
    )


def _missing(case: Case) -> Iterator[Trouble]:
    """Members without a journal, unless something was said of them already."""
    told = {trouble.subject for trouble in case.troubles}
    for name in case.missing:
        if case.journals and name not in told:
            yield Trouble(
                "member_missing",
                name,
                f"the journal of {name} is not here: what it saw and decided cannot "
                "be told; add its directory, or http://HOST:PORT of any member",
            )
