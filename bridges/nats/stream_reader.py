"""Reading a JetStream stream from one end to the other, without asyncio outside.

    with StreamReader("nats://10.0.0.7:4222") as reader:
        for subject, payload in reader.messages("REGNAL_JOURNAL", "regnal.journal.>"):

The consumer is our own and nobody else's, and leaves no trace: nothing is acknowledged,
and the server forgets it when we are gone.
"""

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple, Self, TypeVar

import nats
from nats.aio.client import Client
from nats.errors import Error
from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from regnal.messages.base import Seconds

CONNECT_TIMEOUT = 5
"""Seconds."""

SILENCE: Seconds = 10.0
"""Of a server that should be sending."""

BATCH = 500
"""Messages that are asked for at once."""

T = TypeVar("T")


class StreamUnreadable(Exception):
    """The server does not answer, or has no such stream; the text says which."""


class StreamMessage(NamedTuple):
    subject: str
    payload: bytes


class StreamReader:
    """A connection, used by one thread."""

    def __init__(self, url: str) -> None:
        """`nats://` or `tls://`, with the account if one is needed."""
        self._url = url
        self._runner = asyncio.Runner()
        self._client = Client()

    def __enter__(self) -> Self:
        """Connects.  Raises StreamUnreadable."""
        try:
            self._run(self._connect())
        except StreamUnreadable:
            self._runner.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._run(self._client.close())
        finally:
            self._runner.close()

    def subjects(self, stream: str, matching: str) -> Mapping[str, int]:
        """Subjects in the stream that match, and how many messages each has.

        Raises StreamUnreadable.
        """
        info = self._run(
            self._client.jetstream().stream_info(stream, subjects_filter=matching)
        )
        return info.state.subjects or {}

    def messages(
        self, stream: str, matching: str, since: datetime | None = None
    ) -> Iterator[StreamMessage]:
        """What is in the stream now, in its order; `since`: published from then on.

        Raises StreamUnreadable, also after some messages have come.
        """
        subscription = self._run(self._subscribe(stream, matching, since))
        pending = self._run(subscription.consumer_info()).num_pending or 0
        while pending:
            for message in self._run(subscription.fetch(BATCH, SILENCE)):
                pending = message.metadata.num_pending
                yield StreamMessage(message.subject, message.data)
        self._run(subscription.unsubscribe())

    async def _connect(self) -> None:
        self._client = await nats.connect(
            self._url,
            name="regnal",
            connect_timeout=CONNECT_TIMEOUT,
            allow_reconnect=False,
            error_cb=_say_nothing,
        )

    async def _subscribe(
        self, stream: str, matching: str, since: datetime | None
    ) -> JetStreamContext.PullSubscription:
        policy = DeliverPolicy.ALL if since is None else DeliverPolicy.BY_START_TIME
        return await self._client.jetstream().pull_subscribe(
            matching,
            stream=stream,
            config=ConsumerConfig(
                deliver_policy=policy,
                opt_start_time=since,
                ack_policy=AckPolicy.NONE,
                inactive_threshold=60,
            ),
        )

    def _run(self, action: Coroutine[Any, Any, T]) -> T:
        """Raises StreamUnreadable for everything that can go wrong outside."""
        try:
            return self._runner.run(action)
        except NotFoundError as error:
            raise StreamUnreadable(
                "there is no such stream; regnal publishes journals to it where the "
                "section `nats` of the configuration says so"
            ) from error
        except (NatsTimeout, TimeoutError) as error:
            raise StreamUnreadable(f"no answer within {SILENCE:.0f} s") from error
        except (Error, OSError, ValueError) as error:
            raise StreamUnreadable(str(error) or type(error).__name__) from error


async def _say_nothing(error: Exception) -> None:
    """What goes wrong is raised to whoever waits for it; nobody reads it twice."""
