"""The journals of a live cluster, by the REST API of any of its members."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from regnal.bridges.http.options import BasicCredentials, ServerCertificate
from regnal.journal.bundle_archive import header
from regnal.journal.bundles import Bundle, Content
from regnal.journal.places import segments
from regnal.journal.reader import Window
from regnal.journal.segment_input import begun_at
from regnal.messages.cluster import StoreAnswered
from regnal.replay.case import opened, opened_members
from regnal.replay.sources import rest
from tests.bridges.http.certificates import authority
from tests.bridges.http.running import CLIENT, PLAIN, FixedJournal
from tests.journal.builders import damages
from tests.journal.damaging import MUSEUM
from tests.journal.member_writer import speaking
from tests.replay.sources.cases import (
    MAKING,
    MEMBERS,
    codes,
    lines_in,
    names,
    said,
    small,
)
from tests.replay.sources.live import cluster, served, url_of
from tests.servers.fake_member import FakeMember
from tests.servers.ports import free_port

ALL = {name: served(MUSEUM / name) for name in MEMBERS}


def test_one_member_is_named_and_all_are_asked() -> None:
    with cluster(ALL) as running, opened([url_of(running["pg2"])]) as case:
        assert names(case) == list(MEMBERS)
        assert case.troubles == ()
        for journal in case.journals:
            assert lines_in(journal.directory) == lines_in(MUSEUM / journal.member)
            assert journal.origin == url_of(running[journal.member])
            assert journal.directory.stat().st_mode & 0o777 == 0o700


def test_several_members_of_one_cluster_are_asked_once(tmp_path: Path) -> None:
    asked: list[str] = []

    def counted(name: str) -> FixedJournal:
        def lines() -> Iterator[bytes]:
            asked.append(name)
            return Bundle([Content(MUSEUM / name)], MAKING, is_checked=False).chunks()

        return FixedJournal(lines)

    with cluster({name: counted(name) for name in MEMBERS}) as running:
        places = [url_of(api) for api in running.values()]
        with opened([*places, f"{places[0]}/patroni"]) as case:
            assert names(case) == list(MEMBERS)
            assert case.troubles == ()
    assert sorted(asked) == list(MEMBERS)


def test_the_members_may_be_known_already() -> None:
    with cluster(ALL) as running:
        members = [(name, f"{url_of(api)}/patroni") for name, api in running.items()]
        members.append(("pg4", "nonsense"))
        with opened_members(members) as case:
            assert names(case) == list(MEMBERS)
            assert case.expected == (*MEMBERS, "pg4")
            assert codes(case) == ["member_unreachable"]


def test_a_journal_that_is_being_written_comes_as_it_is(tmp_path: Path) -> None:
    with speaking(tmp_path / "live") as speaker:
        for _ in range(50):
            speaker.say(StoreAnswered())
        with (
            cluster({"pg1": served(tmp_path / "live")}) as running,
            opened([url_of(running["pg1"])]) as case,
        ):
            (journal,) = case.journals
            assert damages(journal.directory) == []
            come = lines_in(journal.directory)
    assert len(come) > 50
    assert come == lines_in(tmp_path / "live")[: len(come)]


def test_whole_segments_come_from_the_one_that_holds_the_moment(
    tmp_path: Path,
) -> None:
    whole = small(tmp_path / "pg1", segments=4)
    third = segments(whole)[2]
    moment = begun_at(third)
    assert moment is not None
    since = Window(since=moment[:-1] + "Z").since
    with (
        cluster({"pg1": served(whole)}) as running,
        opened([url_of(running["pg1"])], since=since) as case,
    ):
        (journal,) = case.journals
        come = [segment.path.name for segment in segments(journal.directory)]
        assert come == [segment.path.name for segment in segments(whole)][1:]
        assert damages(journal.directory) == []
        assert (
            lines_in(journal.directory)
            == lines_in(whole)[-len(lines_in(journal.directory)) :]
        )


def test_a_member_is_asked_where_it_was_named() -> None:
    """Through a tunnel, the address that it publishes leads nowhere."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    elsewhere = {"pg1": nowhere, "pg2": nowhere, "pg3": None}
    with (
        cluster({"pg1": ALL["pg1"]}, elsewhere=elsewhere) as running,
        opened([url_of(running["pg1"])]) as case,
    ):
        assert names(case) == ["pg1"]
        assert case.expected == MEMBERS
        assert codes(case) == ["member_unreachable", "member_unreachable"]
        assert said(case, ["pg2 does not answer: Connection refused"])
        assert said(case, ["pg3 publishes no usable address"])


def test_a_place_that_does_not_answer_leaves_the_others() -> None:
    nowhere = f"http://someone:secret@127.0.0.1:{free_port()}"
    with cluster(ALL) as running, opened([nowhere, url_of(running["pg3"])]) as case:
        assert names(case) == list(MEMBERS)
        assert codes(case) == ["member_unreachable"]
        assert said(case, ["Connection refused", "name another member"])
        assert "secret" not in str(case.troubles)


def cut_off() -> Iterator[bytes]:
    """A daemon that fails, or is killed, in the middle of sending."""
    bundle = Bundle([Content(MUSEUM / "pg2")], MAKING, is_checked=False)
    chunks = list(bundle.chunks())
    yield from chunks[: len(chunks) // 2]
    raise OSError("the disk is gone")


@pytest.mark.parametrize(
    ("journal", "code", "why"),
    [
        (None, "member_refused", "gives no journal: 503 'The journal cannot be read'"),
        (
            FixedJournal(lambda: iter([b"{}\n"] * 1000)),
            "answer_cut_off",
            "no file begin",
        ),
        (FixedJournal(cut_off), "answer_cut_off", "is not complete"),
        (FixedJournal(lambda: iter([])), "answer_cut_off", "is not complete"),
    ],
)
def test_a_member_that_gives_none_or_half_leaves_the_others(
    journal: FixedJournal | None, code: str, why: str
) -> None:
    with (
        cluster({**ALL, "pg2": journal}) as running,
        opened([url_of(running["pg1"])]) as case,
    ):
        assert {"pg1", "pg3"} <= set(names(case))
        assert code in codes(case)
        assert said(case, ["pg2", why])
        assert "member_missing" not in codes(case), "it was told already"


def test_a_member_without_any_segment_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with (
        cluster({**ALL, "pg2": served(tmp_path / "empty")}) as running,
        opened([url_of(running["pg1"])]) as case,
    ):
        assert names(case) == ["pg1", "pg3"]
        assert codes(case) == ["no_journal"]


def test_credentials_are_shown_where_they_are_asked_for() -> None:
    account = BasicCredentials(username="admin", password="s3 cret")
    options = replace(PLAIN, credentials=account)
    with cluster(ALL, options=options) as running:
        place = url_of(running["pg1"])
        with opened([place]) as case:
            assert case.journals == ()
            assert codes(case) == ["member_refused"] * 3
            assert said(case, ["401", "give the credentials"])
        with opened([place], client=replace(CLIENT, credentials=account)) as case:
            assert names(case) == list(MEMBERS)
        with opened([place.replace("//", "//admin:s3%20cret@")]) as case:
            assert names(case) == list(MEMBERS)
            assert "cret" not in case.journals[0].origin


def test_certificates_are_verified(tmp_path: Path) -> None:
    signer = authority(tmp_path)
    certfile, keyfile = signer.issue("pg1")
    tls = ServerCertificate(
        certfile=certfile,
        keyfile=keyfile,
        keyfile_password=None,
        cafile=None,
        ciphers=None,
        verify_client="none",
    )
    options = replace(PLAIN, tls=tls)
    with cluster(ALL, options=options, scheme="https") as running:
        place = f"https://127.0.0.1:{running['pg1'].port}"
        with opened([place]) as case:
            assert case.journals == ()
            assert said(case, ["does not answer", "certificate verify failed"])
        trusting = replace(CLIENT, cacert=signer.certificate)
        for client in (trusting, replace(CLIENT, insecure=True)):
            with opened([place], client=client) as case:
                assert names(case) == list(MEMBERS)
        broken = replace(CLIENT, cacert=tmp_path / "none.pem")
        with opened([place], client=broken) as case:
            assert said(case, ["certificates of the ctl section cannot be used"])


def test_a_member_of_the_peer_product_is_told() -> None:
    """A mixed cluster: it answers GET /cluster and has no journal."""
    listed = {"members": [{"name": "old", "api_url": ""}, "nonsense", {"name": 7}]}
    answers = {
        "GET /patroni": (200, json.dumps({"patroni": {"name": "old"}})),
        "GET /cluster": (200, json.dumps(listed)),
    }
    with closing(FakeMember(answers)) as peer, opened([peer.url]) as case:
        assert case.journals == ()
        assert codes(case) == ["member_refused"]
        assert said(case, ["old gives no journal: 404", "another product"])


@pytest.mark.parametrize("body", ["", "[]", "{", "null", '{"members": 7}', "[" * 10**5])
def test_an_answer_that_is_nonsense_names_nobody(body: str) -> None:
    answers = {"GET /patroni": (200, body), "GET /cluster": (200, body)}
    with closing(FakeMember(answers)) as peer, opened([peer.url]) as case:
        assert case.journals == ()
        assert codes(case) == ["member_refused"]


@contextmanager
def silent() -> Iterator[str]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    held.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            for one in held:
                one.close()


def test_a_member_that_says_nothing_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rest, "SHORT_SILENCE", 0.2)
    monkeypatch.setattr(rest, "LONG_SILENCE", 0.2)
    with silent() as url:
        with opened([url]) as case:
            assert said(case, ["does not answer", "timed out"])
        with opened_members([("pg1", url)]) as case:
            assert codes(case) == ["member_unreachable"]


def test_who_gives_up_does_not_wait_for_what_still_comes() -> None:
    """Ctrl-C, while two members send without end."""
    sending = threading.Barrier(2)
    raised = threading.Event()

    def endless() -> Iterator[bytes]:
        yield header("0001/quiet.jsonl", 2**31)
        sending.wait(10)
        while True:
            yield bytes(1000)

    def interrupted(what: str, done: int, total: int | None) -> None:
        if done > 10_000 and not raised.is_set():
            raised.set()
            raise KeyboardInterrupt

    both = {name: FixedJournal(endless) for name in ("pg1", "pg2")}
    with (
        cluster(both) as running,
        pytest.raises(KeyboardInterrupt),
        opened([url_of(running["pg1"])], progress=interrupted),
    ):
        pass


def test_names_do_not_command_the_terminal() -> None:
    nowhere = {"pg\x1b[2J": f"http://127.0.0.1:{free_port()}"}
    with (
        cluster({"pg1": ALL["pg1"]}, elsewhere=nowhere) as running,
        opened([url_of(running["pg1"])]) as case,
    ):
        assert said(case, ["pg?[2J does not answer"])


def test_what_never_ends_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "LARGEST_JOURNAL", 30_000)
    with cluster(ALL) as running, opened([url_of(running["pg1"])]) as case:
        assert codes(case).count("answer_cut_off") == 3
        assert said(case, ["it is larger than 30000 bytes; give --since"])
    monkeypatch.setattr(rest, "LARGEST_JOURNAL", 10**9)
    monkeypatch.setattr(rest, "LONGEST_FETCH", 0.0)
    with cluster(ALL) as running, opened([url_of(running["pg1"])]) as case:
        assert said(case, ["it took longer than 0 s; give --since"])


def test_progress_is_told_of_all_members_together() -> None:
    told: list[tuple[str, int, int | None]] = []

    def progress(what: str, done: int, total: int | None) -> None:
        told.append((what, done, total))

    with (
        cluster(ALL) as running,
        opened([url_of(running["pg1"])], progress=progress) as case,
    ):
        assert names(case) == list(MEMBERS)
    fetched = [done for what, done, _ in told if what == "fetching journals"]
    assert fetched == sorted(fetched)
    assert fetched[-1] > sum(
        segment.path.stat().st_size
        for name in MEMBERS
        for segment in segments(MUSEUM / name)
    )
