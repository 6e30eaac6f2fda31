"""`regnal testcase`: an incident becomes a test, green until a decider decides otherwise."""

import ast
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from regnal.actors.cast import DECIDERS
from regnal.actors.election import ELECTION
from regnal.actors.election_state import Election
from regnal.actors.step import Step
from regnal.cli.main import regnal
from regnal.journal.reader import Record, scan
from regnal.journal.verification import verify
from regnal.messages.base import Message
from regnal.messages.envelope import Envelope
from regnal.replay.rebuild import rebuild
from regnal.replay.slicing import masked_record, slice_journal
from regnal.replay.testcase import differences
from tests.journal.builders import TOY, Member, records
from tests.replay.playback.test_verify import beating, verified

MUSEUM = Path(__file__).parents[2] / "journals" / "0.1.0-fencing"

TAKEN = "acquire_as_the_best_candidate"
"""The rule by which pg2 took over."""


def run(*arguments: object) -> Result:
    return CliRunner().invoke(regnal, ["testcase", *map(str, arguments)])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test of a host that was lost."""
    file = tmp_path_factory.mktemp("made") / "test_lost_host.py"
    result = run("reign-10", MUSEUM, "-o", file)
    assert result.exit_code == 0, result.output
    assert f"{file.with_name('lost_host')}: pg1 (" in result.output
    return file


def test_what_is_written_is_a_test_that_passes(written: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", written],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_it_says_what_happened_and_what_was_decided(written: Path) -> None:
    text = written.read_text()
    told = ast.get_docstring(ast.parse(text)) or ""
    assert told.startswith(
        "The host of pg2 was lost; pg1 noticed at once; pg1 took over"
    )
    assert f"12:12:44.338  pg1  {TAKEN}: acquire_leader" in told
    assert max(map(len, text.splitlines())) <= 88


def test_it_fails_with_a_diff_when_a_decider_is_changed(written: Path) -> None:
    pg1 = written.with_name("lost_host") / "pg1"
    assert differences(pg1) == ""

    def other(state: Election, heard: Envelope[Message]) -> Step[Election]:
        step = ELECTION.handle(state, heard)
        return replace(step, rule="dither") if step.rule == TAKEN else step

    changed = replace(ELECTION, handle=other)
    cast = [changed if one.name == ELECTION.name else one for one in DECIDERS]
    diff = differences(pg1, (), cast)
    assert f'    - rule: "{TAKEN}"\n    + rule: "dither"' in diff
    number = int(diff.split()[1])
    assert differences(pg1, [number], cast) == ""
    assert "record 3 does not differ any more" in differences(pg1, [3, number], cast)


def test_the_slice_is_a_journal_for_every_tool(written: Path) -> None:
    for member in ("pg1", "pg2", "pg3"):
        verdict = verify(written.with_name("lost_host") / member)
        assert verdict.is_whole, verdict
    listed = CliRunner().invoke(
        regnal, ["explain", "-l", "-f", "json", str(written.with_name("lost_host"))]
    )
    assert "reign-10" in [one["name"] for one in json.loads(listed.stdout)]


def test_records_keep_their_numbers_and_states_are_as_they_were(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    member = Member(whole).open()
    for _ in range(120):
        member.beat()
    member.ledger.close()
    there = {record.n: record for record in records(whole)}
    part = tmp_path / "part"
    assert slice_journal(whole, range(300, 320), part, (TOY,)) == 20
    found = [item for item in scan(part) if isinstance(item, Record)]
    assert [one.n for one in found[-20:]] == list(range(300, 320))
    assert found[0].fields["why"] == "slice"
    for one in found[-20:]:
        assert {**one.fields, "hash": ""} == {**there[one.n].fields, "hash": ""}
    for number in (300, 310, 319):
        was, now = (rebuild(d, (TOY,), number).actors for d in (whole, part))
        assert was == now
    result = verified(part)
    assert result.is_same
    assert not result.troubles
    assert not result.doubtful
    assert result.passed == 0


def test_near_the_beginning_of_a_journal_it_begins_there(tmp_path: Path) -> None:
    beating(tmp_path / "whole").ledger.close()
    slice_journal(tmp_path / "whole", range(5, 12), tmp_path / "part", (TOY,))
    assert records(tmp_path / "part") == records(tmp_path / "whole")[:11]


def test_secrets_are_masked_wherever_they_stand() -> None:
    text = '{"authentication": {"password": "s3c\\"ret", "username": "rewind"}}'
    record = {
        "conn_url": "postgres://admin:s3cret@10.0.0.1:5432/postgres",
        "config": text,
        "settings": {"password": "s3cret", "token": None, "ttl": 30},
        "list": ["host=pg1 password=s3cret user=x"],
    }
    told = json.dumps(masked_record(record))
    assert "s3c" not in told
    assert masked_record(record)["settings"] == {
        "password": "***",
        "token": None,
        "ttl": 30,
    }
    assert json.loads(masked_record(record)["config"]) == {
        "authentication": {"password": "***", "username": "rewind"}
    }


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("reign-11", MUSEUM), 1, "there is no incident 'reign-11'"),
        (("reign-11", MUSEUM), 1, "there are: cluster-pg2-80, replica-pg3-111"),
        (("reign-10", MUSEUM, "-o", "lost.py"), 2, "let the name begin with test_"),
        (("reign-10", MUSEUM, "-o", "test_x.txt"), 2, "is no name for a test"),
        (("reign-10", MUSEUM, "-o", "/nowhere/test_x.py"), 1, "cannot be written"),
        (("reign-10", "/nowhere"), 2, "/nowhere"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: tuple[object, ...], status: int, told: str
) -> None:
    result = run(*arguments)
    assert result.exit_code == status, result.output
    assert told in result.output


def test_nothing_is_overwritten(written: Path) -> None:
    result = run("reign-10", MUSEUM, "-o", written)
    assert result.exit_code == 1
    assert "exists already" in result.output
