"""A real NATS server with JetStream on the loopback, for tests.

with NatsServer(tmp_path) as server:
    server.publish(STREAM, ["regnal.journal.>"], messages)
"""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import nats
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from tests.servers.ports import free_port

BINARY = shutil.which(
    "nats-server", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}"
)

needs_nats = pytest.mark.skipif(
    BINARY is None, reason="no nats-server binary is installed"
)

START_LIMIT = 20.0
"""Seconds for the server to listen."""


class Published(NamedTuple):
    subject: str
    payload: bytes
    id: str | None = None
    """`Nats-Msg-Id`; None: without, so that nothing is de-duplicated."""


class NatsServer:
    def __init__(
        self,
        folder: Path,
        *,
        account: tuple[str, str] | None = None,
        jetstream: bool = True,
        options: Sequence[str] = (),
    ) -> None:
        """`options` of the program, beside the usual ones."""
        assert BINARY is not None, "guard the test with needs_nats"
        self.port = free_port()
        self._account = account
        self._log = folder / "nats.log"
        self._command = [
            *(BINARY, "--addr=127.0.0.1", f"--port={self.port}"),
            *(("--jetstream", f"--store_dir={folder / 'nats'}") if jetstream else ()),
            *((f"--user={account[0]}", f"--pass={account[1]}") if account else ()),
            *options,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Without the account."""
        return f"nats://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        end = time.monotonic() + START_LIMIT
        while not self._listens():
            assert self._process.poll() is None, self._log.read_text()[-2000:]
            assert time.monotonic() < end, "waited in vain for nats-server to listen"
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=10)

    def publish(
        self,
        stream: str,
        subjects: Sequence[str],
        messages: Sequence[Published],
        **limits: Any,
    ) -> None:
        """Make the stream, if need be, and put the messages in, in their order."""

        async def work(jetstream: JetStreamContext) -> None:
            await jetstream.add_stream(name=stream, subjects=list(subjects), **limits)
            for one in messages:
                headers = {"Nats-Msg-Id": one.id} if one.id else None
                await jetstream.publish(one.subject, one.payload, headers=headers)

        self._do(work)

    def say(self, message: Published) -> None:
        """To whoever listens; no stream is needed."""

        async def work(client: Client) -> None:
            await client.publish(message.subject, message.payload)
            await client.flush()

        self._with_client(work)

    def count(self, stream: str) -> int:
        """Messages in the stream."""
        found: list[int] = []

        async def work(jetstream: JetStreamContext) -> None:
            found.append((await jetstream.stream_info(stream)).state.messages)

        self._do(work)
        return found[0]

    def received(self, stream: str) -> list[Published]:
        """All that the stream has."""
        found: list[Published] = []

        async def work(jetstream: JetStreamContext) -> None:
            info = await jetstream.stream_info(stream)
            for number in range(info.state.first_seq, info.state.last_seq + 1):
                one = await jetstream.get_msg(stream, number)
                headers = one.headers or {}
                found.append(
                    Published(
                        one.subject or "", one.data or b"", headers.get("Nats-Msg-Id")
                    )
                )

        self._do(work)
        return found

    def _do(self, work: Callable[[JetStreamContext], Any]) -> None:
        self._with_client(lambda client: work(client.jetstream()))

    def _with_client(self, work: Callable[[Client], Any]) -> None:
        user, password = self._account or (None, None)

        async def connected() -> None:
            client = await nats.connect(self.url, user=user, password=password)
            try:
                await work(client)
            finally:
                await client.close()

        asyncio.run(connected())

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True
