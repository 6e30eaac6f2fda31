"""Journals that a NATS JetStream stream keeps (journal/stream_layout.py).

A message may come twice, late or out of its order, and the oldest may be gone: the
records of each member are sorted by number and laid down as segments.
"""

import importlib
import importlib.util
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from regnal.journal.stream_layout import PREFIX, STREAM, name_in, subjects_of
from regnal.messages.base import Bytes, Seconds
from regnal.messages.masking import masked_text
from regnal.replay.sources.gathering import FoundJournal, Gathered, Question, Workshop
from regnal.replay.sources.spool import Spool

LIBRARY = "nats"
_READER = "regnal.bridges.nats.stream_reader"

LEAD = timedelta(days=1, hours=1)
"""So much before the first moment that is asked for, reading begins: a segment, which
tells what the actors knew, lasts a day; and a message is published after it was said."""

LONGEST_READ: Seconds = 1800.0
LARGEST_READ: Bytes = 8 * 1024**3
"""Of all that is taken out of one stream."""

MAXIMUM_MEMBERS = 1000
"""Of one cluster; each takes a directory."""

HEARD_EVERY = 500
"""Messages between two reports of progress."""


class _Place(NamedTuple):
    shown: str
    """Without the password."""

    server: str
    """With it."""

    stream: str
    scope: str | None
    """None: not said."""


class _NotUsable(Exception):
    """Nothing can be read; the text says why."""


def find_in_stream(
    text: str, question: Question, shop: Workshop, gathered: Gathered
) -> None:
    """`nats://host:port/cluster`, or without the cluster where there is only one."""
    shown = masked_text(text)
    try:
        place = _parsed(text, shown)
        _Reading(place, question, shop, gathered).run()
    except _NotUsable as error:
        gathered.trouble("stream_unusable", shown, f"{shown}: {error}")
    except OSError as error:
        gathered.trouble(
            "stream_unusable",
            shown,
            f"{shown}: what came cannot be stored: {error}; set TMPDIR to a directory "
            "with room",
        )


def _parsed(text: str, shown: str) -> _Place:
    """Raises _NotUsable."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise _NotUsable(f"this is no URL: {error}") from error
    if not parts.hostname:
        raise _NotUsable("no server is named; write nats://HOST:PORT/CLUSTER")
    given = parse_qs(parts.query)
    return _Place(
        shown,
        f"{parts.scheme}://{parts.netloc}",
        given.get("stream", [STREAM])[-1],
        unquote(parts.path.strip("/")) or None,
    )


class _Reading:
    """One stream, from one end to the other."""

    def __init__(
        self, place: _Place, question: Question, shop: Workshop, gathered: Gathered
    ) -> None:
        self._place = place
        self._question = question
        self._shop = shop
        self._findings = gathered
        self._spools: dict[str, Spool] = {}
        self._rubbish = 0
        self._size: Bytes = 0

    def run(self) -> None:
        """Raises _NotUsable, OSError."""
        library = _library()
        try:
            with library.StreamReader(
                self._place.server, self._question.nats
            ) as reader:
                self._read(reader)
        except library.StreamUnreadable as error:
            if not self._spools:
                raise _NotUsable(str(error)) from error
            self._cut_off(str(error))
        self._finish()

    def _read(self, reader: Any) -> None:
        stream = self._place.stream
        subjects = reader.subjects(stream, f"{PREFIX}.>")
        matching = subjects_of(self._scope(subjects))
        until = time.monotonic() + LONGEST_READ
        since = self._question.since
        begin = None if since is None else datetime.fromisoformat(since) - LEAD
        for count, message in enumerate(reader.messages(stream, matching, begin)):
            self._take(message.subject, message.payload)
            if count % HEARD_EVERY == 0:
                self._question.progress("reading the stream", self._size, None)
            if self._size > LARGEST_READ or time.monotonic() > until:
                self._cut_off("there is too much in it; give --since")
                return

    def _scope(self, subjects: Mapping[str, int]) -> str:
        """Raises _NotUsable where it is not clear which cluster is meant."""
        scopes = sorted({name_in(s.split(".")[2]) for s in subjects if _is_ours(s)})
        chosen = self._place.scope
        if chosen is None and len(scopes) == 1:
            return scopes[0]
        listed = ", ".join(scopes) or "none"
        if chosen is None and scopes:
            raise _NotUsable(f"several clusters are in it ({listed}); add /CLUSTER")
        if chosen is None or chosen not in scopes:
            raise _NotUsable(
                f"no journal of {chosen or 'any cluster'} is in the stream "
                f"{self._place.stream}; clusters in it: {listed}"
            )
        return chosen

    def _take(self, subject: str, payload: bytes) -> None:
        self._size += len(payload)
        if subject not in self._spools:
            if len(self._spools) >= MAXIMUM_MEMBERS:
                self._rubbish += 1
                return
            self._spools[subject] = Spool(self._shop.new())
        if not self._spools[subject].add(payload):
            self._rubbish += 1

    def _finish(self) -> None:
        for subject, spool in sorted(self._spools.items()):
            _, _, scope, member = subject.split(".")
            self._findings.spoken_of.add(name_in(member))
            self._findings.journals += [
                FoundJournal(directory, self._place.shown, name_in(scope))
                for directory in spool.finish()
            ]
        if not self._spools:
            self._findings.trouble(
                "no_journal",
                self._place.shown,
                f"{self._place.shown}: nothing was published in this time; give an "
                "earlier --since",
            )
        if self._rubbish:
            self._findings.trouble(
                "stream_rubbish",
                self._place.shown,
                f"{self._place.shown}: {self._rubbish} messages are no records and are "
                "left out; does somebody else publish there?",
            )

    def _cut_off(self, why: str) -> None:
        self._findings.trouble(
            "answer_cut_off",
            self._place.shown,
            f"{self._place.shown}: not all of it was read: {why}",
        )


def _is_ours(subject: str) -> bool:
    return subject.count(".") == 3


def _library() -> Any:
    """The client's library is an extra: only who reads a stream needs it."""
    if importlib.util.find_spec(LIBRARY) is None:
        raise _NotUsable(
            "the Python package nats-py is not installed: pip install 'regnal[nats]'"
        )
    return importlib.import_module(_READER)
