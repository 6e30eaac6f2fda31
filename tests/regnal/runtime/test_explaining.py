"""Explanations run in a process of their own, with limits, and end when nobody wants them."""

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic_core import from_json

from regnal.bridges.http.options import BasicCredentials, ClientOptions
from regnal.runtime.explaining import (
    BUSY,
    NICENESS,
    OOM_SCORE,
    Explained,
    Explainer,
    Question,
    earlier,
    http_status,
    run,
)

MUSEUM = Path(__file__).parents[3] / "tests" / "journals" / "0.1.0-demo" / "pg2"
DEADLINE = 30.0


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def never() -> threading.Event:
    return threading.Event()


def test_what_it_prints_is_the_answer() -> None:
    assert run(python("print('why')"), never()) == Explained(0, b"why\n", "")


def test_its_failure_is_told_in_its_own_words() -> None:
    failed = run(python("import sys; sys.exit('Error: no such incident')"), never())
    assert failed == Explained(1, b"", "Error: no such incident")
    assert http_status(failed) == 404


def test_a_crash_is_no_answer() -> None:
    failed = run(python("import os; os.kill(os.getpid(), 9)"), never())
    assert (failed.status, failed.error) == (-9, "it ended with status -9")
    assert http_status(failed) == 500


def test_a_program_that_is_not_there_is_told() -> None:
    failed = run(["/no/such/program"], never())
    assert failed.status is None
    assert "/no/such/program could not be started" in failed.error


def test_it_has_only_so_much_time() -> None:
    failed = run(python("import time; time.sleep(60)"), never(), within=0.2)
    assert failed == Explained(None, b"", "it took longer than 0 s")


def test_it_may_print_only_so_much() -> None:
    endless = "import sys\nwhile True: sys.stdout.write('x' * 9999)"
    failed = run(python(endless), never(), limit=100_000)
    assert failed.error == "it wrote more than 100000 bytes"


def test_endless_complaints_fill_no_memory() -> None:
    program = "import sys; sys.stderr.write('x' * 10**7); sys.exit(1)"
    assert len(run(python(program), never()).error) <= 4096


def test_everything_else_comes_first(tmp_path: Path) -> None:
    program = (
        "import os, time, resource, pathlib\n"
        "end = time.monotonic() + 20\n"
        f"while os.nice(0) < {NICENESS} and time.monotonic() < end: time.sleep(0.01)\n"
        "while pathlib.Path('/proc/self/oom_score_adj').read_text().strip() "
        f"!= '{OOM_SCORE}' and time.monotonic() < end: time.sleep(0.01)\n"
        "print(os.nice(0), resource.getrlimit(resource.RLIMIT_AS)[0])"
    )
    niceness, memory = run(python(program), never()).output.split()
    assert int(niceness) == NICENESS
    assert 0 < int(memory) <= 2 * 1024**3
    assert os.nice(0) < NICENESS


def test_it_is_killed_when_nobody_wants_it_any_more(tmp_path: Path) -> None:
    pid_file, dropped = tmp_path / "pid", threading.Event()
    program = (
        f"import os, time\nopen({str(pid_file)!r}, 'w').write(str(os.getpid()))\n"
        "time.sleep(60)"
    )
    done: list[Explained] = []
    thread = threading.Thread(
        target=lambda: done.append(run(python(program), dropped)), daemon=True
    )
    thread.start()
    until(lambda: pid_file.exists() and pid_file.read_text() != "")
    dropped.set()
    thread.join(DEADLINE)
    assert done[0].error == "nobody wants it any more"
    assert not psutil.pid_exists(int(pid_file.read_text()))


def until(is_so: Any) -> None:
    end = time.monotonic() + DEADLINE
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def about(incident: str, since: str | None = None) -> Question:
    return Question(incident, "json", since)


def test_a_journal_is_explained() -> None:
    explained = Explainer(MUSEUM).explain(about("latest"), never())
    assert explained.status == 0, explained.error
    assert from_json(explained.output)["name"].startswith("reign-")
    unknown = Explainer(MUSEUM).explain(about("reign-999"), never())
    assert http_status(unknown) == 404
    assert "no incident 'reign-999'" in unknown.error


def test_other_members_are_asked_as_the_configuration_says(tmp_path: Path) -> None:
    """The password goes through a pipe: others can read the command line."""
    shows_all = "import sys; print(sys.argv[1:], open('/dev/stdin').read())"
    explainer = Explainer(tmp_path, python(shows_all))
    client = ClientOptions(
        credentials=BasicCredentials("ann", "se:cret"),
        insecure=True,
        cacert=Path("/ca.pem"),
        certfile=None,
        keyfile=None,
        keyfile_password=None,
    )
    explainer.reconfigure("http://10.0.0.7:8008/patroni", client)
    shown = explainer.explain(about("reign-10", "2026-11-28"), never()).output.decode()
    arguments, document = shown.split("] ")
    assert "cret" not in arguments
    for wanted in ("--since=2026-11-28", "http://10.0.0.7:8008/patroni"):
        assert wanted in arguments
    assert json.loads(document)["ctl"] == {
        "insecure": True,
        "cacert": "/ca.pem",
        "authentication": {"username": "ann", "password": "se:cret"},
    }


def test_where_no_member_answers_our_own_disk_has_to_do() -> None:
    explainer = Explainer(MUSEUM)
    nobody = ClientOptions(
        credentials=None,
        insecure=False,
        cacert=None,
        certfile=None,
        keyfile=None,
        keyfile_password=None,
    )
    explainer.reconfigure("http://127.0.0.1:1/patroni", nobody)
    explained = explainer.explain(about("latest"), never())
    assert explained.status == 0, explained.error
    assert from_json(explained.output)["name"].startswith("reign-")


def test_a_cause_is_looked_for_before_the_beginning() -> None:
    assert earlier("2026-11-28T07:31:02+00:00") == "2026-11-28T07:21:02+00:00"
    assert earlier("soon") == "soon"


@pytest.mark.parametrize("name", ["--full", "-h", "--causes"])
def test_a_name_is_never_taken_for_an_option(name: str) -> None:
    explained = Explainer(MUSEUM).explain(about(name), never())
    assert "there is no incident" in explained.error


def test_one_runs_at_a_time(tmp_path: Path) -> None:
    explainer = Explainer(tmp_path, python("import time; time.sleep(60)"))
    stop = threading.Event()
    first = threading.Thread(
        target=explainer.explain, args=(about("latest"), stop), daemon=True
    )
    first.start()
    gone = threading.Event()
    gone.set()  # so that it ends at once, where it is not refused

    def refused() -> Explained:
        return explainer.explain(about("latest"), gone, waits=False)

    until(lambda: refused().error == BUSY)
    assert http_status(refused()) == 503
    stop.set()
    first.join(DEADLINE)


def test_signals_reach_no_explanation_from_a_terminal() -> None:
    """It is in a session of its own: Ctrl-C for the daemon is none for it."""
    program = "import os; print(os.getsid(0) == os.getpid())"
    assert run(python(program), never()).output == b"True\n"
