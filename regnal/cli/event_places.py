"""Where `regnal events` reads: journals, members, a NATS stream."""

import contextlib
import importlib
import importlib.util
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import ValidationError

from regnal.bridges.http.event_listener import MemberListener
from regnal.bridges.http.member_pools import CertificateUnusable, MemberPools, NoAnswer
from regnal.bridges.http.options import ClientOptions
from regnal.bridges.nats.options import NatsOptions
from regnal.events.cloud import CloudEvent, Reporter
from regnal.journal.event_layout import PREFIX, STREAM, name_of, subjects_of
from regnal.journal.places import journals
from regnal.journal.public_events import EventReader
from regnal.journal.reader import EVERYTHING, Record, follow, scan
from regnal.messages.base import Seconds
from regnal.messages.masking import masked_text
from regnal.replay.case import Case
from regnal.replay.sources.gathering import Gathered
from regnal.replay.sources.rest import members_at, parted

AGENT = "regnal events"
LIBRARY = "nats"
_READER = "regnal.bridges.nats.stream_reader"

NAP: Seconds = 0.2
"""Between two looks at a journal on this host."""

AGAIN_AFTER: Seconds = 2.0
"""After a member or a server that we listened to was lost."""

Take = Callable[[CloudEvent], None]
Tell = Callable[[str], None]
"""A trouble, in a sentence."""


class PlaceUnusable(Exception):
    """The text says why, and what to do."""


class _NatsPlace(NamedTuple):
    shown: str
    """Without the password."""

    server: str
    stream: str
    subjects: str


class Wanted(NamedTuple):
    """What is listened to, from when on."""

    since: str | None
    """As `wall_text` writes it; None: from now on."""

    client: ClientOptions
    nats: NatsOptions | None


def events_in(case: Case) -> Iterator[CloudEvent]:
    """What the journals tell, one member after the other."""
    for journal in case.journals:
        reader = EventReader(Reporter(journal.scope, journal.member))
        for item in scan(journal.directory):
            if isinstance(item, Record):
                yield from reader.read(item)


def events_in_stream(
    place: str, since: str | None, nats: NatsOptions | None
) -> Iterator[CloudEvent]:
    """What a NATS stream has.  Raises PlaceUnusable."""
    where, library = _nats_place(place), _nats()
    begin = None if since is None else datetime.fromisoformat(since)
    try:
        with library.StreamReader(where.server, nats) as reader:
            for message in reader.messages(where.stream, where.subjects, begin):
                event = _event(message.payload)
                if event is not None:
                    yield event
    except library.StreamUnreadable as error:
        raise PlaceUnusable(f"{where.shown}: {error}") from error


def listen(places: Sequence[str], wanted: Wanted, take: Take, tell: Tell) -> None:
    """Give `take` what happens, until the program ends.

    Threads of its own, one for each member, stream and journal; they end with the
    program.  Raises PlaceUnusable.
    """
    jobs: list[Callable[[], None]] = []
    members: list[str] = []
    for place in places:
        scheme = place.partition("://")[0]
        if scheme in ("http", "https"):
            members.append(place)
        elif scheme in ("nats", "tls") and "://" in place:
            where, library = _nats_place(place), _nats()
            jobs.append(lambda w=where, n=library: _stream(w, n, wanted, take, tell))  # type: ignore[misc]
        else:
            directory = _journal(place)
            jobs.append(lambda d=directory: _tail(d, wanted, take))  # type: ignore[misc]
    for place in members:
        _Cluster(place, wanted, take, tell).begin()
    for job in jobs:
        threading.Thread(target=job, name="listen", daemon=True).start()


class _Cluster:
    """The members of one cluster: those that are named, and those that they name."""

    def __init__(self, place: str, wanted: Wanted, take: Take, tell: Tell) -> None:
        base, account = parted(place)
        if base is None:
            raise PlaceUnusable(
                f"{masked_text(place)} is not the address of a REST API; write "
                "http://HOST:PORT"
            )
        client = wanted.client
        if account is not None:
            client = replace(client, credentials=account)
        self._base = base
        self._pools = MemberPools(client, AGENT)
        self._wanted = wanted
        self._take = take
        self._tell = tell
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._names: set[str] = set()

    def begin(self) -> None:
        self._add(self._base, self._wanted.since)
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        """Who else is there."""
        gathered = Gathered()
        own, *others = members_at(self._base, self._pools, gathered)
        with self._lock:
            if own.name is not None:
                self._names.add(own.name)
        for target in others:
            with self._lock:
                is_new = target.name not in self._names
                self._names.add(target.name or "")
            if target.answers and is_new:
                self._add(target.base, self._wanted.since)

    def _add(self, base: str, since: str | None) -> None:
        with self._lock:
            if base in self._known:
                return
            self._known.add(base)
        listener = MemberListener(base, self._pools, since=since, follow=True)
        threading.Thread(
            target=self._listen, args=(listener,), name=base, daemon=True
        ).start()

    def _listen(self, listener: MemberListener) -> None:
        told = ""
        while True:
            try:
                for document in listener.events():
                    told = ""
                    event = _validated(document)
                    if event is None:
                        continue
                    self._take(event)
                    if name_of(event.type) == "member.joined":
                        self._look()
                why = "the connection ended"
            except (NoAnswer, CertificateUnusable) as error:
                why = str(error)
            if why != told:
                self._tell(f"{listener.base}: {why}; it is asked again")
                told = why
            time.sleep(AGAIN_AFTER)


def _stream(
    where: _NatsPlace, library: Any, wanted: Wanted, take: Take, tell: Tell
) -> None:
    since = None if wanted.since is None else datetime.fromisoformat(wanted.since)
    last: int | None = None
    told = ""
    while True:
        try:
            with library.StreamReader(where.server, wanted.nats) as reader:
                for message in reader.follow(where.stream, where.subjects, since, last):
                    told = ""
                    if message is None:
                        continue
                    event = _event(message.payload)
                    if event is not None:
                        take(event)
                    last = message.sequence or last
        except library.StreamUnreadable as error:
            if str(error) != told:
                told = str(error)
                tell(f"{where.shown}: {told}; it is asked again")
        if last is None and since is None:
            since = datetime.now(UTC)  # what comes while nobody listens is not missed
        time.sleep(AGAIN_AFTER)


def _tail(directory: Path, wanted: Wanted, take: Take) -> None:
    """A journal on this host; the whole of it is read, since what came before tells what
    later records mean."""
    reader: EventReader | None = None
    is_past = wanted.since is None  # then what there is already is not asked for
    for item in follow(directory, EVERYTHING):
        if isinstance(item, int):
            is_past = False
            time.sleep(NAP)
        elif isinstance(item, Record):
            if reader is None:
                reader = EventReader(_reporter(item))
            events = reader.read(item)
            if not is_past and (wanted.since is None or item.wall >= wanted.since):
                for event in events:
                    take(event)


def _reporter(record: Record) -> Reporter:
    """The first record of a segment says whose journal it is."""
    fields = record.fields
    return Reporter(str(fields.get("scope", "?")), str(fields.get("member", "?")))


def _journal(place: str) -> Path:
    found = list(journals(Path(place))) if Path(place).is_dir() else []
    if len(found) != 1:
        raise PlaceUnusable(
            f"{place}: to follow a journal, name the directory of one member"
        )
    return found[0]


def _nats_place(place: str) -> _NatsPlace:
    """`nats://HOST:PORT[/SCOPE][?stream=NAME&prefix=SUBJECT]`.  Raises PlaceUnusable."""
    shown = masked_text(place)
    try:
        parts = urlsplit(place)
        _ = parts.port
    except ValueError as error:
        raise PlaceUnusable(f"{shown}: this is no URL: {error}") from error
    if not parts.hostname:
        raise PlaceUnusable(f"{shown}: write nats://HOST:PORT/CLUSTER")
    given = parse_qs(parts.query)
    prefix = given.get("prefix", [PREFIX])[-1]
    scope = unquote(parts.path.strip("/")) or None
    return _NatsPlace(
        shown,
        f"{parts.scheme}://{parts.netloc}",
        given.get("stream", [STREAM])[-1],
        subjects_of(prefix, scope),
    )


def _nats() -> Any:
    """The client's library is an extra: only who reads a stream needs it."""
    if importlib.util.find_spec(LIBRARY) is None:
        raise PlaceUnusable(
            "the Python package nats-py is not installed: pip install 'regnal[nats]'"
        )
    return importlib.import_module(_READER)


def _event(payload: bytes) -> CloudEvent | None:
    """None: somebody else published something else there."""
    with contextlib.suppress(ValidationError):
        return CloudEvent.model_validate_json(payload)
    return None


def _validated(document: dict[str, Any]) -> CloudEvent | None:
    with contextlib.suppress(ValidationError):
        return CloudEvent.model_validate(document)
    return None
