"""The parts of the etcd client that need no etcd: settings, endpoints, errors, names."""

import socket
import threading
from collections.abc import Iterator

import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

from regnal.bridges.dcs.etcd3_cache import LATE, WatchCache, WatchEvent
from regnal.bridges.dcs.etcd3_protocol import (
    KeyValue,
    Trouble,
    error_text,
    header_of,
    key_values,
    may_be_made,
    parse_answer,
    range_end,
    trouble_of,
)
from regnal.bridges.dcs.etcd_endpoints import Endpoints
from regnal.bridges.dcs.etcd_settings import etcd_settings
from regnal.bridges.dcs.host_names import HostNames
from regnal.bridges.dcs.srv import SrvDomain


@pytest.mark.parametrize(
    ("options", "servers"),
    [
        pytest.param({"host": "h"}, ("http://h:2379",), id="default port"),
        pytest.param({"host": "h:1"}, ("http://h:1",), id="port"),
        pytest.param(
            {"hosts": ["a:1", "b"], "protocol": "https"},
            ("https://a:1", "https://b:2379"),
            id="list, https",
        ),
        pytest.param(
            {"hosts": "a:1,b:2, c:3 ,"},
            ("http://a:1", "http://b:2", "http://c:3"),
            id="text with and without blanks",
        ),
        pytest.param(
            {"hosts": "'a:1','b:2'"}, ("http://a:1", "http://b:2"), id="quotes"
        ),
        pytest.param({"hosts": ["a:1", "a:1"]}, ("http://a:1",), id="doubled"),
        pytest.param({"host": "[::1]:1"}, ("http://[::1]:1",), id="version 6"),
        pytest.param({"hosts": "[::1]"}, ("http://[::1]:2379",), id="without port"),
        pytest.param(
            {"hosts": "[a:1, b:2]"}, ("http://a:1", "http://b:2"), id="list as text"
        ),
        pytest.param({"url": "https://h:1/x"}, ("https://h:1",), id="url"),
        pytest.param({"proxy": "http://p:1"}, ("http://p:1",), id="proxy"),
        pytest.param({"hosts": ["http://a:1/"]}, ("http://a:1",), id="urls as hosts"),
    ],
)
def test_where_the_servers_are(
    options: dict[str, object], servers: tuple[str, ...]
) -> None:
    """DCS-ETCD-01, DCS-ETCD-03, DCS-ETCD3-01"""
    assert etcd_settings("etcd3", options).servers == servers


@pytest.mark.parametrize(
    ("options", "use_proxies"),
    [
        ({"host": "h"}, False),
        ({"host": "h", "use_proxies": True}, True),
        ({"host": "h", "use_proxies": "on"}, True),
        ({"proxy": "http://h:1"}, True),
    ],
)
def test_proxies(options: dict[str, object], use_proxies: bool) -> None:
    """DCS-ETCD-05"""
    assert etcd_settings("etcd3", options).use_proxies is use_proxies


def test_credentials_may_stand_in_the_url_and_are_never_shown() -> None:
    """DCS-ETCD-04"""
    settings = etcd_settings("etcd3", {"url": "http://me:se%23cret@h:1"})
    assert (settings.username, settings.password) == ("me", "se#cret")
    assert settings.servers == ("http://h:1",)
    assert "se#cret" not in repr(settings)


@pytest.mark.parametrize("option", ["srv", "discovery_srv", "srv_domain"])
def test_the_domain_of_srv_records(option: str) -> None:
    """DCS-ETCD-06, DCS-ETCD-07"""
    settings = etcd_settings("etcd3", {option: "example.org", "srv_suffix": "foo"})
    assert settings.domain is not None
    assert settings.domain.services() == (
        "_etcd-client-ssl-foo._tcp.example.org",
        "_etcd-client-foo._tcp.example.org",
        "_etcd-ssl-foo._tcp.example.org",
        "_etcd-foo._tcp.example.org",
        "_etcd-server-ssl-foo._tcp.example.org",
        "_etcd-server-foo._tcp.example.org",
    )


class NameServer:
    """A name service on the loopback that knows a few SRV records."""

    def __init__(self, records: dict[str, list[str]]) -> None:
        self._records = records
        self.asked: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def resolver(self) -> dns.resolver.Resolver:
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        resolver.port = self._socket.getsockname()[1]
        return resolver

    def close(self) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            packet, client = self._socket.recvfrom(4096)
            if not packet:
                return
            query = dns.message.from_wire(packet)
            name = query.question[0].name.to_text(omit_final_dot=True)
            self.asked.append(name)
            answer = dns.message.make_response(query)
            if name in self._records:
                answer.answer.append(
                    dns.rrset.from_text(
                        f"{name}.", 60, "IN", "SRV", *self._records[name]
                    )
                )
            else:
                answer.set_rcode(dns.rcode.NXDOMAIN)
            self._socket.sendto(answer.to_wire(), client)


@pytest.fixture
def name_server() -> Iterator[NameServer]:
    server = NameServer(
        {
            "_etcd-client-ssl._tcp.a.example": ["0 0 2379 n1.a.", "0 0 2380 n2.a."],
            "_etcd-client._tcp.a.example": ["0 0 1 never."],
            "_etcd-server._tcp.b.example": ["0 0 2380 n1.b."],
        }
    )
    yield server
    server.close()


def test_srv_records_are_asked_for_in_order(name_server: NameServer) -> None:
    """DCS-ETCD-06"""
    resolver = name_server.resolver()
    found = SrvDomain("a.example", None).look_up(2.0, resolver)
    assert set(found.urls) == {"https://n1.a:2379", "https://n2.a:2380"}
    assert not found.are_peers

    name_server.asked.clear()
    found = SrvDomain("b.example", None).look_up(2.0, resolver)
    assert found == (("http://n1.b:2380",), True)
    assert len(name_server.asked) == 6

    assert SrvDomain("c.example", None).look_up(2.0, resolver).urls == ()


def test_the_server_that_answered_is_asked_first() -> None:
    """DCS-ETCD-02, P-DCS-01, P-DCS-03"""
    endpoints = Endpoints(["a", "b", "a"])
    assert sorted(endpoints.round()) == ["a", "b"]
    endpoints.note_answer("b")
    assert endpoints.round() == ("b", "a")
    endpoints.learn(["c", "b", "c"])
    assert endpoints.round()[0] == "b"
    assert sorted(endpoints.round()) == ["a", "b", "c"]
    assert endpoints.round()[-1] == "a"  # configured, and no member any more


def test_a_server_that_failed_is_asked_last() -> None:
    endpoints = Endpoints(["a", "b", "c"])
    endpoints.note_answer("b")
    endpoints.note_failure("b")
    assert endpoints.current is None
    assert endpoints.round()[-1] == "b"


def test_a_topology_without_members_is_no_news() -> None:
    endpoints = Endpoints(["a"])
    endpoints.learn(["b"])
    endpoints.learn([])
    assert set(endpoints.round()) == {"a", "b"}


@pytest.mark.parametrize(
    ("status", "text", "trouble"),
    [
        (404, "etcdserver: requested lease not found", Trouble.LEASE_GONE),
        (500, "rpc error: etcdserver: requested lease not found", Trouble.LEASE_GONE),
        (400, "etcdserver: user name is empty", Trouble.LOGIN),
        (500, "etcdserver: user name is empty", Trouble.LOGIN),
        (401, "etcdserver: invalid auth token", Trouble.LOGIN),
        (400, "etcdserver: revision of auth store is old", Trouble.LOGIN),
        (401, "something new", Trouble.LOGIN),
        (403, "etcdserver: permission denied", Trouble.DENIED),
        (
            400,
            "etcdserver: authentication failed, invalid user ID or password",
            Trouble.DENIED,
        ),
        (503, "etcdserver: no leader", Trouble.NODE),
        (503, "etcdserver: request timed out", Trouble.NODE),
        (300, "etcdserver: server stopped", Trouble.NODE),
        (500, "raft internal error", Trouble.NODE),
        (
            400,
            "etcdserver: mvcc: required revision has been compacted",
            Trouble.COMPACTED,
        ),
        (502, "<html>bad gateway</html>", Trouble.NODE),
    ],
)
def test_errors_are_known_by_their_words(
    status: int, text: str, trouble: Trouble
) -> None:
    """P-DCS-07, P-DCS-04, DCS-ETCD-11: servers mislabel them"""
    assert trouble_of(status, text) is trouble


def test_some_errors_say_that_nothing_was_done() -> None:
    assert not may_be_made("etcdserver: no leader")
    assert may_be_made("etcdserver: request timed out")
    assert may_be_made("etcdserver: leader changed")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"error":"a","code":5,"message":"a"}', "a"),
        (b'{"error":{"grpc_code":5,"http_code":404,"message":"b"}}', "b"),
        (b'{"code":5,"message":"c"}', "c"),
        (b"404 page not found", "404 page not found"),
        (b"\xff", "\ufffd"),
        (b"[]", "an error without a text"),
        (b"{}", "an error without a text"),
    ],
)
def test_the_text_of_an_error(body: bytes, text: str) -> None:
    assert error_text(body) == text


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"<html>", b"[" * 99999])
def test_a_broken_answer_is_none(body: bytes) -> None:
    """P-DCS-07"""
    assert parse_answer(body) is None


def test_answers_with_nonsense_in_them_are_read_all_the_same() -> None:
    assert header_of({"header": 3}) == ("", 0, 0)
    assert header_of({"header": {"revision": "x"}}).revision == 0
    assert key_values(
        {"kvs": [None, {}, {"key": "%%", "value": 3, "lease": "-1"}]}
    ) == (
        KeyValue("", "", 0, 0),
        KeyValue("", "", 0, 0),
    )
    assert key_values({"kvs": {}}) == ()


def test_the_end_of_a_prefix() -> None:
    assert range_end("/service/demo/") == "/service/demo0"


LEADER = KeyValue("/leader", "n1", 5, 7)


def test_a_cache_follows_the_watch() -> None:
    cache = WatchCache()
    cache.load([LEADER], 5)
    assert (cache.revision, cache.is_alive) == (5, True)
    assert cache.keys["/leader"] == ("n1", 5, "7")
    cache.apply([WatchEvent(LEADER._replace(mod_revision=6), is_deletion=True)], 6)
    assert (cache.keys, cache.revision) == ({}, 6)
    cache.lose()
    assert not cache.is_alive


def test_a_watch_that_does_not_tell_a_known_change_is_late() -> None:
    """P-DCS-06"""
    cache = WatchCache()
    cache.load([LEADER], 5)
    cache.expect(6, now=100.0)
    assert not cache.is_late(100.0 + LATE)
    cache.expect(7, now=100.5)
    assert cache.is_late(100.1 + LATE)
    cache.apply([WatchEvent(LEADER._replace(value="n2"), is_deletion=False)], 7)
    assert not cache.is_late(200.0)


def test_reading_what_the_watch_told_confirms_it() -> None:
    cache = WatchCache()
    cache.load([LEADER], 5)
    cache.compare([LEADER], 90, now=100.0)  # others wrote to etcd
    assert cache.revision == 90
    cache.compare([], 91, now=100.0)
    assert cache.revision == 90
    assert cache.is_late(100.1 + LATE)


def test_numbers_need_no_name_service() -> None:
    names = HostNames()
    assert names.addresses("127.0.0.1", 80, 0.0)[0].place == ("127.0.0.1", 80)
    assert names.addresses("::1", 80, 0.0)[0].family == socket.AF_INET6
    assert names._thread is None


def test_a_name_is_looked_up_once_and_then_known_at_once() -> None:
    """DCS-ETCD-15"""
    names = HostNames()
    assert names.addresses("localhost", 80, 5.0)
    assert names.addresses("localhost", 80, 0.0)


def test_an_unknown_name_is_no_reason_to_wait_for_ever() -> None:
    names = HostNames()
    with pytest.raises(OSError, match="nowhere"):
        names.addresses("nowhere.invalid", 80, 5.0)
