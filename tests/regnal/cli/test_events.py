"""`regnal events`: from journals, from members that are listened to, from NATS."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from regnal.bridges.http.event_listener import frames
from regnal.cli.event_text import line_of
from regnal.cli.events import events_command
from regnal.events.cloud import CloudEvent, Reporter, Said, cloud_event
from regnal.events.leadership import LeaderElected
from regnal.journal.event_layout import STREAM, message_id, subject_of
from regnal.messages.changes import MemberJoined
from tests.bridges.http.running import Api, serving, snapshot
from tests.bridges.http.test_events import Live
from tests.servers.nats import NatsServer, Published, needs_nats

DEMO = Path(__file__).parent.parent.parent / "journals" / "0.1.0-demo"
PATIENCE = 60.0


def run(*arguments: str, status: int = 0) -> str:
    done = CliRunner().invoke(events_command, list(arguments))
    assert done.exit_code == status, done.output
    return done.output


def told(
    leader: str = "pg2", revision: str = "33", reporter: str = "pg3"
) -> CloudEvent:
    return cloud_event(
        LeaderElected(leader=leader, previous="pg1", revision=revision),
        f"{leader}/{revision}",
        Reporter("demo", reporter),
        Said(f"{reporter}/1/7", "2026-11-23T07:31:02.114901Z"),
        "reign-10",
    )


def test_journals_are_told_once_and_in_the_order_of_time() -> None:
    lines = run(str(DEMO), "--json").splitlines()
    events = [CloudEvent.model_validate_json(line) for line in lines]
    assert [e.time for e in events] == sorted(e.time for e in events)
    assert len({e.key for e in events}) == len(events)
    assert {e.reporter for e in events} == {"pg1", "pg2", "pg3"}


def test_events_are_chosen() -> None:
    shown = run(str(DEMO), "--type", "postgres.*", "--member", "pg1")
    assert "postgres.rewound" in shown
    assert "leader" not in shown.replace("leader_timeline", "")
    assert "pg2" not in shown
    assert run(str(DEMO), "--type", "nothing") == ""
    assert len(run(str(DEMO), "-n", "3").splitlines()) == 3
    late = run(str(DEMO), "--since", "2026-11-28T06:43:08", "--type", "postgres.*")
    assert len(late.splitlines()) == 1


def test_a_line_is_for_people_and_harmless() -> None:
    assert line_of(told()).startswith("2026-11-23 07:31:02.114  pg2           ")
    assert "(told by pg3)" in line_of(told())
    evil = told(leader="pg2", revision="\x1b[31m\n")
    assert "\n" not in line_of(evil)
    assert "\x1b[31m" not in line_of(evil).partition("revision")[2]


def test_colours_are_for_terminals_alone() -> None:
    done = CliRunner().invoke(events_command, [str(DEMO)], color=True)
    assert "\x1b[" in done.output
    assert "\x1b[" not in run(str(DEMO))


def test_a_place_that_cannot_be_followed_is_told(tmp_path: Path) -> None:
    assert "name the directory of one member" in run("-f", str(tmp_path), status=1)
    assert "write nats://" in run("nats:///demo", status=1)
    assert "not the address" in run("-f", "http://", status=1)


def test_frames_are_what_the_standard_has() -> None:
    lines = [":", "", "id:7", "event: t", "data: {}", "", ": beat", "", "data: x"]
    assert list(frames(iter(lines))) == [{"id": "7", "event": "t", "data": "{}"}]


@contextmanager
def following(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    program = [sys.executable, "-m", "regnal", "events", "-f", "--json", *arguments]
    process = subprocess.Popen(
        program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def until(what: str, process: subprocess.Popen[str], act: Callable[[], None]) -> None:
    """Do it again and again until the process ends by itself."""
    end = time.monotonic() + PATIENCE
    while process.poll() is None:
        act()
        time.sleep(0.1)
        assert time.monotonic() < end, f"waited in vain for {what}"


def test_the_members_of_a_cluster_are_found_and_listened_to(tmp_path: Path) -> None:
    one, two = Live(tmp_path / "one"), Live(tmp_path / "two")
    with serving(events=one.source) as first, serving(events=two.source) as second:
        for name, api in (("pg1", first), ("pg2", second)):
            show(api, name, {"pg1": first, "pg2": second})
        count = iter(range(10_000))

        def speak() -> None:
            one.say(f"one{next(count)}")
            two.say(f"two{next(count)}")

        url = f"http://127.0.0.1:{first.port}"
        with following("-n", "10", "--type", "member.joined", url) as process:
            until("events of both", process, speak)
            assert process.stdout is not None
            events = [json.loads(line) for line in process.stdout]
    names = {event["data"]["member"][:3] for event in events}
    assert names == {"one", "two"}


def show(api: Api, name: str, members: dict[str, Api]) -> None:
    listed = [
        {"name": other, "api_url": f"http://127.0.0.1:{one.port}/patroni"}
        for other, one in members.items()
    ]
    api.publish(
        snapshot(
            document=json.dumps({"patroni": {"name": name, "scope": "demo"}}),
            cluster=json.dumps({"members": listed, "scope": "demo"}),
        )
    )


def published(event: CloudEvent) -> Published:
    subject = subject_of("regnal.events", "demo", event)
    return Published(subject, event.json_bytes(), message_id(event))


@pytest.mark.server
@needs_nats
def test_a_stream_is_read_and_followed_across_a_restart(tmp_path: Path) -> None:
    with NatsServer(tmp_path) as server:
        place = f"{server.url}/demo"
        first = [published(told(revision=str(n))) for n in range(3)]
        server.publish(
            STREAM, ["regnal.events.*.>"], [*first, Published(first[0].subject, b"x")]
        )
        assert len(run(place, "--json").splitlines()) == 3
        assert run(f"{server.url}/other") == ""
        with following("-n", "5", "--since", "2026-01-01", place) as process:
            assert process.stdout is not None
            got = [process.stdout.readline() for _ in range(3)]
            server.__exit__()
            server.__enter__()
            later = [published(told(revision=str(n))) for n in (3, 4)]
            server.publish(STREAM, ["regnal.events.*.>"], later)
            until("the rest", process, lambda: None)
            got += process.stdout.readlines()
        revisions = [json.loads(line)["data"]["revision"] for line in got]
        assert revisions == ["0", "1", "2", "3", "4"]


@pytest.mark.server
@needs_nats
def test_the_configuration_says_who_we_are(tmp_path: Path) -> None:
    with NatsServer(tmp_path, account=("reader", "hunter2")) as server:
        server.publish(STREAM, ["regnal.events.*.>"], [published(told())])
        refused = run(server.url, status=1)
        assert "uthorization" in refused
        file = tmp_path / "regnal.yml"
        account = {"username": "reader", "password": "hunter2"}
        file.write_text(json.dumps({"nats": {"servers": [server.url], **account}}))
        assert "leader.elected" in run(server.url, "-c", str(file))


@pytest.mark.server
@pytest.mark.slow
@needs_nats
def test_without_a_stream_what_is_said_is_heard(tmp_path: Path) -> None:
    with NatsServer(tmp_path, jetstream=False) as server:
        numbers = iter(range(10_000))
        with following("-n", "2", f"{server.url}/demo") as process:

            def speak() -> None:
                server.say(published(told(revision=str(next(numbers)))))

            until("two events", process, speak)
            assert process.stdout is not None
            assert len(process.stdout.readlines()) == 2


def test_a_journal_on_this_host_is_followed(tmp_path: Path) -> None:
    live = Live(tmp_path / "journal")
    live.member.enter(MemberJoined(member="before"))
    with following("-n", "2", str(tmp_path / "journal")) as process:
        until("two events", process, lambda: live.say("now"))
        assert process.stdout is not None
        events = [json.loads(line) for line in process.stdout]
    assert [e["data"] for e in events] == [{"member": "now"}] * 2
    assert events[0]["source"] == "/regnal/demo/pg1"
