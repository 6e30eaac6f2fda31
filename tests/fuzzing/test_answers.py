"""What others answer us: members' REST APIs, and servers that call themselves etcd.

A hostile answer is no answer: the bridge says so in its own words and goes on.
"""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from regnal.bridges.dcs.clock import boottime
from regnal.bridges.dcs.contract import Store, StoreUnavailable, SyncDraft
from regnal.bridges.dcs.etcd3_protocol import encoded
from regnal.bridges.dcs.open import open_store
from regnal.bridges.http.caller import Caller, NoAnswer
from regnal.bridges.http.prober import parse_status
from regnal.cli.rest_client import Answer
from regnal.messages.cluster import ClusterView, LeaderStatus
from regnal.messages.probes import PeerStatus
from tests.bridges.dcs.odd_server import OddServer
from tests.bridges.http.running import CLIENT
from tests.fuzzing.hostile import (
    NUMBERS,
    TEXTS,
    VALUES,
    answer_or,
    damaged,
    many,
    objects,
    some,
    written,
)

STATUS = objects(
    {
        "role": st.sampled_from(["primary", "master", "replica"]) | TEXTS,
        "state": st.just("running") | TEXTS,
        "timeline": NUMBERS,
        "xlog": objects(
            dict.fromkeys(
                ("location", "received_location", "replayed_location"), NUMBERS
            )
        ),
        "tags": objects({"nofailover": VALUES, "failover_priority": NUMBERS | TEXTS}),
        "watchdog_failed": VALUES,
        "barred": VALUES,
    }
)


@many
@given(written(STATUS))
def test_any_status_of_a_member_is_read_or_refused(text: str) -> None:
    body = text.encode("utf-8", "surrogatepass")
    status = answer_or(ValueError, lambda: parse_status("pg2", body))
    if status is not None:
        assert PeerStatus.model_validate_json(status.model_dump_json()) == status


HEADS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nlsn: 5\r\n\r\nAccepted",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 No\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nxx",
        b"HTTP/1.0 200 OK\r\n\r\nAccepted",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
    ]
)


@many
@example(b"HTTP/1.1 101 No\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nxx")
@given(HEADS.flatmap(lambda head: damaged(head.decode())).map(str.encode) | st.binary())
def test_any_bytes_of_a_member_are_an_answer_or_none(data: bytes) -> None:
    """Through `Caller.call`, which makes of each of its errors that nobody answered."""

    async def heard() -> None:
        async def tell(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(data)
            writer.close()

        async with await asyncio.start_server(tell, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            url = f"http://127.0.0.1:{port}/patroni"
            with contextlib.suppress(NoAnswer):
                answer = await CALLER.call("GET", url, timeout=5)
                assert 0 <= answer.status < 1000

    asyncio.run(heard())


CALLER = Caller(CLIENT)


@many
@given(TEXTS.map(lambda text: f"http://{text}/patroni") | TEXTS)
def test_no_url_that_a_member_publishes_is_an_error_of_ours(url: str) -> None:
    """Nobody listens where any of them leads."""

    async def ask() -> None:
        await CALLER.call("GET", url.replace("h", ""), timeout=0.05)

    answer_or(NoAnswer, lambda: asyncio.run(ask()))


@many
@given(written(VALUES))
def test_the_control_tool_reads_any_answer(text: str) -> None:
    assert isinstance(Answer(200, text).document(), dict)


BASE64 = TEXTS.map(lambda text: encoded(text.encode("utf-8", "replace"))) | TEXTS
NATURALS = NUMBERS.map(str) | NUMBERS | TEXTS
HEADER = objects({"cluster_id": NATURALS, "revision": NATURALS, "raft_term": NATURALS})
KEYS = ["leader", "members/pg1", "config", "sync", "failover", "initialize"]
PAIR = objects(
    {
        "key": st.sampled_from([encoded(f"/service/demo/{key}") for key in KEYS]),
        "value": BASE64,
        "mod_revision": NATURALS,
        "lease": NATURALS,
    }
)
PAIRS = st.lists(PAIR | VALUES, max_size=3)
RESULT = objects(
    {
        "header": HEADER,
        "kvs": PAIRS,
        "succeeded": st.booleans(),
        "responses": st.lists(objects({"response_range": objects({"kvs": PAIRS})})),
        "ID": NATURALS,
        "TTL": NATURALS,
        "events": st.lists(objects({"type": TEXTS, "kv": PAIR}) | VALUES, max_size=3),
        "created": st.booleans(),
        "canceled": st.booleans(),
        "cancel_reason": TEXTS | st.just("required revision has been compacted"),
        "members": st.lists(
            objects({"clientURLs": st.lists(TEXTS), "isLearner": VALUES}), max_size=2
        ),
    }
)
ERROR = st.sampled_from(
    [
        "etcdserver: requested lease not found",
        "etcdserver: invalid auth token",
        "etcdserver: permission denied",
        "required revision has been compacted",
        "etcdserver: no leader",
        "\ud800",
        "x\r\ny: z",
    ]
)
SAID = written(
    st.one_of(
        RESULT,
        st.builds(lambda result: {"result": result}, RESULT),
        objects({"error": ERROR | objects({"message": ERROR}), "message": ERROR}),
    )
)
STATUSES = st.sampled_from([200, 200, 200, 300, 400, 401, 404, 500, 503])
VERSIONS = st.sampled_from(["3.5.1", "3.5.1", "3.5", "9" * 5000 + ".1.1", "\ud800", ""])


@some
@example([(200, '{"header": {"revision": 1e999}, "events": [7]}')], "3.5.1")
@example([(200, '{"members": ["x"]}')], "3.5.1")
@example([(400, '{"error": "etcdserver: requested lease not found"}')], "3.5.1")
@example([(500, '{"error": "\\ud800"}')], "3.5.1")
@given(st.lists(st.tuples(STATUSES, SAID), min_size=1, max_size=5), VERSIONS)
def test_no_answer_of_an_etcd_is_an_error_of_ours(
    answers: list[tuple[int, str]], version: str
) -> None:
    """The contract: an answer, or StoreUnavailable with a text that can be kept."""
    replies = itertools.cycle(answers)

    def reply(_: str) -> tuple[int, bytes]:
        status, text = next(replies)
        return status, text.encode("utf-8", "surrogatepass")

    with contextlib.closing(OddServer(reply, version)) as server:
        store = open_store(
            "etcd3",
            {"hosts": [server.host]},
            namespace="service",
            scope="demo",
            member="pg1",
            ttl=30.0,
        )
        with contextlib.closing(store):
            for ask in WAYS_TO_ASK:
                answer = answer_or(
                    StoreUnavailable, partial(ask, store, boottime() + 0.04)
                )
                if isinstance(answer, ClusterView):
                    text = answer.model_dump_json()
                    assert ClusterView.model_validate_json(text) == answer
            answer_or(StoreUnavailable, lambda: watch_for_a_while(store))


def watch_for_a_while(store: Store) -> None:
    """The watch goes on for ever; `close` ends it."""
    ending = threading.Timer(0.05, store.close)
    ending.start()
    try:
        store.watch(lambda view: None)
    finally:
        ending.join()


WAYS_TO_ASK: tuple[Callable[[Store, float], Any], ...] = (
    lambda store, at: store.connect(at),
    lambda store, at: store.read(at),
    lambda store, at: store.acquire_leader("pg1", 30.0, at),
    lambda store, at: store.renew_leader("pg1", 30.0, at),
    lambda store, at: store.touch_member("pg1", "{}", 30.0, at),
    lambda store, at: store.write_sync(SyncDraft("pg1", (), 0), None, at),
    lambda store, at: store.write_status(LeaderStatus(optime=5), True, at),
)
