"""Calls to an etcd cluster: whichever server answers, within one deadline.

How the time is used.  In a round every known server is asked once, the last one that
answered first.  A server gets an equal share of the time left, one share being kept
back, so that a silent server never uses up the deadline of all; after a round there
is a pause, and the next round begins, until the deadline.
"""

import json
import logging
import random
import re
import ssl
import threading
from typing import NamedTuple

from regnal.bridges.contract import Clock
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
from regnal.bridges.dcs.etcd_endpoints import Endpoints
from regnal.bridges.dcs.etcd_settings import EtcdSettings
from regnal.bridges.dcs.host_names import HostNames
from regnal.bridges.dcs.web import NoAnswer, NotSent, Web, user_agent
from regnal.messages.base import Instant, Seconds

logger = logging.getLogger(__name__)

LEAST_SHARE: Seconds = 0.2
"""A server gets at least so long, as long as the deadline allows."""

FIRST_PAUSE: Seconds = 0.05
LAST_PAUSE: Seconds = 1.0
"""Between rounds; each is double the one before, less a random part."""

LOOK_UP_LIMIT: Seconds = 2.0
"""For the name service and the list of members: answering the request comes first."""

TOPOLOGY_PERIOD: Seconds = 300.0
"""Age at which the list of members is asked for again."""

OLDEST = (3, 0, 4)
VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


class Reply(NamedTuple):
    body: Json
    header: Header
    asked_at: Instant
    """When the attempt that was answered was sent."""

    is_first: bool
    """False: an attempt before may have been carried out as well."""


class LeaseGone(Exception):
    """The lease that was to be used has expired."""


class Compacted(Exception):
    """The revision from which to watch is too long ago."""


class NodeFailed(Exception):
    """One server did not serve us; another may."""

    def __init__(self, reason: str, may_be_made: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.may_be_made = may_be_made


class NeedsLogin(Exception):
    """The server wants a token, or another one."""


class Etcd3Client:
    """Safe from any thread."""

    def __init__(self, settings: EtcdSettings, clock: Clock) -> None:
        self.settings = settings
        self.names = HostNames()
        self.context: ssl.SSLContext = settings.tls.context(settings.section)
        self._clock = clock
        self.agent = user_agent()
        self._web = Web(self.names, self.context)
        self.endpoints = Endpoints(settings.servers)
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._prefixes: dict[str, str] = {}
        self._token: str | None = None
        self._seen = Header("", 0, 0)
        self._topology_at: Instant | None = None

    @property
    def is_closing(self) -> bool:
        return self._closing.is_set()

    def close(self) -> None:
        self._closing.set()
        self._web.close()

    def call(self, path: str, request: Json, deadline: Instant) -> Reply:
        """Raises StoreUnavailable, StoreDenied, LeaseGone or Compacted."""
        is_first = True
        pause = FIRST_PAUSE
        reason = "the deadline left no time to ask"
        while not self.is_closing:
            servers = self.endpoints.round()
            for number, server in enumerate(servers):
                within = self._share(deadline, len(servers) - number)
                if within <= 0 or self.is_closing:
                    break
                asked_at = self._clock()
                try:
                    body = self._ask(server, path, request, within)
                except NodeFailed as failure:
                    is_first = is_first and not failure.may_be_made
                    reason = f"{server}: {failure.reason}"
                    self.endpoints.note_failure(server)
                else:
                    self.endpoints.note_answer(server)
                    return Reply(body, header_of(_inner(body)), asked_at, is_first)
            remaining = deadline - self._clock()
            if remaining <= 0:
                break
            self._look_up_again(min(remaining, LOOK_UP_LIMIT))
            with self._lock:
                # Better an etcd that was set up anew, and counts from 1, than none.
                self._seen = Header("", 0, 0)
            # Members must not come back to a cluster in trouble all at once.
            rest = min(remaining, pause * random.uniform(0.5, 1))  # noqa: S311
            self._closing.wait(rest)
            pause = min(2 * pause, LAST_PAUSE)
        if self.is_closing:
            reason = "the store is being closed"
        raise StoreUnavailable(f"{self.settings.section}: {reason}")

    def refresh_topology(self, deadline: Instant) -> None:
        """Ask for the members if that is due: after the request that mattered."""
        now = self._clock()
        fresh = self._topology_at is not None
        if fresh and now < (self._topology_at or 0) + TOPOLOGY_PERIOD:
            return
        server = self.endpoints.current
        if self.settings.use_proxies or server is None:
            return
        self._topology_at = now
        within = min(LOOK_UP_LIMIT, deadline - now)
        if within <= 0:
            return
        try:
            answer = self._ask(server, "/cluster/member/list", {}, within)
        except (NodeFailed, StoreDenied) as error:
            logger.debug("etcd does not tell its members: %s", error)
            return
        members = answer.get("members")
        self.endpoints.learn(
            url.rstrip("/")
            for member in (members if isinstance(members, list) else ())
            if not member.get("isLearner")
            for url in member.get("clientURLs", ())
        )

    def prefix_of(self, server: str, within: Seconds) -> str:
        """Path before every call, by the server's version; raises NodeFailed."""
        known = self._prefixes.get(server)
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
        self._prefixes[server] = prefix if number >= (3, 3) else "/v3alpha"
        return self._prefixes[server]

    def token(self, server: str, within: Seconds) -> str | None:
        """None: no authentication is configured, or the server has none."""
        if self.settings.username is None or self.settings.password is None:
            return None
        if self._token is None:
            self._log_in(server, within)
        return self._token or None

    def forget_token(self) -> None:
        """The server does not know it any more."""
        with self._lock:
            self._token = None

    def _share(self, deadline: Instant, servers_left: int) -> Seconds:
        remaining = deadline - self._clock()
        return min(remaining, max(LEAST_SHARE, remaining / (servers_left + 1)))

    def _ask(self, server: str, path: str, request: Json, within: Seconds) -> Json:
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
                    f"{self.settings.section}: {error}: set username and password"
                ) from error
            raise NodeFailed(str(error), may_be_made=False) from error

    def _log_in(self, server: str, within: Seconds) -> None:
        prefix = self.prefix_of(server, within)
        request = {"name": self.settings.username, "password": self.settings.password}
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
        self._check_term(header_of(_inner(answer)))
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
                return StoreDenied(f"{self.settings.section}: {text}")
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

    def _look_up_again(self, within: Seconds) -> None:
        """Every known server failed: perhaps they have moved."""
        domain = self.settings.domain
        if domain is None:
            return
        found = domain.look_up(within)
        urls = found.urls
        if found.are_peers:
            urls = tuple(
                url for peer in urls for url in self._clients_of_peer(peer, within)
            )
        if urls:
            self.endpoints.configure(urls)

    def _clients_of_peer(self, peer: str, within: Seconds) -> tuple[str, ...]:
        try:
            answer = self._web.send("GET", f"{peer}/members", within)
            members = json.loads(answer.body)
            return tuple(
                str(url).rstrip("/")
                for member in members
                for url in member.get("clientURLs", ())
            )
        except (NotSent, NoAnswer, ValueError, TypeError, AttributeError):
            return ()


def _inner(answer: Json) -> Json:
    """Answers of streaming calls are wrapped."""
    result = answer.get("result")
    return result if isinstance(result, dict) else answer
