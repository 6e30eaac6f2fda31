"""Reading a JetStream stream from one end to the other, without asyncio outside.

    with StreamReader("nats://10.0.0.7:4222") as reader:
        for subject, payload in reader.messages("REGNAL_JOURNAL", "regnal.journal.>"):

The consumer is our own and nobody else's, and leaves no trace: nothing is acknowledged,
and the server forgets it when we are gone.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple, Self, TypeVar

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error
from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import (
    NoStreamResponseError,
    NotFoundError,
    ServiceUnavailableError,
)

from regnal.bridges.nats.connecting import account, encryption
from regnal.bridges.nats.options import NatsOptions
from regnal.messages.base import Seconds

CONNECT_TIMEOUT = 5
"""Seconds."""

CLOSE_WITHIN: Seconds = 1.0

SILENCE: Seconds = 10.0
"""Of a server that should be sending."""

IDLE: Seconds = 2.0
"""Until somebody who follows is told that there is nothing."""

BATCH = 500
"""Messages that are asked for at once."""

T = TypeVar("T")


class StreamUnreadable(Exception):
    """The server does not answer, or has no such stream; the text says which."""


class StreamMessage(NamedTuple):
    subject: str
    payload: bytes
    sequence: int = 0
    """In the stream; 0: it is in none."""


class StreamReader:
    """A connection, used by one thread."""

    def __init__(self, url: str, options: NatsOptions | None = None) -> None:
        """`url`: `nats://` or `tls://`, with the account if one is needed.  `options`:
        the account, where the URL has none, and certificates."""
        self._url = url
        self._options = options
        self._runner = asyncio.Runner()
        self._client = Client()
        self._error: Exception | None = None
        """The last one: what is raised in the end may only say that there was one."""

    def __enter__(self) -> Self:
        """Connects.  Raises StreamUnreadable."""
        try:
            self._run(self._connect())
        except StreamUnreadable:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(StreamUnreadable):
            self._run(self._disconnect())
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

    def follow(
        self,
        stream: str,
        matching: str,
        since: datetime | None = None,
        after: int | None = None,
    ) -> Iterator[StreamMessage | None]:
        """What is published from now on, or since then, or after this sequence, for ever;
        None when there is nothing at the moment.

        Where there is no such stream, what is said while we listen.  Raises
        StreamUnreadable.
        """
        if not self._run(self._has(stream)):
            yield from self._overhear(matching)
        subscription = self._run(self._subscribe(stream, matching, since, after or 0))
        while True:
            message = self._run(_next(subscription))
            if message is None:
                yield None
                continue
            sequence = message.metadata.sequence.stream
            yield StreamMessage(message.subject, message.data, sequence)

    def _overhear(self, matching: str) -> Iterator[StreamMessage | None]:
        subscription = self._run(self._client.subscribe(matching))
        self._run(self._client.flush(CONNECT_TIMEOUT))
        yield None
        while True:
            message = self._run(_heard(subscription))
            if message is None and not self._client.is_connected:
                raise StreamUnreadable("the connection is lost")
            yield None if message is None else _unstored(message)

    async def _has(self, stream: str) -> bool:
        try:
            await self._client.jetstream().stream_info(stream)
        except (NotFoundError, ServiceUnavailableError, NoStreamResponseError):
            return False
        return True

    async def _connect(self) -> None:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await self._client.connect(
                self._url,
                name="regnal",
                connect_timeout=CONNECT_TIMEOUT,
                allow_reconnect=False,
                max_reconnect_attempts=1,  # 0 means for ever
                reconnect_time_wait=0,
                error_cb=self._keep,
                **self._keywords(),
            )

    def _keywords(self) -> dict[str, Any]:
        """Raises OSError."""
        if self._options is None:
            return {}
        ours = account(self._options) if "@" not in self._url else {}
        return {**ours, **encryption(self._options)}

    async def _disconnect(self) -> None:
        # After a TLS handshake that failed the library would wait for ever.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN):
                await self._client.close()
        # The client may be closing already, in a task of its own.
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=1)

    async def _keep(self, error: Exception) -> None:
        self._error = error

    async def _subscribe(
        self,
        stream: str,
        matching: str,
        since: datetime | None,
        after: int | None = None,
    ) -> JetStreamContext.PullSubscription:
        """`after`: a sequence, if there is no `since`; 0: the newest; None: all."""
        policy = DeliverPolicy.ALL if after is None else DeliverPolicy.NEW
        if after:
            policy, since = DeliverPolicy.BY_START_SEQUENCE, None
        elif since is not None:
            policy = DeliverPolicy.BY_START_TIME
        return await self._client.jetstream().pull_subscribe(
            matching,
            stream=stream,
            config=ConsumerConfig(
                deliver_policy=policy,
                opt_start_time=since,
                opt_start_seq=after + 1 if after else None,
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
            raise StreamUnreadable("it does not answer in time") from error
        except (Error, OSError, ValueError) as error:
            known = self._error or error
            raise StreamUnreadable(str(known) or type(known).__name__) from error


async def _next(subscription: JetStreamContext.PullSubscription) -> Msg | None:
    """None: none came in time."""
    try:
        (message,) = await subscription.fetch(1, IDLE)
    except (NatsTimeout, TimeoutError):
        await subscription.consumer_info()  # whether anybody is there
        return None
    return message


def _unstored(message: Msg) -> StreamMessage:
    return StreamMessage(message.subject, message.data)


async def _heard(subscription: Subscription) -> Msg | None:
    try:
        return await subscription.next_msg(IDLE)
    except (NatsTimeout, TimeoutError):
        return None
