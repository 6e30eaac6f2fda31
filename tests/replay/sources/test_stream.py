"""Journals that a NATS stream keeps: published as docs/journal.md says, read back."""

import importlib.util
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from regnal.journal.encoding import line
from regnal.journal.stream_layout import STREAM, message_id, subject_of
from regnal.replay.case import opened
from regnal.replay.sources import stream
from tests.journal.builders import damages, records
from tests.journal.damaging import MUSEUM
from tests.replay.sources.cases import MEMBERS, codes, lines_in, names, said, small
from tests.servers.nats import NatsServer, Published, needs_nats
from tests.servers.ports import free_port

pytestmark = [pytest.mark.server, needs_nats]

ALL_SUBJECTS = ["regnal.journal.>"]


def published(directory: Path, member: str, scope: str = "demo") -> list[Published]:
    """As the outbox will: every record of the chain."""
    return [
        Published(
            subject_of(scope, member),
            record.line.rstrip(b"\n"),
            message_id(scope, member, record.n, record.hash),
        )
        for record in records(directory)
    ]


def museum() -> list[Published]:
    return [one for name in MEMBERS for one in published(MUSEUM / name, name)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """With the museum's journals: twice, the second time in any order, half of it with
    ids (which the stream knows) and half as a publisher does who begins anew days
    later."""
    again = [
        one if number % 2 else one._replace(id=None)
        for number, one in enumerate(museum())
    ]
    random.Random(4711).shuffle(again)
    first = museum()
    with NatsServer(tmp_path_factory.mktemp("nats")) as running:
        running.publish(STREAM, ALL_SUBJECTS, [*first, *again])
        assert len(first) < running.count(STREAM) < len(first) * 2
        yield running


def test_the_journals_come_back_byte_for_byte(server: NatsServer) -> None:
    with opened([f"{server.url}/demo"]) as case:
        assert names(case) == list(MEMBERS)
        assert case.troubles == ()
        for journal in case.journals:
            assert damages(journal.directory) == []
            assert lines_in(journal.directory) == lines_in(MUSEUM / journal.member)
            assert journal.origin == f"{server.url}/demo"


def test_the_only_cluster_need_not_be_named(server: NatsServer) -> None:
    with opened([server.url]) as case:
        assert names(case) == list(MEMBERS)


def test_a_stream_and_a_directory_are_joined(server: NatsServer) -> None:
    with opened([str(MUSEUM / "pg1"), server.url]) as case:
        assert names(case) == list(MEMBERS)
        assert codes(case) == ["journal_joined"]


def test_records_that_come_in_any_order_are_sorted(tmp_path: Path) -> None:
    mixed = published(MUSEUM / "pg1", "pg1")
    random.Random(7).shuffle(mixed)
    with NatsServer(tmp_path) as running:
        running.publish(STREAM, ALL_SUBJECTS, mixed)
        with opened([running.url]) as case:
            assert names(case) == ["pg1"]
            assert lines_in(case.journals[0].directory) == lines_in(MUSEUM / "pg1")
            assert codes(case) == ["member_missing", "member_missing"]


def test_a_stream_that_has_lost_its_beginning_is_no_damage(tmp_path: Path) -> None:
    """Limits of the stream remove the oldest messages, segment or not."""
    whole = published(MUSEUM / "pg2", "pg2")
    with NatsServer(tmp_path) as running:
        running.publish(STREAM, ALL_SUBJECTS, whole, max_msgs=100)
        with opened([running.url]) as case:
            (journal,) = case.journals
            assert (journal.member, journal.scope) == ("pg2", "demo")
            assert damages(journal.directory) == []
            # The first that is left only lends its hash.
            assert lines_in(journal.directory) == lines_in(MUSEUM / "pg2")[-99:]


def test_only_what_is_needed_for_the_time_is_read(server: NatsServer) -> None:
    """Messages from a day before: published later than that."""
    with opened([server.url], since="2200-01-01T00:00:00.000000Z") as case:
        assert case.journals == ()
        assert codes(case) == ["no_journal"]


def test_what_is_lost_on_the_way_is_told_by_the_chain(tmp_path: Path) -> None:
    some = published(MUSEUM / "pg1", "pg1")
    del some[10:13]
    with NatsServer(tmp_path) as running:
        running.publish(STREAM, ALL_SUBJECTS, some)
        with opened([running.url]) as case:
            (damage,) = damages(case.journals[0].directory)
            assert (damage.what, damage.first, damage.last) == ("missing", 11, 13)


def test_what_is_no_record_is_left_out_and_counted(tmp_path: Path) -> None:
    subject = subject_of("demo", "pg1")
    text, _ = line(10**11, b'"hlc":"x"', "0" * 32)
    rubbish = [b"", b"rubbish", b'{"n":1}', text, b"x" * 500_000, b'{"n":1,"hlc":"\n"}']
    messages = published(MUSEUM / "pg1", "pg1")
    for number, payload in enumerate(rubbish):
        messages.insert(number * 20, Published(subject, payload))
    with NatsServer(tmp_path) as running:
        running.publish(STREAM, ALL_SUBJECTS, messages)
        with opened([running.url]) as case:
            assert lines_in(case.journals[0].directory) == lines_in(MUSEUM / "pg1")
            assert codes(case)[0] == "stream_rubbish"
            assert said(case, [f"{len(rubbish)} messages are no records"])


def test_a_journal_that_was_begun_anew_is_another_one(tmp_path: Path) -> None:
    old = small(tmp_path / "old", begun=1_000.0)
    new = small(tmp_path / "new", begun=50_000.0)
    both = [*published(old, "pg1"), *published(new, "pg1")]
    random.Random(1).shuffle(both)
    with NatsServer(tmp_path) as running:
        running.publish(STREAM, ALL_SUBJECTS, both)
        with opened([running.url]) as case:
            (journal,) = case.journals
            assert codes(case) == ["journal_conflict"]
            assert lines_in(journal.directory) == [r.line for r in records(new)]


def test_of_several_clusters_one_has_to_be_named(tmp_path: Path) -> None:
    small(tmp_path / "a", "a.1", "north east")
    small(tmp_path / "b", "b*2", "south")
    messages = [
        *published(tmp_path / "a", "a.1", "north east"),
        *published(tmp_path / "b", "b*2", "south"),
    ]
    with NatsServer(tmp_path) as running:
        running.publish(STREAM, ALL_SUBJECTS, messages)
        with opened([running.url]) as case:
            assert codes(case) == ["stream_unusable"]
            assert said(case, ["several clusters", "north east, south", "add /CLUSTER"])
        with opened([f"{running.url}/north%20east"]) as case:
            assert names(case) == ["a.1"]
            assert case.journals[0].scope == "north east"
        with opened([f"{running.url}/west"]) as case:
            assert said(case, ["no journal of west", "north east, south"])


def test_a_stream_may_have_another_name(tmp_path: Path) -> None:
    with NatsServer(tmp_path) as running:
        running.publish("AUDIT", ALL_SUBJECTS, museum()[:50])
        with opened([running.url]) as case:
            assert said(case, ["there is no such stream"])
        with opened([f"{running.url}/demo?stream=AUDIT"]) as case:
            assert names(case) == ["pg1"]


def test_an_account_is_asked_for_and_never_shown(tmp_path: Path) -> None:
    with NatsServer(tmp_path, account=("someone", "s3cret")) as running:
        running.publish(STREAM, ALL_SUBJECTS, museum()[:50])
        named = running.url.replace("//", "//someone:s3cret@")
        with opened([named]) as case:
            assert names(case) == ["pg1"]
            assert case.journals[0].origin == running.url.replace(
                "//", "//someone:***@"
            )
        for wrong in (running.url, running.url.replace("//", "//someone:wr0ng@")):
            with opened([wrong]) as case:
                assert codes(case) == ["stream_unusable"]
                assert said(case, ["Authorization Violation"])
                assert "wr0ng" not in str(case.troubles)


def test_a_server_that_is_not_there_or_keeps_nothing_is_told(tmp_path: Path) -> None:
    with opened([f"nats://127.0.0.1:{free_port()}"]) as case:
        assert codes(case) == ["stream_unusable"]
        assert said(case, ["Connect call failed"])
    with (
        NatsServer(tmp_path, jetstream=False) as running,
        opened([running.url]) as case,
    ):
        assert codes(case) == ["stream_unusable"]


def test_what_is_too_much_is_cut_off(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "LARGEST_READ", 50_000)
    with opened([server.url]) as case:
        assert names(case) == ["pg1"]
        assert codes(case)[0] == "answer_cut_off"
        assert said(case, ["not all of it was read", "give --since"])


def test_without_the_library_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with opened(["nats://127.0.0.1/demo"]) as case:
        assert said(case, ["pip install 'regnal[nats]'"])
