"""Publishing to NATS, without asyncio outside.

    sink = NatsSink(options, plan)
    sink.send(messages)        # NotSent: send the same messages again

With JetStream each message is acknowledged before the next one is sent: so the order is
kept, and what was not acknowledged is sent again under its id, which the stream knows.
Without it, sent is what the server has taken; who does not listen just then misses it.
"""

import asyncio
import contextlib
import logging
import ssl
import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future

from nats.aio.client import Client
from nats.errors import Error, MaxPayloadError, NoServersError
from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext
from nats.js.api import Header, StreamConfig
from nats.js.errors import (
    APIError,
    NoStreamResponseError,
    NotFoundError,
    ServiceUnavailableError,
)

from regnal.bridges.nats.connecting import account, encryption
from regnal.bridges.nats.options import NatsOptions, StreamPlan
from regnal.bridges.outgoing import NotSent, Outgoing
from regnal.messages.base import Seconds

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 5
"""Seconds, for each server."""

ACKNOWLEDGE_WITHIN: Seconds = 5.0

CLOSE_WITHIN: Seconds = 1.0

SEND_WITHIN: Seconds = 60.0
"""All messages of one call, the connection included."""

DUPLICATES_WITHIN: Seconds = 600.0
"""For so long a stream that we make remembers ids of messages."""


class NatsSink:
    """A connection that is made when it is needed, and a thread that keeps it."""

    def __init__(self, options: NatsOptions, plan: StreamPlan | None) -> None:
        """`plan` None: without JetStream.  Starts the thread; connects later."""
        self._options = options
        self._plan = plan
        self._shown = options.shown
        self._client: Client | None = None
        self._error: Exception | None = None
        """What the library told last; what it raises may only say that there was one."""

        self._loop = asyncio.new_event_loop()
        self._sending: Future[int] | None = None
        self._is_closed = False
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="nats", daemon=True
        )
        self._thread.start()

    def send(self, messages: Sequence[Outgoing]) -> int:
        """How many were sent: all, but those too large for the server.  Raises NotSent."""
        if self._is_closed:
            raise NotSent("the daemon ends")
        self._sending = asyncio.run_coroutine_threadsafe(
            self._send(messages), self._loop
        )
        try:
            return self._sending.result()
        except CancelledError:
            raise NotSent("the daemon ends") from None
        finally:
            self._sending = None

    def close(self) -> None:
        """From any thread; what is being sent is given up."""
        self._is_closed = True
        sending = self._sending
        if sending is not None:
            sending.cancel()
        asyncio.run_coroutine_threadsafe(self._leave(), self._loop)
        self._thread.join(ACKNOWLEDGE_WITHIN)
        if not self._loop.is_running():
            self._loop.close()

    # In the thread of the loop.

    async def _send(self, messages: Sequence[Outgoing]) -> int:
        try:
            async with asyncio.timeout(SEND_WITHIN):
                client = await self._connected()
                if self._plan is None:
                    return await self._publish(client, messages)
                return await self._store(client.jetstream(), messages, self._plan)
        except NotSent:
            await self._drop()
            raise
        except (Error, OSError, ValueError) as error:
            await self._drop()
            raise NotSent(f"NATS at {self._shown}: {self._reason(error)}") from error

    async def _publish(self, client: Client, messages: Sequence[Outgoing]) -> int:
        sent = 0
        for one in messages:
            try:
                headers = {Header.MSG_ID.value: one.id}
                await client.publish(one.subject, one.payload, headers=headers)
            except MaxPayloadError:
                self._pass_over(one)
            else:
                sent += 1
        # The server answers in order: it has taken what came before.
        await client.flush(CONNECT_TIMEOUT)
        return sent

    async def _store(
        self,
        jetstream: JetStreamContext,
        messages: Sequence[Outgoing],
        plan: StreamPlan,
    ) -> int:
        sent = 0
        for one in messages:
            try:
                await jetstream.publish(
                    one.subject,
                    one.payload,
                    timeout=ACKNOWLEDGE_WITHIN,
                    stream=plan.name,
                    headers={Header.MSG_ID.value: one.id},
                )
            except MaxPayloadError:
                self._pass_over(one)
            except NoStreamResponseError as error:
                raise NotSent(
                    f"NATS at {self._shown}: no stream takes the subject {one.subject}; "
                    f"see the subjects of the stream {plan.name}"
                ) from error
            except APIError as error:
                raise NotSent(
                    f"NATS at {self._shown}: the stream {plan.name} takes nothing: "
                    f"{error.description}"
                ) from error
            else:
                sent += 1
        return sent

    def _pass_over(self, one: Outgoing) -> None:
        logger.warning(
            "NATS at %s: a message of %d bytes for %s is larger than the server takes "
            "(its max_payload); it is passed over.",
            self._shown,
            len(one.payload),
            one.subject,
        )

    async def _connected(self) -> Client:
        if self._client is not None and self._client.is_connected:
            return self._client
        await self._drop()
        client, options = Client(), self._options
        self._error = None
        self._client = client
        await client.connect(
            list(options.servers),
            name="regnal",
            connect_timeout=CONNECT_TIMEOUT,
            allow_reconnect=False,
            max_reconnect_attempts=1,  # 0 means for ever
            reconnect_time_wait=0,
            error_cb=self._keep,
            **account(options),
            **encryption(options),
        )
        if self._plan is not None:
            await self._find_stream(client.jetstream(), self._plan)
        return client

    async def _find_stream(self, jetstream: JetStreamContext, plan: StreamPlan) -> None:
        """Raises NotSent."""
        try:
            await self._make_sure(jetstream, plan)
        except (ServiceUnavailableError, NoStreamResponseError) as error:
            raise NotSent(
                f"NATS at {self._shown} has no JetStream; switch it on there, or set "
                "nats.jetstream to off"
            ) from error
        except APIError as error:
            raise NotSent(
                f"NATS at {self._shown}: the stream {plan.name} cannot be made: "
                f"{error.description}"
            ) from error
        except (NatsTimeout, TimeoutError) as error:
            # Who may not ask gets no answer.
            raise NotSent(
                f"NATS at {self._shown}: JetStream does not answer; may this user use "
                "the JetStream API?"
            ) from error

    async def _make_sure(self, jetstream: JetStreamContext, plan: StreamPlan) -> None:
        try:
            await jetstream.stream_info(plan.name)
        except NotFoundError:
            if not plan.create:
                raise NotSent(
                    f"NATS at {self._shown} has no stream {plan.name}; make it, with "
                    f"the subjects {', '.join(plan.subjects)}, or set "
                    "nats.create_streams to on"
                ) from None
            await jetstream.add_stream(
                StreamConfig(
                    name=plan.name,
                    subjects=list(plan.subjects),
                    max_age=plan.max_age,
                    max_bytes=plan.max_bytes,
                    num_replicas=plan.replicas,
                    duplicate_window=min(DUPLICATES_WITHIN, plan.max_age),
                )
            )

    async def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            # After a TLS handshake that failed the library would wait for ever; and it
            # asserts that it has begun to connect.
            with contextlib.suppress(Error, OSError, ValueError, AssertionError):
                async with asyncio.timeout(CLOSE_WITHIN):
                    await client.close()

    async def _leave(self) -> None:
        await self._drop()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=1)
        self._loop.call_soon(self._loop.stop)

    async def _keep(self, error: Exception) -> None:
        self._error = error

    def _reason(self, error: Exception) -> str:
        known = self._error if self._error is not None else error
        if isinstance(error, NoServersError) and self._error is None:
            return "none of the servers answers"
        if isinstance(known, ssl.SSLError):
            return (
                f"its certificate, or ours, is refused: {known}; see nats.cafile, "
                "nats.certfile and nats.keyfile"
            )
        if isinstance(known, TimeoutError):
            return "it does not answer in time"
        return str(known) or type(known).__name__
