"""A proxy in front of one etcd that holds back what it passes on, both ways.

    python -I delaying_proxy.py LISTEN_ADDRESS PORT TARGET_PORT DELAY_FILE

DELAY_FILE holds the seconds that each piece of data waits; it is read several times a
second, and missing means none.  The kernel's own delay (netem) is not to be had
everywhere.
"""

import asyncio
import contextlib
import sys
import time
from pathlib import Path

LOOK_PAUSE = 0.1
CHUNK = 1 << 16


class Proxy:
    def __init__(self, address: str, port: int, file: Path) -> None:
        self._address = address
        self._port = port
        self._file = file
        self._delay = 0.0

    async def look(self) -> None:
        while True:
            try:
                self._delay = float(self._file.read_text())
            except (OSError, ValueError):
                self._delay = 0.0
            await asyncio.sleep(LOOK_PAUSE)

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            there, back = await asyncio.open_connection(self._address, self._port)
        except OSError:
            writer.close()
            return
        passing = [
            asyncio.create_task(self._pass_on(reader, back)),
            asyncio.create_task(self._pass_on(there, writer)),
        ]
        await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        for task in passing:
            task.cancel()
        for end in (writer, back):
            end.close()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """In order, each piece as late as the delay was when it came."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(1000)

        async def read() -> None:
            data = b"x"
            while data:
                data = await reader.read(CHUNK)
                await pieces.put((time.monotonic() + self._delay, data))

        reading = asyncio.create_task(read())
        try:
            while True:
                due, data = await pieces.get()
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if not data:
                    return
                writer.write(data)
                await writer.drain()
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await reading


async def main(address: str, port: str, target: str, file: str) -> None:
    proxy = Proxy(address, int(target), Path(file))
    server = await asyncio.start_server(proxy.serve, address, int(port))
    async with server:
        await asyncio.gather(server.serve_forever(), proxy.look())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
