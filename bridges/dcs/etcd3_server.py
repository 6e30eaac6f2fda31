"""One call to one server of etcd: its version, our token, and what its errors mean."""

import json
import re
import threading

from regnal.bridges.dcs.contract import StoreDenied, StoreUnavailable
from regnal.bridges.dcs.etcd3_protocol import (
    Header,
    Json,
    Trouble,
    error_in,
    error_text,
    header_of,
    may_be_made,
    parse_answer,
    trouble_of,
)
from regnal.bridges.dcs.etcd_settings import EtcdSettings
from regnal.bridges.dcs.web import NoAnswer, NotSent, Web
from regnal.messages.base import Seconds

OLDEST = (3, 0, 4)
VERSION = re.compile(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})", re.ASCII)


class LeaseGone(StoreUnavailable):
    """The lease that was to be used has expired.  Said to who uses none, it is an
    answer that tells nothing."""


class Compacted(StoreUnavailable):
    """The revision from which to watch is too long ago."""


class NodeFailed(Exception):
    """One server did not serve us; another may."""

    def __init__(self, reason: str, may_be_made: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.may_be_made = may_be_made


class NeedsLogin(Exception):
    """The server wants a token, or another one."""


class Etcd3Servers:
    """Safe from any thread; knows nothing of deadlines over several servers."""

    def __init__(self, settings: EtcdSettings, web: Web) -> None:
        self._settings = settings
        self._web = web
        self._lock = threading.Lock()
        self._prefixes: dict[str, str] = {}
        self._prefix: str | None = None
        """Of the server that told its version last: another will hardly differ, and a
        server that is asked because one has failed answers in one round trip."""

        self._token: str | None = None
        self._seen = Header("", 0, 0)

    def ask(self, server: str, path: str, request: Json, within: Seconds) -> Json:
        """Raises NodeFailed, StoreDenied, LeaseGone or Compacted."""
        prefix = self.prefix_of(server, within)
        token = self.token(server, within)
        try:
            return self._post(server + prefix + path, request, within, token)
        except NeedsLogin:
            with self._lock:
                if (self._token or None) == token:
                    self._token = None
        token = self.token(server, within)
        try:
            return self._post(server + prefix + path, request, within, token)
        except NeedsLogin as error:
            if token is None:
                raise StoreDenied(
                    f"{self._settings.section}: {error}: set username and password"
                ) from error
            raise NodeFailed(str(error), may_be_made=False) from error

    def _log_in(self, server: str, within: Seconds) -> None:
        prefix = self.prefix_of(server, within)
        request = {"name": self._settings.username, "password": self._settings.password}
        url = f"{server}{prefix}/auth/authenticate"
        try:
            self._token = str(self._post(url, request, within, None).get("token", ""))
        except NodeFailed as failure:
            if "authentication is not enabled" not in failure.reason:
                raise
            self._token = ""

    def _post(
        self, url: str, request: Json, within: Seconds, token: str | None
    ) -> Json:
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = token
        answer = self._send("POST", url, within, json.dumps(request).encode(), headers)
        self._check_term(header_of(inner_answer(answer)))
        return answer

    def _send(
        self,
        method: str,
        url: str,
        within: Seconds,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Json:
        try:
            answer = self._web.send(method, url, within, body, headers)
        except NotSent as error:
            raise NodeFailed(str(error), may_be_made=False) from error
        except NoAnswer as error:
            raise NodeFailed(str(error), may_be_made=True) from error
        if answer.status != 200:
            text = error_text(answer.body)
            if "page not found" in text:
                # The server was replaced by one of another version.
                self._prefixes.pop("/".join(url.split("/", 3)[:3]), None)
                self._prefix = None
            raise self._error(answer.status, text)
        parsed = parse_answer(answer.body)
        if parsed is None:
            raise NodeFailed("the answer is broken JSON", may_be_made=True)
        reported = error_in(parsed) if "error" in parsed else None
        if reported is not None:
            raise self._error(200, reported)
        return parsed

    def _error(self, status: int, text: str) -> Exception:
        match trouble_of(status, text):
            case Trouble.LOGIN:
                return NeedsLogin(text)
            case Trouble.DENIED:
                return StoreDenied(f"{self._settings.section}: {text}")
            case Trouble.LEASE_GONE:
                return LeaseGone(text)
            case Trouble.COMPACTED:
                return Compacted(text)
            case Trouble.NODE:
                return NodeFailed(text, may_be_made(text))

    def _check_term(self, header: Header) -> None:
        """A server behind a Raft term that we have seen is cut off from the others."""
        if not header.raft_term:
            return
        with self._lock:
            same = header.cluster == self._seen.cluster
            if same and header.raft_term < self._seen.raft_term:
                raise NodeFailed("its Raft term is outdated", may_be_made=True)
            self._seen = header

    def prefix_of(self, server: str, within: Seconds) -> str:
        """Path before every call, by the server's version; raises NodeFailed."""
        known = self._prefixes.get(server) or self._prefix
        if known:
            return known
        answer = self._send("GET", f"{server}/version", within)
        version = VERSION.match(str(answer.get("etcdserver", "")))
        if version is None:
            raise NodeFailed("does not tell its version", may_be_made=False)
        number = tuple(int(part) for part in version.groups())
        if number < OLDEST:
            raise NodeFailed(f"version {version.group()} is too old", may_be_made=False)
        prefix = "/v3" if number >= (3, 4) else "/v3beta"
        self._prefix = prefix if number >= (3, 3) else "/v3alpha"
        self._prefixes[server] = self._prefix
        return self._prefix

    def token(self, server: str, within: Seconds) -> str | None:
        """None: no authentication is configured, or the server has none."""
        if self._settings.username is None or self._settings.password is None:
            return None
        if self._token is None:
            self._log_in(server, within)
        return self._token or None

    def forget_token(self) -> None:
        """The server does not know it any more."""
        with self._lock:
            self._token = None

    def forget_term(self) -> None:
        """Better an etcd that was set up anew, and counts from 1, than none."""
        with self._lock:
            self._seen = Header("", 0, 0)


def inner_answer(answer: Json) -> Json:
    """Answers of streaming calls are wrapped."""
    result = answer.get("result")
    return result if isinstance(result, dict) else answer
