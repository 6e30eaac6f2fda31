"""Calls to an etcd cluster: whichever server answers, within one deadline.

How the time is used.  In a round every known server is asked once, the last one that
answered first, each for its share of the time left (`etcd_time`); after a round there is
a pause, and the next round begins, until the deadline.
"""

import json
import logging
import random
import threading
from typing import NamedTuple

from regnal.bridges.contract import Clock
from regnal.bridges.dcs.contract import StoreUnavailable
from regnal.bridges.dcs.etcd3_protocol import Header, Json, header_of, texts_in
from regnal.bridges.dcs.etcd3_server import Etcd3Servers, NodeFailed, inner_answer
from regnal.bridges.dcs.etcd_endpoints import Endpoints
from regnal.bridges.dcs.etcd_settings import EtcdSettings
from regnal.bridges.dcs.etcd_time import TimeShares
from regnal.bridges.dcs.host_names import HostNames
from regnal.bridges.dcs.web import NoAnswer, NotSent, Web, user_agent
from regnal.messages.base import Instant, Seconds

logger = logging.getLogger(__name__)

NEARLY = 0.9
"""Of its share: a server for which so much was waited was silent."""

FIRST_PAUSE: Seconds = 0.05
LAST_PAUSE: Seconds = 1.0
"""Between rounds; each is double the one before, less a random part."""

LOOK_UP_LIMIT: Seconds = 2.0
"""For the name service and the list of members: answering the request comes first."""

TOPOLOGY_PERIOD: Seconds = 300.0
"""Age at which the list of members is asked for again."""


class Reply(NamedTuple):
    body: Json
    header: Header
    asked_at: Instant
    """When the attempt that was answered was sent."""

    is_first: bool
    """False: an attempt before may have been carried out as well."""


class Etcd3Client:
    """Safe from any thread."""

    def __init__(self, settings: EtcdSettings, clock: Clock) -> None:
        self.settings = settings
        self.names = HostNames()
        self.context = settings.tls.context(settings.section)
        self._clock = clock
        self.agent = user_agent()
        self._web = Web(self.names, self.context)
        self.endpoints = Endpoints(settings.servers)
        self._shares = TimeShares()
        self._closing = threading.Event()
        self.servers = Etcd3Servers(settings, self._web)
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
        began_at, silent_servers = self._clock(), 0
        pause = FIRST_PAUSE
        reason = "the deadline left no time to ask"
        while not self.is_closing:
            servers = self.endpoints.round()
            for number, server in enumerate(servers):
                remaining = deadline - self._clock()
                within = self._shares.share(remaining, len(servers) - number)
                if within <= 0 or self.is_closing:
                    break
                asked_at = self._clock()
                try:
                    body = self.servers.ask(server, path, request, within)
                except NodeFailed as failure:
                    is_first = is_first and not failure.may_be_made
                    reason = f"{server}: {failure.reason}"
                    self.endpoints.note_failure(server)
                    if self._clock() - asked_at > within * NEARLY:
                        silent_servers = len(servers)
                else:
                    self.endpoints.note_answer(server)
                    self._shares.note_answer(self._clock() - asked_at)
                    header = header_of(inner_answer(body))
                    return Reply(body, header, asked_at, is_first)
            remaining = deadline - self._clock()
            if remaining <= 0:
                break
            self._prepare_another_round(remaining, pause)
            pause = min(2 * pause, LAST_PAUSE)
        if silent_servers:
            self._shares.note_silence(deadline - began_at, silent_servers)
        if self.is_closing:
            reason = "the store is being closed"
        raise StoreUnavailable(f"{self.settings.section}: {reason}")

    def _prepare_another_round(self, remaining: Seconds, pause: Seconds) -> None:
        self._look_up_again(min(remaining, LOOK_UP_LIMIT))
        self.servers.forget_term()
        # Members must not come back to a cluster in trouble all at once.
        self._closing.wait(min(remaining, pause * random.uniform(0.5, 1)))  # noqa: S311

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
            answer = self.servers.ask(server, "/cluster/member/list", {}, within)
        except (NodeFailed, StoreUnavailable) as error:
            logger.debug("etcd does not tell its members: %s", error)
            return
        members = answer.get("members")
        self.endpoints.learn(
            url.rstrip("/")
            for member in (members if isinstance(members, list) else ())
            if isinstance(member, dict) and not member.get("isLearner")
            for url in texts_in(member.get("clientURLs"))
        )

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
            found = members if isinstance(members, list) else ()
            return tuple(
                url.rstrip("/")
                for member in found
                if isinstance(member, dict)
                for url in texts_in(member.get("clientURLs"))
            )
        except (NotSent, NoAnswer, RecursionError, ValueError):
            return ()
