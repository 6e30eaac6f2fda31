"""Members that ask each other show each other their hybrid clocks."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from regnal.journal.stamps import Clocks, Stamper, hlc_text, parse_hlc
from regnal.messages.base import Seconds
from regnal.messages.envelope import HybridTime
from regnal.messages.host import ClockSkewSeen
from regnal.messages.probes import AskFailsafe, PeersProbed, ProbePeers, ProbeTarget
from regnal.runtime.other_clocks import OtherClocks
from tests.actors.builders import view
from tests.bridges.http.running import (
    Answering,
    Api,
    answered,
    primary,
    serving,
)
from tests.bridges.http.test_prober import DOCUMENT, saying, url


def clocks(name: str, ahead: Seconds = 0.0) -> OtherClocks:
    """Of a member that knows pg1 and pg2; its wall clock is so far ahead."""
    wall = Clocks(wall=lambda: time.time_ns() // 1000 + round(ahead * 1e6))
    made = OtherClocks(Stamper(name, 1, wall))
    made.learn(view("pg1", "pg2"))
    return made


@contextmanager
def pair(
    ours: OtherClocks,
    theirs: OtherClocks,
    answering: Answering = lambda message: None,
) -> Iterator[tuple[Api, Api]]:
    """The APIs of pg1, who asks, and of pg2."""
    with ExitStack() as running:
        asking = running.enter_context(serving(clocks=ours))
        asked = running.enter_context(serving(clocks=theirs, answering=answering))
        asked.publish(primary())
        yield asking, asked


def probe(asking: Api, api_url: str) -> None:
    target = ProbeTarget(name="pg2", api_url=api_url)
    asking.daemon.order(ProbePeers(targets=(target,), timeout=5))


def test_a_probe_puts_both_clocks_in_order() -> None:
    ours, theirs = clocks("pg1"), clocks("pg2", ahead=20.0)
    before = parse_hlc(ours.shown())
    with pair(ours, theirs) as (asking, asked):
        probe(asking, url(asked))
        assert isinstance(asking.daemon.heard(), ClockSkewSeen)
        probed = asking.daemon.heard()
    assert isinstance(probed, PeersProbed)
    (peer,) = probed.peers
    assert peer.role == "primary"
    assert peer.hlc is not None
    answered_at = parse_hlc(peer.hlc)
    assert answered_at.member == "pg2"
    assert before < answered_at < parse_hlc(ours.shown())


def test_who_is_asked_follows_the_clock_of_who_asks() -> None:
    ours, theirs = clocks("pg1", ahead=20.0), clocks("pg2")
    with pair(ours, theirs) as (asking, asked):
        probe(asking, url(asked))
        skew = asked.daemon.heard()
        behind = asking.daemon.heard()
    assert isinstance(skew, ClockSkewSeen)
    assert skew.member == "pg1"
    assert skew.ahead == pytest.approx(20.0, abs=2.0)
    assert isinstance(behind, ClockSkewSeen | PeersProbed)
    assert parse_hlc(theirs.shown()).wall_us > time.time_ns() // 1000 + 15_000_000


def test_a_failsafe_vote_comes_after_its_question() -> None:
    ours, theirs = clocks("pg1", ahead=20.0), clocks("pg2")
    with pair(ours, theirs, answered(200, "Accepted")) as (asking, asked):
        target = ProbeTarget(name="pg2", api_url=url(asked))
        asking.daemon.order(
            AskFailsafe(targets=(target,), document=DOCUMENT, timeout=5)
        )
        asked.daemon.heard()
    assert parse_hlc(theirs.shown()).wall_us > time.time_ns() // 1000 + 15_000_000


def test_health_checks_and_people_are_shown_no_stamp() -> None:
    with serving() as api:
        assert "regnal-hlc" not in api.ask("GET", "/patroni").headers
        assert "regnal-hlc" not in api.ask("GET", "/primary").headers


@pytest.mark.parametrize("path", ["/patroni", "/primary", "/cluster", "/nonsense"])
@pytest.mark.parametrize("stamp", ["", "nonsense", "x" * 8000, "Z+/", "\xff"])
def test_a_stamp_that_is_none_is_answered_as_any_request(path: str, stamp: str) -> None:
    with serving() as api:
        without = api.ask("GET", path)
        reply = api.ask("GET", path, headers={"Regnal-HLC": stamp})
    assert (reply.status, reply.text) == (without.status, without.text)
    assert parse_hlc(reply.headers["regnal-hlc"]).member == "pg1"


def test_a_member_that_shows_no_stamp_is_one_of_the_peer() -> None:
    assert hlc_of(b"") is None


def test_a_stamp_that_is_none_is_kept_as_it_was_said_but_not_at_any_length() -> None:
    assert hlc_of(b"Regnal-HLC: " + b"y" * 5000 + b"\r\n") == "y" * 200


def hlc_of(header: bytes) -> str | None:
    """What a probe of a member with this header finds."""
    body = b'{"role": "replica"}'
    reply = b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b"
    with saying(reply % (header, len(body), body)) as there, serving() as api:
        probe(api, there)
        probed = api.daemon.heard()
    assert isinstance(probed, PeersProbed)
    assert probed.peers[0].answered
    return probed.peers[0].hlc


def test_a_stranger_cannot_set_our_clock_an_hour_ahead() -> None:
    ours = clocks("pg1")
    stamp = hlc_text(HybridTime(time.time_ns() // 1000 + 3_600_000_000, 0, "pg2"))
    with serving(clocks=ours) as api:
        api.ask("GET", "/patroni", headers={"Regnal-HLC": stamp})
    assert parse_hlc(ours.shown()).wall_us < time.time_ns() // 1000 + 1_000_000
