"""A REST API that really listens, and those around it."""

import contextlib
import http.client
import json
import queue
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from regnal.bridges.http.bridge import HttpBridge
from regnal.bridges.http.event_stream import EventSource
from regnal.bridges.http.explaining import Explain
from regnal.bridges.http.journal_stream import JournalSource
from regnal.bridges.http.options import ClientOptions, RestOptions
from regnal.bridges.http.prober import AskPostgres
from regnal.bridges.http.reads import nothing_known
from regnal.bridges.http.service import MoreMetrics
from regnal.journal.stamps import Clocks, Stamper
from regnal.messages.base import Command, Instant, Message
from regnal.messages.envelope import Envelope, HybridTime
from regnal.messages.requests import RequestAnswered
from regnal.messages.status import PublishStatus, StatusSnapshot, WithdrawPrimary
from regnal.runtime.other_clocks import OtherClocks

DEADLINE = 10.0
"""Seconds that anything may take in a test."""

PLAIN = RestOptions(
    listen_host="127.0.0.1",
    listen_port=0,
    connect_host="127.0.0.1",
    connect_port=8008,
    tls=None,
    credentials=None,
    allowlist=(),
    allowlist_include_members=False,
    http_extra_headers={},
    https_extra_headers={},
    server_tokens="original",
    request_queue_size=5,
    thread_pool_size=5,
)
CLIENT = ClientOptions(
    credentials=None,
    insecure=False,
    cacert=None,
    certfile=None,
    keyfile=None,
    keyfile_password=None,
)


def boot_clock() -> Instant:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def snapshot(**fields: Any) -> StatusSnapshot:
    """A member of which nothing is known, but for `fields`."""
    bare = nothing_known("pg1", "demo", "4.1.5", boot_clock())
    return bare.model_copy(update=fields)


def primary(**fields: Any) -> StatusSnapshot:
    """The primary, with a lease of 100 s."""
    return snapshot(
        **{
            "state": "running",
            "role": "primary",
            "is_running": True,
            "accepts_writes": True,
            "store_known": True,
            "leader_until": boot_clock() + 100,
            "document": '{"state": "running", "role": "primary"}',
            **fields,
        }
    )


def replica(**fields: Any) -> StatusSnapshot:
    """A streaming replica without lag."""
    return snapshot(
        **{
            "state": "running",
            "role": "replica",
            "is_running": True,
            "is_replica": True,
            "store_known": True,
            "replication_state": "streaming",
            "replayed_lsn": 1000,
            "received_lsn": 1000,
            "leader_lsn": 1000,
            "maximum_lag_on_failover": 1048576,
            "document": '{"state": "running", "role": "replica"}',
            **fields,
        }
    )


def envelope(message: Any) -> Envelope[Any]:
    return Envelope(
        id="pg1/1/1",
        hlc=HybridTime(0, 0, "pg1"),
        at=boot_clock(),
        said_by="rest",
        cause=None,
        trace=None,
        message=message,
    )


class FixedJournal:
    """A journal with these lines."""

    def __init__(self, lines: Callable[[], Iterator[bytes]]) -> None:
        self._lines = lines

    def lines(
        self, since: str | None, until: str | None, *, follow: bool
    ) -> Iterator[bytes]:
        return self._lines()

    def archive(self, since: str | None, until: str | None) -> Iterator[bytes]:
        return self._lines()


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    """By lower-case name."""

    text: str

    @property
    def document(self) -> Any:
        return json.loads(self.text)


Answering = Callable[[Any], RequestAnswered | None]


@dataclass
class Daemon:
    """What is behind the API: hears what it says, and answers requests."""

    answering: Answering = lambda message: None
    said: "queue.Queue[Message]" = field(default_factory=queue.Queue)
    bridge: HttpBridge | None = None

    def say(self, message: Message, cause: Envelope[Message] | None = None) -> None:
        self.said.put(message)
        answered = self.answering(message)
        if answered is not None:
            self.order(answered)

    def order(self, command: Command) -> None:
        assert self.bridge is not None
        self.bridge.perform(envelope(command))

    def heard(self) -> Message:
        """The next message that the API says."""
        return self.said.get(timeout=DEADLINE)


class Api:
    """A running REST API, and a client for it."""

    def __init__(self, bridge: HttpBridge, daemon: Daemon) -> None:
        self.bridge = bridge
        self.daemon = daemon
        self.tls: ssl.SSLContext | None = None

    @property
    def port(self) -> int:
        return self.bridge.port

    def publish(self, shown: StatusSnapshot) -> None:
        self.daemon.order(PublishStatus(snapshot=shown))

    def withdraw(self) -> None:
        self.daemon.order(WithdrawPrimary())

    def connect(self) -> http.client.HTTPConnection:
        if self.tls is not None:
            return http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=DEADLINE, context=self.tls
            )
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request on a connection of its own; `body` as JSON, unless bytes."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, data, dict(headers or {}))
            return read_reply(connection)

    def status(self, path: str) -> int:
        return self.ask("GET", path).status

    def raw(self, request: bytes) -> bytes:
        """All that comes back until the connection ends."""
        with socket.create_connection(("127.0.0.1", self.port), DEADLINE) as client:
            client.settimeout(DEADLINE)
            client.sendall(request)
            return read_all(client)


def read_reply(connection: http.client.HTTPConnection) -> Reply:
    response = connection.getresponse()
    text = response.read().decode()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Reply(response.status, headers, text)


def read_all(client: socket.socket) -> bytes:
    received = b""
    while data := client.recv(65536):
        received += data
    return received


@contextlib.contextmanager
def serving(
    options: RestOptions = PLAIN,
    *,
    client: ClientOptions = CLIENT,
    answering: Answering = lambda message: None,
    clocks: OtherClocks | None = None,
    journal: JournalSource | None = None,
    explain: Explain | None = None,
    events: EventSource | None = None,
    more_metrics: MoreMetrics | None = None,
    ask_postgres: AskPostgres = lambda conn_url, timeout: None,
) -> Iterator[Api]:
    """`clocks`: None: of a member that is alone; `ask_postgres`: nobody tells."""
    daemon = Daemon(answering)
    bridge = HttpBridge(
        member="pg1",
        scope="demo",
        incarnation=3,
        peer_version="4.1.5",
        options=options,
        client=client,
        voice=daemon,
        clock=boot_clock,
        hybrid_clock=clocks or OtherClocks(Stamper("pg1", 3, Clocks())),
        journal=journal,
        explain=explain,
        events=events,
        more_metrics=more_metrics,
        ask_postgres=ask_postgres,
    )
    daemon.bridge = bridge
    bridge.start()
    try:
        yield Api(bridge, daemon)
    finally:
        bridge.stop()


def answered(status: int, body: str, **fields: Any) -> Answering:
    """Every request is answered like this."""

    def answer(message: Any) -> RequestAnswered | None:
        if not hasattr(message, "request"):
            return None
        return RequestAnswered(
            request=message.request, status=status, body=body, **fields
        )

    return answer
