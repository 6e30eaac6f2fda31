"""The prober: asks other members on their REST API, all of them at once.

One thread with one event loop.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from regnal.bridges.contract import Clock, HybridClock, Voice
from regnal.bridges.http.caller import Answer, Caller, NoAnswer
from regnal.bridges.http.loops import LoopThread
from regnal.bridges.http.options import ClientOptions
from regnal.messages.base import Command, MemberName, Message, Seconds
from regnal.messages.envelope import Envelope
from regnal.messages.probes import (
    AskFailsafe,
    FailsafeAnswered,
    FailsafeVote,
    PeersProbed,
    PeerStatus,
    ProbePeers,
    ProbeTarget,
)

ALIVE_WITHIN: Seconds = 3

AskPostgres: TypeAlias = Callable[[str, Seconds], bool | None]
"""Whether the PostgreSQL at this conn_url takes writes; None: it does not tell.  Waits
no longer than the time that is given."""


class Prober:
    """Performs `ProbePeers` and `AskFailsafe`."""

    def __init__(
        self,
        options: ClientOptions,
        voice: Voice,
        clock: Clock,
        hybrid_clock: HybridClock,
        ask_postgres: AskPostgres,
    ) -> None:
        self._ask_postgres = ask_postgres
        self._caller = Caller(options)
        self._hybrid_clock = hybrid_clock
        self._voice = voice
        self._clock = clock
        self._thread = LoopThread("http-prober")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._thread.stop()

    def reconfigure(self, options: ClientOptions) -> None:
        self._caller = Caller(options)

    def perform(self, envelope: Envelope[Command]) -> None:
        command: Message = envelope.message
        match command:
            case ProbePeers():
                self._thread.begin(self._probe(envelope, command))
            case AskFailsafe():
                self._thread.begin(self._ask(envelope, command))

    async def _probe(self, envelope: Envelope[Command], command: ProbePeers) -> None:
        asked_at = self._clock()
        peers = await asyncio.gather(
            *(
                self._status_of(target, target.within or command.timeout)
                for target in command.targets
            )
        )
        probed = PeersProbed(
            peers=tuple(peers), asked_at=asked_at, request=command.request
        )
        self._voice.say(probed, envelope)

    async def _ask(self, envelope: Envelope[Command], command: AskFailsafe) -> None:
        # What the others promise counts from before they were asked.
        asked_at = self._clock()
        votes = await asyncio.gather(
            *(self._vote_of(target, command) for target in command.targets)
        )
        self._voice.say(
            FailsafeAnswered(votes=tuple(votes), asked_at=asked_at), envelope
        )

    async def _status_of(self, target: ProbeTarget, timeout: Seconds) -> PeerStatus:
        if target.conn_url is None:
            return await self._daemon_of(target, timeout)
        status, takes_writes = await asyncio.gather(
            self._daemon_of(target, timeout),
            asyncio.to_thread(self._ask_postgres, target.conn_url, timeout),
        )
        return status.model_copy(update={"takes_writes": takes_writes})

    async def _daemon_of(self, target: ProbeTarget, timeout: Seconds) -> PeerStatus:
        try:
            answer = await self._call(target, "GET", target.api_url, timeout)
            status = parse_status(target.name, answer.body)
        except (NoAnswer, ValueError) as error:
            return PeerStatus(name=target.name, answered=False, error=str(error))
        return status.model_copy(update={"hlc": answer.stamp})

    async def _vote_of(self, target: ProbeTarget, command: AskFailsafe) -> FailsafeVote:
        """One retry, within the same time, where the connection failed."""
        body = command.document.encode()
        deadline = asyncio.get_running_loop().time() + command.timeout
        error = ""
        for _ in range(2):
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                break
            try:
                url = _beside(target.api_url, "failsafe")
                answer = await self._call(target, "POST", url, left, body)
            except NoAnswer as trouble:
                error = str(trouble)
                continue
            text = answer.body.decode("utf-8", "replace")
            if answer.status == 200 and text == "Accepted":
                lsn = answer.headers.get("lsn", "")
                return FailsafeVote(
                    name=target.name,
                    accepted=True,
                    lsn=int(lsn) if lsn.isdecimal() and len(lsn) < 20 else None,
                )
            error = f"{answer.status} {text[:200]}"
            break
        return FailsafeVote(name=target.name, accepted=False, error=error)

    async def _call(
        self,
        target: ProbeTarget,
        method: str,
        url: str,
        timeout: Seconds,
        body: bytes | None = None,
    ) -> Answer:
        """Ask a member; both are shown the other's hybrid clock.  Raises NoAnswer."""
        began = self._clock()
        stamp = self._hybrid_clock.shown()
        answer = await self._caller.call(method, url, timeout, body, stamp)
        if answer.stamp is not None:
            # Now: the answers of others may take longer.
            skew = self._hybrid_clock.heard_in_answer(
                target.name, answer.stamp, self._clock() - began
            )
            if skew is not None:
                self._voice.say(skew)
        return answer


def is_alive(api_url: str, options: ClientOptions) -> bool:
    """P-ELEC-14: whether a daemon answers there (`GET /liveness`), whatever it says.

    To be asked before our own API listens.  Takes at most ALIVE_WITHIN seconds.
    """
    return asyncio.run(_is_alive(api_url, options))


async def _is_alive(api_url: str, options: ClientOptions) -> bool:
    try:
        await Caller(options).call("GET", _beside(api_url, "liveness"), ALIVE_WITHIN)
    except NoAnswer:
        return False
    return True


def parse_status(name: MemberName, body: bytes) -> PeerStatus:
    """The document of `GET /patroni` (docs/contracts.md 4.3) of whatever product.

    Raises ValueError.
    """
    try:
        document = json.loads(body)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(document, dict):
        raise ValueError("not a status document")
    role = document.get("role")
    tags = _mapping(document.get("tags"))
    priority = tags.get("failover_priority", 1)
    return PeerStatus(
        name=name,
        answered=True,
        role="primary" if role == "master" else _text(role),
        state=_text(document.get("state")),
        timeline=_number(document.get("timeline")),
        position=_position(_mapping(document.get("xlog", document.get("wal")))),
        nofailover=_truth(tags.get("nofailover")),
        failover_priority=_integer(priority),
        watchdog_failed=_truth(document.get("watchdog_failed")),
        barred=_truth(document.get("barred")),
    )


def _position(xlog: Mapping[str, Any]) -> int | None:
    location = _number(xlog.get("location"))
    if location is not None:
        return location
    received = _number(xlog.get("received_location"))
    replayed = _number(xlog.get("replayed_location"))
    if received is None and replayed is None:
        return None
    return max(received or 0, replayed or 0)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _integer(value: Any) -> int:
    """A tag may be text; what cannot be read is the default."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return 1


def _truth(value: Any) -> bool:
    if isinstance(value, str):
        return value.lower() in ("true", "yes", "on", "1")
    return bool(value)


def _beside(api_url: str, name: str) -> str:
    """Another endpoint of the same API.  Raises NoAnswer if that is no URL."""
    try:
        parts = urlsplit(api_url)
    except ValueError as error:
        raise NoAnswer(str(error)) from error
    return f"{parts.scheme}://{parts.netloc}/{name}"
