"""What the REST API answers to whom; the wire is `http1`'s business.

Safe requests are answered at once from the last snapshot.  Unsafe ones are checked,
said as a message, and wait for the `RequestAnswered` that belongs to them.
"""

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from regnal.bridges.contract import Clock, HybridClock
from regnal.bridges.http import access, writes
from regnal.bridges.http.event_stream import EventDesk
from regnal.bridges.http.explaining import ExplainDesk, explain
from regnal.bridges.http.http1 import Answer, Request, Stream
from regnal.bridges.http.journal_stream import JournalReader, journal
from regnal.bridges.http.metrics import measured
from regnal.bridges.http.options import RestOptions
from regnal.bridges.http.reads import (
    NO_INCIDENTS,
    check,
    metrics,
    nothing_known,
    read,
    serve,
    serve_incidents,
    split,
)
from regnal.bridges.http.responses import Format, Rendered, Response, text
from regnal.bridges.http.stamp_header import STAMP_HEADER, with_stamp
from regnal.bridges.metric import Measured
from regnal.messages.base import JsonText, MemberName, Message, RequestId, Seconds
from regnal.messages.requests import Caller, RequestAnswered, RequestRejected
from regnal.messages.status import StatusSnapshot

logger = logging.getLogger(__name__)

ANSWER_WITHIN: Seconds = 3600
"""Until a request is given up: a restart may take its primary_start_timeout."""

SAFE = ("GET", "HEAD", "OPTIONS")
PRIMARY_CHECKS = ("/", "/primary", "/master", "/read-write")
_STAMP_KEY = STAMP_HEADER.lower()

Say = Callable[[Message], bool]
"""Says a message without waiting; False: too many wait already."""

MoreMetrics = Callable[[], Sequence[Measured]]
"""What GET /metrics has beside the snapshot's values; quick, from any thread."""


class Service:
    """Methods belong to the server's thread, but for `publish`, `withdraw` and
    `reconfigure`: these replace one reference, so that readers need no lock."""

    def __init__(
        self,
        *,
        name: MemberName,
        scope: str,
        incarnation: int,
        product: str,
        peer_version: str,
        options: RestOptions,
        clock: Clock,
        hybrid_clock: HybridClock,
        say: Say,
        reader: JournalReader | None,
        explainer: ExplainDesk | None,
        more_metrics: MoreMetrics | None = None,
        events: EventDesk | None = None,
    ) -> None:
        self._name = name
        self._incarnation = incarnation
        self._product = product
        self._clock = clock
        self._hybrid_clock = hybrid_clock
        self._say = say
        self._reader = reader
        self._explainer = explainer
        self._more_metrics = more_metrics
        self._events = events
        self._numbers = itertools.count(1)
        self._answers: dict[RequestId, asyncio.Future[RequestAnswered]] = {}
        self._replacing = threading.Lock()
        """Among those who replace; nobody who reads takes it."""

        self._options = options
        self.format = _format(options, product)
        snapshot = nothing_known(name, scope, peer_version, clock())
        incidents = serve_incidents(NO_INCIDENTS, self.format)
        self._served = serve(snapshot, self.format, incidents)

    # From any thread.

    def measured(self) -> Sequence[Measured]:
        """What GET /metrics would tell; from any thread."""
        more = self._more_metrics() if self._more_metrics is not None else ()
        return [*measured(self._served.snapshot), *more]

    def publish(self, snapshot: StatusSnapshot) -> None:
        with self._replacing:
            self._served = serve(snapshot, self.format, self._served.incidents)

    def publish_incidents(self, document: JsonText) -> None:
        with self._replacing:
            served = serve_incidents(document, self.format)
            self._served = replace(self._served, incidents=served)

    def withdraw(self) -> None:
        with self._replacing:
            self._served = replace(self._served, withdrawn=True)

    def reconfigure(self, options: RestOptions) -> None:
        with self._replacing:
            self._options = options
            self.format = _format(options, self._product)
            served = self._served
            self._served = serve(
                served.snapshot,
                self.format,
                serve_incidents(served.incidents.document, self.format),
                withdrawn=served.withdrawn,
            )

    # From the server's thread.

    def answer(self, answered: RequestAnswered) -> None:
        """Later answers to the same request, and those nobody waits for, are dropped."""
        waiting = self._answers.pop(answered.request, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(answered)

    def respond(self, request: Request) -> Answer | Coroutine[Any, Any, Answer]:
        if not logger.isEnabledFor(logging.DEBUG):
            return self._respond(request)
        begun = time.perf_counter()
        answer = self._respond(request)
        logger.debug(
            '%s "%s %s" answered in %.3f ms',
            request.address,
            request.method,
            request.target,
            (time.perf_counter() - begun) * 1000,
        )
        return answer

    def _respond(self, request: Request) -> Answer | Coroutine[Any, Any, Answer]:
        theirs = request.headers.get(_STAMP_KEY)
        if theirs is None:
            return self._find(request)
        skew = self._hybrid_clock.heard_in_request(theirs)
        if skew is not None:
            self._say(skew)  # where too many wait already it is not worth a place
        found = self._find(request)
        if isinstance(found, Rendered | Response | Stream | bytes):
            return with_stamp(found, self._hybrid_clock.shown())
        return self._stamped(found)

    async def _stamped(self, found: Coroutine[Any, Any, Answer]) -> Answer:
        answer = await found
        # Now, not when it was asked: what led to the answer came before it.
        return with_stamp(answer, self._hybrid_clock.shown())

    def _find(self, request: Request) -> Answer | Coroutine[Any, Any, Answer]:
        served = self._served
        if request.method == "GET" and request.target in PRIMARY_CHECKS:
            # The question of every load balancer, several times a second.
            return served.passed if check(served, "", self._clock()) else served.failed
        if request.method in SAFE:
            name, query = split(request.target)
            if name == "journal" and request.method == "GET":
                return self._guarded(request, self._read_journal(query))
            if name == "events" and request.method == "GET":
                return self._guarded(request, self._tell_events(request, query))
            if name == "explain" and request.method == "GET":
                request.is_costly = True
                return self._guarded(request, self._explain(query))
            if name == "metrics" and request.method == "GET" and self._more_metrics:
                return metrics(served.snapshot, self._more_metrics())
            brief = request.method != "GET"
            return read(served, request.target, self._clock(), brief=brief)
        route = writes.route_of(request)
        if route is None:
            return text(501, f"Unsupported method ('{request.method}')")
        return self._guarded(request, self._order(request, route))

    async def _guarded(
        self, request: Request, allowed: Coroutine[Any, Any, Answer]
    ) -> Answer:
        """`allowed`, for those who may."""
        try:
            refusal = await access.refusal(
                self._options,
                request,
                self._served.snapshot.cluster,
                ask_members=split(request.target)[0] != "failsafe",
            )
            if refusal is None:
                return await allowed
            self._reject(request, refusal.status, refusal.body.decode())
            return refusal
        except Exception:  # the edge: a stranger's request must not end the server
            logger.exception("Could not answer %s %s.", request.method, request.target)
            return text(500, "Internal error")
        finally:
            allowed.close()

    async def _order(self, request: Request, route: writes.Route) -> Answer:
        number = f"{self._name}/{self._incarnation}/r{next(self._numbers)}"
        try:
            message = writes.understand(route, request, number, caller_of(request))
        except writes.Refused as refused:
            self._reject(request, refused.status, refused.why)
            return text(refused.status, refused.why)
        waiting: asyncio.Future[RequestAnswered]
        waiting = asyncio.get_running_loop().create_future()
        self._answers[number] = waiting
        try:
            if not self._say(message):
                return text(503, "Too many requests are waiting")
            async with asyncio.timeout(ANSWER_WITHIN):
                answered = await waiting
        except TimeoutError:
            return text(504, "No answer yet; the operation may still be in progress")
        finally:
            self._answers.pop(number, None)
        headers = tuple((header.name, header.value) for header in answered.headers)
        return Response(
            answered.status, answered.body.encode(), answered.content_type, headers
        )

    async def _read_journal(self, query: str) -> Answer:
        if self._reader is None:
            return text(503, "The journal cannot be read")
        return journal(self._reader, query)

    async def _tell_events(self, request: Request, query: str) -> Answer:
        if self._events is None:
            return text(503, "Events are not to be had here")
        return self._events.answer(query, request.headers)

    async def _explain(self, query: str) -> Answer:
        if self._explainer is None:
            return text(503, "Explanations are not to be had here")
        incidents = self._served.incidents.document
        return await explain(self._explainer, incidents, query)

    def _reject(self, request: Request, status: int, why: str) -> None:
        rejected = RequestRejected(
            caller=caller_of(request),
            method=request.method,
            path=request.target[:200],
            status=status,
            why=why[:1000],
        )
        if not self._say(rejected):
            logger.warning(
                "Refused %s %s of %s: %s",
                request.method,
                rejected.path,
                request.address,
                why,
            )


def caller_of(request: Request) -> Caller:
    agent = request.headers.get("user-agent")
    return Caller(
        address=request.address,
        username=access.username_of(request),
        user_agent=agent[:200] if agent else None,
    )


def _format(options: RestOptions, product: str) -> Format:
    """`product`: name, version and what it runs on, blank-separated."""
    name, _, rest = product.partition("/")
    version = rest.partition(" ")[0]
    server = {
        "original": product,
        "productonly": name,
        "minimal": f"{name}/{version}",
    }[options.server_tokens]
    extra = dict(options.http_extra_headers)
    if options.tls is not None:
        extra.update(options.https_extra_headers)
    return Format(server, tuple(extra.items()))
