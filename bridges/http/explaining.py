"""`GET /explain`: what happened, and why, as `regnal explain` tells it.

The explanation is made elsewhere (the runtime has it run in a process of its own); here
one thread waits for it on behalf of the client, and has it ended if the client leaves.
"""

import asyncio
import json
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import parse_qs

from regnal.bridges.http.responses import Response, text
from regnal.messages.base import JsonText, Seconds, WallTime

logger = logging.getLogger(__name__)

LATEST = "latest"
"""The incident that is meant where none is named."""

MAXIMUM_NAME = 200
"""Characters of an incident's name."""

STOP_WITHIN: Seconds = 1.0

CONTENT_TYPES = {
    "json": "application/json",
    "text": "text/plain; charset=utf-8",
    "markdown": "text/markdown; charset=utf-8",
    "html": "text/html; charset=utf-8",
}
"""By the formats of `regnal explain`."""


class Told(NamedTuple):
    """What became of an explanation."""

    status: int
    """Of the HTTP answer."""

    body: bytes


class Question(NamedTuple):
    """What a client wants to know."""

    incident: str
    form: str
    since: WallTime | None
    """When it began, where that is known."""


Explain = Callable[[Question, threading.Event], Told]
"""Blocks until it is told, or the event is set: nobody wants it any more."""


@dataclass(slots=True)
class _Job:
    question: Question
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[Told]
    dropped: threading.Event

    def answer(self, told: Told) -> None:
        """From the thread that waited for it."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._set, told)

    def _set(self, told: Told) -> None:
        if not self.done.done():
            self.done.set_result(told)


class ExplainDesk:
    """The thread that waits; one client at a time, others are told to come again."""

    def __init__(self, explain: Explain) -> None:
        self._explain = explain
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._current: _Job | None = None
        self._thread = threading.Thread(
            target=self._work, name="http-explain", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        current = self._current
        if current is not None:
            current.dropped.set()
        self._jobs.put(None)
        if self._thread.is_alive():
            self._thread.join(STOP_WITHIN)

    async def ask(self, question: Question) -> Told:
        """From the event loop.  Cancelled when the client leaves."""
        if self._current is not None:
            return BUSY
        loop = asyncio.get_running_loop()
        job = _Job(question, loop, loop.create_future(), threading.Event())
        self._current = job
        self._jobs.put(job)
        try:
            return await job.done
        finally:
            job.dropped.set()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            told = FAILED
            try:
                told = self._explain(job.question, job.dropped)
            except Exception:  # the edge of a thread, which has to serve the next
                logger.exception(
                    "Explaining %s for a client failed.", job.question.incident
                )
            finally:
                self._current = None
                job.answer(told)


BUSY = Told(503, b"Another explanation is under way; try again later")
FAILED = Told(500, b"Internal error")


def parse_question(query: str) -> tuple[str, str]:
    """Incident and format.  Raises ValueError with a text for the client."""
    given = parse_qs(query, keep_blank_values=True, max_num_fields=20)
    values = {name: texts[-1] for name, texts in given.items()}
    for name in values:
        if name not in ("incident", "format"):
            raise ValueError(f"unknown parameter {name[:100]!r}")
    incident = values.get("incident") or LATEST
    if len(incident) > MAXIMUM_NAME:
        raise ValueError(f"an incident's name has at most {MAXIMUM_NAME} characters")
    form = values.get("format") or "json"
    if form not in CONTENT_TYPES:
        raise ValueError(f"format must be one of {', '.join(CONTENT_TYPES)}")
    return incident, form


async def explain(desk: ExplainDesk, incidents: JsonText, query: str) -> Response:
    """The answer to GET /explain; `incidents` is the list of GET /incidents."""
    try:
        incident, form = parse_question(query)
    except ValueError as error:
        return text(400, f"Bad parameters: {error}")
    told = await desk.ask(Question(incident, form, _began(incidents, incident)))
    if told.status != 200:
        return Response(told.status, told.body)
    return Response(200, told.body, CONTENT_TYPES[form])


def _began(incidents: JsonText, name: str) -> WallTime | None:
    """When the incident began, or for the latest the last that nobody had wanted."""
    for known in json.loads(incidents):
        is_latest = name == LATEST and known["weight"] != "notice"
        if is_latest or name in (known["name"], *known["includes"]):
            return str(known["began"])
    return None
