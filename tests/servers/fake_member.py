"""HTTP servers that answer as the REST API of members does, for those who call it.

What each is asked is kept, and what it answers is told by the test; a request that
the test says nothing of is answered 404, so that nothing passes by accident.
"""

import base64
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

Answer = tuple[int, str]


class Asked(NamedTuple):
    method: str
    path: str
    body: Any
    """The JSON that was sent; None: nothing."""


class FakeMember:
    """One member's REST API."""

    def __init__(
        self,
        answers: Mapping[str, Answer],
        *,
        credentials: tuple[str, str] | None = None,
        certificate: Path | None = None,
        clients_ca: Path | None = None,
    ) -> None:
        """`answers`: `POST /restart` to status and body."""
        self.answers = dict(answers)
        self.asked: list[Asked] = []
        self.headers: list[Mapping[str, str]] = []
        self._credentials = credentials
        member = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                member._answer(self)

            do_GET = answer  # noqa: N815 - theirs
            do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - theirs

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - theirs
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.scheme = "http"
        if certificate is not None:
            self.scheme = "https"
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
            if clients_ca is not None:
                context.load_verify_locations(clients_ca)
                context.verify_mode = ssl.CERT_REQUIRED
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True
            )
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self._server.server_port}/patroni"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers.get("Content-Length") or 0)
        text = request.rfile.read(length).decode()
        asked = Asked(request.command, request.path, json.loads(text) if text else None)
        self.asked.append(asked)
        self.headers.append(dict(request.headers))
        status, body = self.answers.get(
            f"{asked.method} {asked.path}", (404, "no such")
        )
        if self._credentials is not None and not self._is_authenticated(request):
            status, body = 401, "not authenticated"
        request.send_response(status)
        request.send_header("Content-Type", "text/html")
        request.send_header("Content-Length", str(len(body.encode())))
        request.end_headers()
        request.wfile.write(body.encode())

    def _is_authenticated(self, request: BaseHTTPRequestHandler) -> bool:
        assert self._credentials is not None
        wanted = base64.b64encode(":".join(self._credentials).encode()).decode()
        return request.headers.get("Authorization") == f"Basic {wanted}"


@contextmanager
def fake_members(*names: str, **options: Any) -> Iterator[dict[str, FakeMember]]:
    """A server for each name; all closed at the end."""
    members: dict[str, FakeMember] = {}
    try:
        for name in names:
            members[name] = FakeMember({}, **options)
        yield members
    finally:
        for member in members.values():
            member.close()
