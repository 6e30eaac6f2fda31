"""The prober: what other members answer, and those who do not."""

import contextlib
import json
import queue
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.bridges.http.errors import UnusableOptions
from regnal.bridges.http.options import BasicCredentials
from regnal.bridges.http.prober import is_alive, parse_status
from regnal.messages.base import Message
from regnal.messages.probes import (
    AskFailsafe,
    FailsafeAnswered,
    PeersProbed,
    PeerStatus,
    ProbePeers,
    ProbeTarget,
)
from regnal.messages.requests import AnswerHeader, FailsafePosted
from tests.bridges.http.certificates import authority
from tests.bridges.http.running import (
    CLIENT,
    DEADLINE,
    PLAIN,
    Api,
    answered,
    boot_clock,
    envelope,
    primary,
    serving,
)
from tests.bridges.http.test_tls import certificate

DOCUMENT = json.dumps(
    {
        "name": "pg1",
        "conn_url": "postgres://pg1",
        "api_url": "http://pg1",
        "slots": {"a": 5},
    }
)
REPLICA = {
    "state": "running",
    "role": "replica",
    "xlog": {
        "received_location": 900,
        "replayed_location": 890,
        "replayed_timestamp": None,
        "paused": False,
    },
    "timeline": 3,
    "tags": {"nofailover": True, "failover_priority": 5},
    "watchdog_failed": True,
}


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """The API of pg1, whose prober asks others."""
    with serving() as running:
        yield running


def probe(api: Api, *urls: str, timeout: float = 2) -> PeersProbed:
    targets = tuple(
        ProbeTarget(name=f"pg{number}", api_url=url)
        for number, url in enumerate(urls, start=2)
    )
    return probed(api, ProbePeers(targets=targets, timeout=timeout, request="r7"))


def probed(api: Api, command: ProbePeers) -> PeersProbed:
    api.daemon.order(command)
    message = api.daemon.heard()
    assert isinstance(message, PeersProbed)
    return message


def asked(api: Api, *urls: str, timeout: float = 2) -> FailsafeAnswered:
    targets = tuple(
        ProbeTarget(name=f"pg{number}", api_url=url)
        for number, url in enumerate(urls, start=2)
    )
    api.daemon.order(AskFailsafe(targets=targets, document=DOCUMENT, timeout=timeout))
    message = api.daemon.heard()
    assert isinstance(message, FailsafeAnswered)
    return message


def url(other: Api) -> str:
    return f"http://127.0.0.1:{other.port}/patroni"


@contextlib.contextmanager
def saying(reply: bytes) -> Iterator[str]:
    """A listener that answers every connection with these bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client, contextlib.suppress(OSError):
                    client.recv(65536)
                    client.sendall(reply)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/patroni"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(DEADLINE)


# Who is asked.


def test_a_postgres_is_asked_beside_its_daemon() -> None:
    """All at once, within the same time: a daemon that runs may know nothing yet."""
    asked: list[tuple[str, float]] = []

    def ask_postgres(conn_url: str, timeout: float) -> bool | None:
        asked.append((conn_url, timeout))
        return {"postgres://writes": True, "postgres://silent": None}[conn_url]

    def target(name: str, api_url: str, conn_url: str | None) -> ProbeTarget:
        return ProbeTarget(name=name, api_url=api_url, conn_url=conn_url)

    with (
        serving(ask_postgres=ask_postgres) as api,
        saying(b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(REPLICA).encode()) as answers,
    ):
        nowhere = "http://127.0.0.1:1/patroni"
        targets = (
            target("pg2", nowhere, "postgres://writes"),
            target("pg3", nowhere, "postgres://silent"),
            target("pg4", answers, "postgres://writes"),
            target("pg5", nowhere, None),
        )
        found = probed(api, ProbePeers(targets=targets, timeout=2)).peers
    assert [(peer.answered, peer.takes_writes) for peer in found] == [
        (False, True),
        (False, None),
        (True, True),
        (False, None),
    ]
    assert asked.count(("postgres://writes", 2)) == 2


# What is understood.


@pytest.mark.parametrize(
    ("document", "fields"),
    [
        pytest.param(
            REPLICA,
            {
                "role": "replica",
                "state": "running",
                "timeline": 3,
                "position": 900,
                "nofailover": True,
                "failover_priority": 5,
                "watchdog_failed": True,
            },
            id="replica",
        ),
        pytest.param(
            {"role": "master", "xlog": {"location": 1000}},
            {"role": "primary", "position": 1000},
            id="old primary",
        ),
        pytest.param({"wal": {"location": 7}}, {"position": 7}, id="wal"),
        pytest.param(
            {"xlog": {"replayed_location": 7}}, {"position": 7}, id="replayed only"
        ),
        pytest.param({"xlog": {}}, {"position": None}, id="no position"),
        pytest.param(
            {"xlog": "x", "tags": 5, "role": 1}, {"role": None}, id="wrong types"
        ),
        pytest.param(
            {"tags": {"nofailover": "true", "failover_priority": "2"}},
            {"nofailover": True, "failover_priority": 2},
            id="tags as text",
        ),
        pytest.param(
            {"tags": {"nofailover": "false", "failover_priority": "high"}},
            {"nofailover": False, "failover_priority": 1},
            id="tags that mean nothing",
        ),
        pytest.param(
            {"timeline": -1, "xlog": {"location": 1.5}},
            {"timeline": None, "position": None},
            id="bad numbers",
        ),
    ],
)
def test_status_documents(document: dict[str, Any], fields: dict[str, Any]) -> None:
    """docs/contracts.md 4.3: of this product, of the peer, of old versions."""
    status = parse_status("pg2", json.dumps(document).encode())
    assert status.answered
    assert {name: status.model_dump()[name] for name in fields} == fields


@given(st.binary(max_size=100))
def test_no_bytes_do_harm(body: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert parse_status("pg2", body).answered


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "xlog",
                    "tags",
                    "role",
                    "location",
                    "nofailover",
                    "failover_priority",
                    "timeline",
                ]
            ),
            children,
        )
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(REPLICA)), JSON))
def test_no_document_does_harm(document: dict[str, Any]) -> None:
    status = parse_status("pg2", json.dumps(document).encode())
    assert PeerStatus.model_validate_json(status.model_dump_json()) == status


# Probes.


def test_all_are_asked_and_answered_for_at_once(api: Api) -> None:
    """ELEC-26: one answer, in the order of the targets, with the request's echo."""
    with serving() as other:
        other.publish(primary(document=json.dumps(REPLICA)))
        before = boot_clock()
        message = probe(api, url(other), "http://127.0.0.1:1/patroni", url(other))
        assert before <= message.asked_at <= boot_clock()
        assert message.request == "r7"
        first, second, third = message.peers
        assert (first.name, first.answered, first.position) == ("pg2", True, 900)
        assert (second.name, second.answered) == ("pg3", False)
        assert second.error is not None
        assert "refused" in second.error.lower()
        assert (third.name, third.answered) == ("pg4", True)


def test_nobody_to_ask_is_answered_too(api: Api) -> None:
    assert probe(api).peers == ()
    assert asked(api).votes == ()


def test_one_who_is_silent_costs_no_more_than_the_timeout(api: Api) -> None:
    """docs/contracts.md 4.11: in parallel, 2 s, no retry."""
    with serving() as other, socket.create_server(("127.0.0.1", 0)) as silent:
        other.publish(primary())
        mute = f"http://127.0.0.1:{silent.getsockname()[1]}/patroni"
        begun = time.monotonic()
        message = probe(api, *[mute] * 5, url(other), timeout=0.3)
        took = time.monotonic() - begun
    assert 0.3 <= took < 1.5
    assert [peer.answered for peer in message.peers] == [False] * 5 + [True]
    assert message.peers[0].error == "no answer within 0.3 s"


def test_one_who_is_thought_dead_costs_less(api: Api) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = f"http://127.0.0.1:{silent.getsockname()[1]}/patroni"
        target = ProbeTarget(name="pg2", api_url=mute, within=0.2)
        begun = time.monotonic()
        message = probed(api, ProbePeers(targets=(target,), timeout=60, request="r7"))
        took = time.monotonic() - begun
    assert 0.2 <= took < 30
    assert message.peers[0].error == "no answer within 0.2 s"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        pytest.param(b"", "closed without an answer", id="nothing"),
        pytest.param(b"hello\r\n", "not HTTP", id="not HTTP"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\n<html>", "Expecting value", id="HTML"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\n[]", "not a status document", id="array"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", "cut off", id="cut off"
        ),
        pytest.param(
            b"HTTP/1.0 200 OK\r\n\r\n" + b" " * (2 << 20), "larger than", id="endless"
        ),
        pytest.param(
            b"HTTP/1.0 200 OK\r\n\r\n" + b"[" * 200_000, "too deeply", id="deep"
        ),
    ],
)
def test_answers_that_are_none(api: Api, reply: bytes, error: str) -> None:
    with saying(reply) as there:
        (peer,) = probe(api, there).peers
    assert not peer.answered
    assert error in (peer.error or "")


@pytest.mark.parametrize(
    "there", ["", "pg2:8008", "ftp://x/", "http://", "http://[", "http://x:port/"]
)
def test_addresses_that_are_none(api: Api, there: str) -> None:
    """Law 8: somebody else wrote them into the store."""
    (peer,) = probe(api, there).peers
    assert not peer.answered
    (vote,) = asked(api, there).votes
    assert not vote.accepted


def test_the_peers_way_of_answering_is_understood(api: Api) -> None:
    """HTTP/1.0, no length, the connection's end is the body's."""
    with saying(b'HTTP/1.0 503 Service Unavailable\r\n\r\n{"role": "master"}') as there:
        (peer,) = probe(api, there).peers
    assert (peer.answered, peer.role) == (True, "primary")


def test_chunks_are_understood(api: Api) -> None:
    reply = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'5\r\n{"rol\r\nd\r\ne":"replica"}\r\n0\r\n\r\n'
    )
    with saying(reply) as there:
        (peer,) = probe(api, there).peers
    assert peer.role == "replica"


# Failsafe.


def test_failsafe_votes(api: Api) -> None:
    """P-FSAFE-04, P-FSAFE-05, P-FSAFE-08."""
    accepting = answered(
        200, "Accepted", headers=(AnswerHeader(name="lsn", value="900"),)
    )
    with (
        serving(answering=accepting) as one,
        serving(answering=answered(500, "Running as a leader")) as two,
    ):
        message = asked(api, url(one), url(two), "http://127.0.0.1:1/patroni")
        posted = one.daemon.heard()
    assert isinstance(posted, FailsafePosted)
    assert (posted.name, posted.slots) == ("pg1", (("a", 5),))
    yes, no, silent = message.votes
    assert (yes.accepted, yes.lsn) == (True, 900)
    assert (no.accepted, no.error) == (False, "500 Running as a leader")
    assert not silent.accepted


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\nOK", id="another text"),
        pytest.param(b"HTTP/1.0 202 Accepted\r\n\r\nAccepted", id="another status"),
    ],
)
def test_status_and_text_are_checked(api: Api, reply: bytes) -> None:
    """docs/contracts.md 4.9."""
    with saying(reply) as there:
        assert not asked(api, there).votes[0].accepted


def test_a_connection_that_failed_is_tried_once_more(api: Api) -> None:
    """docs/contracts.md 4.11: one retry, in the same time."""
    tries: queue.Queue[int] = queue.Queue()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for reply in (b"", b"HTTP/1.0 200 OK\r\n\r\nAccepted"):
                client, _ = listener.accept()
                with client:
                    client.recv(65536)
                    client.sendall(reply)
                    tries.put(1)

        thread = threading.Thread(target=serve)
        thread.start()
        message = asked(api, f"http://127.0.0.1:{listener.getsockname()[1]}/patroni")
        thread.join(DEADLINE)
    assert message.votes[0].accepted
    assert tries.qsize() == 2


def test_credentials_go_with_what_changes_something() -> None:
    """docs/contracts.md 4.11: and to nobody who only has to be read."""
    secret = BasicCredentials(username="ä", password="b:c")
    with (
        serving(
            replace(PLAIN, credentials=secret), answering=answered(200, "Accepted")
        ) as other,
        serving(client=replace(CLIENT, credentials=secret)) as api,
    ):
        assert asked(api, url(other)).votes[0].accepted
        assert probe(api, url(other)).peers[0].answered


def test_certificates_of_members_are_not_verified(tmp_path: Path) -> None:
    """docs/contracts.md 4.11: as with `insecure`."""
    certfile, keyfile = authority(tmp_path).issue("pg2")
    secure = replace(PLAIN, tls=certificate(certfile, keyfile))
    with serving(secure) as other, serving() as api:
        other.publish(primary())
        (peer,) = probe(api, url(other).replace("http:", "https:")).peers
        assert peer.answered, peer.error


def test_with_a_client_certificate_the_chain_is(tmp_path: Path) -> None:
    """docs/contracts.md 4.11: the chain, but not the name."""
    signer, stranger = authority(tmp_path), authority(tmp_path, "stranger")
    certfile, keyfile = signer.issue("member")
    ours = replace(
        CLIENT, certfile=certfile, keyfile=keyfile, cacert=signer.certificate
    )
    for issuer, verified in ((signer, True), (stranger, False)):
        shown = certificate(
            *issuer.issue("pg2"), verify_client="required", cafile=signer.certificate
        )
        with serving(replace(PLAIN, tls=shown)) as other, serving(client=ours) as api:
            there = url(other).replace("http:", "https:")
            assert probe(api, there).peers[0].answered is verified
            named = there.replace("127.0.0.1", "localhost")
            assert probe(api, named).peers[0].answered is verified


def test_a_client_certificate_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """Law 8."""
    missing = replace(CLIENT, certfile=tmp_path / "none.crt")
    with (
        pytest.raises(UnusableOptions, match=r"ctl\.certfile"),
        serving(client=missing),
    ):
        pass


# The unique name.


def test_a_daemon_of_our_name_is_noticed() -> None:
    """P-ELEC-14: whatever it answers."""
    with serving() as other:
        assert is_alive(url(other), CLIENT)
        other.publish(primary(ttl=0))
        assert other.status("/liveness") == 503
        assert is_alive(url(other), CLIENT)
    assert not is_alive(url_of_nobody(), CLIENT)
    assert not is_alive("nonsense", CLIENT)


def url_of_nobody() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}/patroni"


def test_the_cause_of_an_answer_is_the_question() -> None:
    """So that the journal can tell the story."""
    causes: list[object] = []
    with serving() as api:
        say = api.daemon.say

        def note(message: Message, cause: Any = None) -> None:
            causes.append(cause)
            say(message, cause)

        api.bridge._prober._voice.say = note  # type: ignore[method-assign]
        question = envelope(ProbePeers(targets=(), timeout=1))
        api.bridge.perform(question)
        api.daemon.heard()
    assert causes == [question]
