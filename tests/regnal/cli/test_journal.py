"""`regnal journal`, as a person and as a script call it."""

import json
import os
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from regnal.bridges.http.options import BasicCredentials
from regnal.cli.journal import journal_command
from regnal.journal.ledger import Head
from regnal.journal.options import JournalOptions
from regnal.journal.pins import pin
from regnal.journal.places import segments
from regnal.journal.retention import compress
from regnal.journal.segment_input import begun_at
from regnal.messages.cluster import StoreAnswered, StoreUnreachable
from tests.bridges.http.running import PLAIN
from tests.journal.builders import Member, records
from tests.journal.damaging import MUSEUM
from tests.journal.test_witnesses import write
from tests.replay.sources.cases import MEMBERS, small
from tests.replay.sources.live import cluster, served, url_of


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Two segments, the first compressed and pinned; some beats are held."""
    options = JournalOptions(quiet_bytes=3_000)
    member = Member(tmp_path / "pg1", options).open()
    member.tell(StoreUnreachable(error="x" * 300, unanswered_for=1.0))
    member.ledger.roll("asked")
    member.tell(StoreAnswered())
    for _ in range(9):
        member.beat()
    member.ledger.write()
    first = segments(tmp_path / "pg1")[0]
    compress(first.path)
    pin(segments(tmp_path / "pg1")[0], "reign-7")
    return tmp_path / "pg1"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(journal_command, [str(one) for one in arguments])


def test_ls_lists_the_segments_in_a_table(journal: Path) -> None:
    result = run("ls", journal.parent)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert len({len(line) for line in lines}) == 1, "the table lines up"
    assert "compressed, pinned" in lines[3]
    assert "open" in lines[4]


def test_ls_for_programs(journal: Path) -> None:
    first, second = json.loads(run("ls", journal, "--json").output)
    assert first["member"] == "pg1"
    assert first["first"] == 1
    assert second["begun"].startswith("2023-11-14 22:30:00")


def test_show_prints_a_line_for_each_record(journal: Path) -> None:
    result = run("show", journal)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert len(lines) == len(records(journal, with_held=True))
    assert lines[0].split()[3:6] == ["journal", "#", "start"]
    assert "· store_unreachable" in lines[2]
    assert lines[2].endswith("… unanswered_for=1.0"), "long values are shortened"
    held = [line for line in lines if line.lstrip().startswith("~")]
    assert any(re.search(r"→ renew x\d ", line) for line in held)


def test_show_in_full(journal: Path) -> None:
    assert f"error={'x' * 300} " in run("show", journal, "--full").output


def test_show_for_programs_prints_the_journals_own_lines(journal: Path) -> None:
    lines = run("show", journal, "--json").output.splitlines()
    assert lines == [
        record.line.decode().rstrip("\n") for record in records(journal, with_held=True)
    ]


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        (["--kind", "start"], {"start"}),
        (["--kind", "start", "--kind", "seal"], {"start", "seal"}),
        (["--type", "store_answered"], {"message"}),
        (["--actor", "election"], {"snapshot", "step", "message"}),
        (["--trace", "pg1/1/1"], {"message"}),
        (["--after", "4", "--kind", "seal"], {"seal"}),
        (["--since", "2023-11-14T22:30:05Z", "--kind", "step"], {"step"}),
    ],
)
def test_show_only_what_is_asked_for(
    journal: Path, options: list[str], kinds: set[str]
) -> None:
    result = run("show", journal, "--json", *options)
    found = [json.loads(line) for line in result.output.splitlines()]
    assert {record["kind"] for record in found} == kinds


def test_show_no_more_than_is_asked_for(journal: Path) -> None:
    assert len(run("show", journal, "-n", "3").output.splitlines()) == 3


def test_tail_prints_the_end(journal: Path) -> None:
    everything = run("show", journal).output.splitlines()
    assert run("tail", journal, "-n", "4").output.splitlines() == everything[-4:]


def test_tail_follows(journal: Path) -> None:
    process = subprocess.Popen(
        [
            *(sys.executable, "-u", "-m", "regnal", "journal", "tail", journal),
            *("-n", "1", "-f", "--json", "--type", "store_answered"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(30, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["id"].startswith("pg1/1/")
        member = Member(journal, incarnation=2).open()
        said = [member.enter(StoreAnswered()).id for _ in range(3)]
        member.ledger.write()
        seen = [json.loads(process.stdout.readline())["id"] for _ in said]
        assert seen == said
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


def test_verify_says_whole(journal: Path) -> None:
    result = run("verify", journal)
    assert result.exit_code == 0
    assert result.output.startswith("pg1: whole, ")


def test_verify_says_where_the_damage_is(journal: Path) -> None:
    path = segments(journal)[1].path
    content = path.read_bytes()
    path.write_bytes(content.replace(b"store_answered", b"store_anwsered", 1))
    result = run("verify", journal)
    assert result.exit_code == 1
    assert "DAMAGED" in result.output
    assert f"changed    {path.name}, byte " in result.output
    (verdict,) = json.loads(run("verify", journal, "--json").output)
    assert not verdict["is_whole"]
    assert verdict["damages"][0]["what"] == "changed"


def test_verify_asks_the_witness(journal: Path) -> None:
    head = json.loads(run("verify", journal, "--json").output)[0]["head"]
    assert run("verify", journal, "--witness", head).exit_code == 0
    forged = f"{head.partition(':')[0]}:{'0' * 32}"
    result = run("verify", journal, "--witness", forged)
    assert result.exit_code == 1
    assert f"the witness {forged} is not in this chain" in result.output


def test_verify_asks_the_journals_of_the_others(tmp_path: Path) -> None:
    write(tmp_path, "pg1", {}, {})
    early = Head(1, records(tmp_path / "pg1")[0].fields["hash"])
    head = write(tmp_path / "spare", "pg1", {}, {})
    write(tmp_path, "pg2", {"pg1": str(early)})
    whole = run("verify", tmp_path / "pg1", tmp_path / "pg2")
    assert whole.exit_code == 0, whole.output
    assert "seen     by pg2: 1 heads of it that are in this chain" in whole.output

    write(tmp_path, "pg3", {"pg1": str(head)})
    journals = [tmp_path / name for name in ("pg1", "pg2", "pg3")]
    forged = run("verify", *journals)
    assert forged.exit_code == 1
    assert f"denied   the witness {head} of pg3, at " in forged.output
    assert "is not in this chain" in forged.output
    verdict, *_ = json.loads(run("verify", *journals, "--json").output)
    assert (verdict["confirmed"], verdict["denied"]) == ([str(early)], [str(head)])


def test_verify_notices_an_end_that_somebody_has_seen(journal: Path) -> None:
    result = run("verify", journal, "--witness", f"4711:{'0' * 32}")
    assert result.exit_code == 1
    assert "is beyond its end: that was cut off, or this copy is older" in result.output


def test_damage_does_not_keep_the_rest_from_being_shown(journal: Path) -> None:
    path = segments(journal)[1].path
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"rubbish\n", *lines[3:]]))
    result = run("show", journal, "--json")
    assert result.exit_code == 0
    assert "cannot be read: rubbish" in result.stderr
    assert len(result.stdout.splitlines()) >= len(lines)


def test_export_and_unpack(journal: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.tar.gz"
    result = run("export", journal.parent, "-o", bundle)
    assert result.exit_code == 0
    assert result.output.startswith("pg1: ")
    assert run("unpack", bundle, tmp_path / "out").exit_code == 0
    assert records(tmp_path / "out" / "0001") == records(journal)
    manifest = json.loads(run("export", journal, "-o", bundle, "--json").output)
    assert manifest["journals"][0]["is_whole"]


def test_a_bundle_is_shown_and_verified_like_a_directory(
    journal: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.tar.gz"
    assert run("export", journal, "-o", bundle).exit_code == 0
    assert run("show", bundle).output == run("show", journal).output
    result = run("verify", bundle)
    assert result.exit_code == 0
    assert (
        result.output.replace(str(bundle), str(journal))
        == run("verify", journal).output
    )
    content = bundle.read_bytes()
    bundle.write_bytes(content[:-100])
    result = run("verify", bundle)
    assert result.exit_code == 1
    assert "Warning: " in result.stderr
    assert "is not complete" in result.stderr


def test_only_a_part_is_exported(tmp_path: Path) -> None:
    whole = small(tmp_path / "pg1", segments=4)
    bundle = tmp_path / "bundle.tar.gz"
    until = begun_at(segments(whole)[2])
    assert until is not None
    result = run("export", whole, "-o", bundle, "--until", until, "--json")
    manifest = json.loads(result.output)
    assert manifest["until"] == until
    assert len(manifest["journals"][0]["files"]) == 2
    result = run("verify", whole, "--until", until)
    assert result.exit_code == 0
    assert "in 2 segments" in result.output


def test_a_live_cluster_is_shown_verified_and_exported(tmp_path: Path) -> None:
    journals = {name: served(MUSEUM / name) for name in MEMBERS}
    bundle = tmp_path / "incident.tar.gz"
    with cluster({**journals, "pg4": None}) as running:
        place = url_of(running["pg2"])
        shown = run("show", place, "--type", "leader_acquired")
        verified = run("verify", place)
        exported = run("export", place, "-o", bundle)
    assert shown.exit_code == 0
    assert "· leader_acquired" in shown.stdout
    assert verified.exit_code == 1, "not all could be checked"
    assert verified.stdout.count(": whole, ") == 3
    assert "pg4 gives no journal: 503" in verified.stderr
    assert exported.exit_code == 0
    result = run("verify", bundle)
    assert result.stdout.count(": whole, ") == 3
    assert "says: pg4 gives no journal" in result.stderr


def test_without_a_place_the_variable_counts(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REGNAL_JOURNAL_DIR", raising=False)
    result = run("verify")
    assert result.exit_code == 2
    assert "no PLACE is given: name a journal directory" in result.output
    assert "REGNAL_JOURNAL_DIR" in result.output
    monkeypatch.setenv("REGNAL_JOURNAL_DIR", str(journal))
    assert run("verify").output == run("verify", journal).output


def test_credentials_come_from_a_configuration(tmp_path: Path) -> None:
    account = BasicCredentials(username="admin", password="s3cret")
    file = tmp_path / "regnal.yml"
    authentication = {"username": "admin", "password": "s3cret"}
    file.write_text(json.dumps({"ctl": {"authentication": authentication}}))
    options = replace(PLAIN, credentials=account)
    with cluster({"pg1": served(MUSEUM / "pg1")}, options=options) as running:
        place = url_of(running["pg1"])
        refused = run("verify", place)
        allowed = run("verify", place, "-c", file)
    assert refused.exit_code == 2
    assert "give the credentials, with --config" in refused.output
    assert allowed.exit_code == 0
    file.write_text("ctl: [")
    assert run("verify", place, "-c", file).exit_code == 1


def test_what_is_wrong_with_a_bundle_is_told_when_it_is_unpacked(
    journal: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.tar.gz"
    run("export", journal, "-o", bundle)
    bundle.write_bytes(bundle.read_bytes()[:-100])
    result = run("unpack", bundle, tmp_path / "out")
    assert result.exit_code == 1
    assert "is not complete" in result.stderr
    assert str(tmp_path / "out" / "0001") in result.stdout


def test_whatever_lies_in_the_directory_is_listed(journal: Path) -> None:
    (journal / "journal-000000000900.jsonl").mkdir()
    (journal / "journal-000000000901.jsonl").symlink_to("/nowhere")
    (journal / "journal-000000000902.jsonl.gz").write_bytes(b"rubbish")
    os.mkfifo(journal / "journal-000000000903.jsonl")
    for command in ("ls", "show", "tail", "verify"):
        result = run(command, journal)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert result.exit_code in (0, 1)
    assert run("ls", journal).output.count("unreadable") == 3


@pytest.mark.parametrize("command", ["ls", "show", "tail", "verify"])
def test_where_there_is_no_journal_it_says_so(tmp_path: Path, command: str) -> None:
    result = run(command, tmp_path)
    assert result.exit_code == 2
    assert "there is no journal in" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", ".", "--since", "soon"],
        ["verify", ".", "--witness", "1:2"],
        ["show", "/nowhere"],
        ["export", "."],
    ],
)
def test_a_wrong_option_is_explained(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Error: " in result.output


def test_a_bundle_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bundle").write_bytes(b"rubbish")
    result = run("unpack", tmp_path / "bundle", tmp_path / "out")
    assert result.exit_code == 2
    assert "is not a bundle" in result.output


@pytest.mark.parametrize("command", sorted(journal_command.commands))
def test_every_command_gives_an_example(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Example" in result.output
    assert f"regnal journal {command} " in result.output
