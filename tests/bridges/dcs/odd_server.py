"""A server that says it is etcd, and is not."""

import http.server
import json
import threading
from collections.abc import Callable


class OddServer:
    """Says it is etcd, and answers every call as the test wants."""

    def __init__(
        self, answer: Callable[[str], tuple[int, bytes]], version: str = "3.5.1"
    ) -> None:
        server = self
        greeting = json.dumps({"etcdserver": version, "etcdcluster": version}).encode()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.greeted += 1
                self._send(200, greeting)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                server.asked.append(self.path)
                server.agents.add(self.headers["User-Agent"])
                self._send(*answer(self.path))

            def _send(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.asked: list[str] = []
        self.greeted = 0
        """How often it was asked for its version."""

        self.agents: set[str] = set()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
