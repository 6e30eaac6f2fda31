"""A TCP proxy on the loopback that counts HTTP requests, and can hold answers back."""

import re
import select
import socket
import threading
from types import TracebackType
from typing import Self

REQUEST = re.compile(rb"(?:GET|POST|PUT|DELETE) (\S+) HTTP/1\.1\r\n")


class TcpProxy:
    """Forwards every connection to one server, until the block ends."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stop, self._stopped = socket.socketpair()
        self._threads: list[threading.Thread] = []
        self.muted: str | None = None
        """Answers on a connection that asked for a path with this end do not pass."""

        self.asked: list[str] = []
        """Paths, in the order of asking."""

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._begin(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.close()
        for thread in self._threads:
            thread.join(timeout=5)
        self._listener.close()
        self._stopped.close()

    def _begin(self, target: object, *arguments: object) -> None:
        assert callable(target)
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            ready, _, _ = select.select([self._listener, self._stopped], [], [])
            if self._stopped in ready:
                return
            client, _ = self._listener.accept()
            self._begin(self._forward, client)

    def _forward(self, client: socket.socket) -> None:
        is_muted = False
        with client, socket.create_connection(self._target) as server:
            while True:
                ready, _, _ = select.select([client, server, self._stopped], [], [])
                if self._stopped in ready:
                    return
                for source, sink in ((client, server), (server, client)):
                    if source not in ready:
                        continue
                    try:
                        data = source.recv(1 << 16)
                        if not data:
                            return
                        if source is client:
                            paths = [each.decode() for each in REQUEST.findall(data)]
                            self.asked.extend(paths)
                            ends = (path.endswith(self.muted or "\n") for path in paths)
                            is_muted = is_muted or any(ends)
                        if source is client or not is_muted:
                            sink.sendall(data)
                    except OSError:
                        return
