"""`regnal replay verify` and `state` as their users meet them."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from regnal.cli.main import regnal
from regnal.journal.bundles import Content, Making, write_bundle
from tests.journal.damaging import contents_of, write

MUSEUM = Path(__file__).parents[2] / "journals" / "0.1.0-demo"
"""A demo: the cluster is created, a host is lost, a switchover, the end.  Deciders have
changed since (tests/journals/changed.yaml)."""

SOUND = MUSEUM.with_name("0.1.0-fencing")
"""The same of a later version, which replays as it was."""

LATER = "2026-11-28T06:42:55"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(regnal, ["replay", *map(str, arguments)])


def documents(*arguments: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(*arguments, "--json").stdout)
    return found


def test_verify_shows_each_difference_as_a_diff_and_fails() -> None:
    result = run("verify", MUSEUM / "pg1")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[0].endswith("231 steps and 16 states compared: 76 differ")
    assert "  record 115  2026-11-28 06:42:42.305  rest heard leader_acquired" in lines
    assert "    - said[0].snapshot.leader_until: 958.684785754" in lines
    assert "    + said[0].snapshot.leader_until: 953.684785754" in lines
    assert "\x1b[" not in result.output


def test_verify_has_all_of_it_for_machines() -> None:
    (document,) = documents("verify", MUSEUM / "pg1")
    assert document["member"] == "pg1"
    assert (document["steps"], document["difference_count"]) == (231, 76)
    said, *_ = document["differences"]
    assert (said["actor"], said["record"], said["what"]) == ("rest", 115, "said")
    assert said["heard"] == "leader_acquired"
    assert said["changes"] == [
        {
            "path": "[0].snapshot.leader_until",
            "recorded": 958.684785754,
            "replayed": 953.684785754,
        }
    ]


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A journal that replays to the same: its actors are today's, as far as they are
    in it."""
    lines = contents_of(SOUND / "pg3")
    for name, content in lines.items():
        lines[name] = b"".join(content.splitlines(keepends=True)[:300])
    return write(lines, tmp_path / "sound")


def test_verify_is_content_with_a_journal_that_replays_to_the_same(
    sound: Path,
) -> None:
    result = run("verify", sound)
    assert result.exit_code == 0, result.output
    assert result.output.endswith("states compared: the same\n")


def test_verify_reads_a_bundle(sound: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.tar.gz"
    write_bundle(bundle, [Content(sound)], Making(made_at="", made_by=""))
    result = run("verify", bundle)
    assert result.exit_code == 0, result.output
    assert "pg3 (" in result.output


def test_verify_uses_the_rest_of_a_damaged_journal_and_tells(sound: Path) -> None:
    (segment,) = sound.iterdir()
    lines = segment.read_bytes().splitlines(keepends=True)
    lines[100] = lines[100].replace(b'"at":', b'"at":7', 1)
    segment.write_bytes(b"".join(lines))
    result = run("verify", sound)
    assert result.exit_code == 0, result.output
    assert "record 101 is not as it was written" in result.output


def test_verify_of_what_cannot_be_compared_is_no_success(tmp_path: Path) -> None:
    segment = tmp_path / "journal-000000000001.jsonl"
    segment.write_bytes(b"nonsense\n")
    assert run("verify", tmp_path).exit_code == 1
    assert "nothing in it can be compared" in run("verify", tmp_path).output
    missing = run("verify", tmp_path / "none")
    assert missing.exit_code == 2
    assert "none" in missing.output


def test_state_shows_the_cluster_as_each_member_saw_it() -> None:
    result = run("state", MUSEUM, "--at", LATER)
    assert result.exit_code == 0, result.output
    assert "pg2 at record" in result.output
    assert "leader      pg1" in result.output
    assert "PostgreSQL  standby, accepting, standby, timeline 1" in result.output
    assert "\nelection\n" in result.output


def test_state_at_a_record_is_the_state_that_the_step_left() -> None:
    before, after = (
        documents("state", MUSEUM / "pg2", "--at", record, "-a", "election")[0]
        for record in (557, 558)
    )
    assert list(after["actors"]) == ["election"]
    assert (before["record"], after["record"]) == (557, 558)
    assert before["actors"] != after["actors"] or before["cluster"] == after["cluster"]
    assert after["member"] == "pg2"
    assert after["cluster"]["settings"]["ttl"] == 20


def test_state_is_that_of_the_snapshot_there() -> None:
    """Snapshots begin the second segment of pg2: what is rebuilt is what they say."""
    content = contents_of(SOUND / "pg2")["journal-000000000202.jsonl"]
    records = [json.loads(line) for line in content.splitlines()]
    snapshots = [one for one in records if one["kind"] == "snapshot"][:8]
    (last,) = documents("state", SOUND / "pg2", "--at", snapshots[-1]["n"])
    for snapshot in snapshots:
        rebuilt = last["actors"][snapshot["actor"]]["state"]
        assert is_within(snapshot["state"], rebuilt)


def is_within(old: Any, new: Any) -> bool:
    """Whether it is the same, but for what actors remember only since."""
    if isinstance(old, dict):
        return all(is_within(old[name], new[name]) for name in old)
    return bool(old == new)


def test_state_at_the_end_by_default() -> None:
    found = documents("state", MUSEUM)
    assert [one["member"] for one in found] == ["pg1", "pg2", "pg3"]
    assert all(one["kind"] == "seal" for one in found)


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("--at", "yesterday"), 2, "'yesterday' is not a moment"),
        (("--at", "0"), 2, "records are numbered from 1"),
        (("--at", "9000", "-m", "pg1"), 1, "no record 9000: the last one is 696"),
        (("--at", "5"), 2, "say with --member whose record 5 is meant (pg1, pg2, pg3)"),
        (("--at", "2020-01-01"), 1, "the journal begins at 2026-11-28T06:42:3"),
        (("-m", "pg9"), 1, "there is no journal of pg9, but of pg1, pg2, pg3"),
        (("-a", "elector"), 2, "'elector' is not one of"),
    ],
)
def test_state_says_what_is_wrong_with_the_question(
    arguments: tuple[str, ...], status: int, told: str
) -> None:
    result = run("state", MUSEUM, *arguments)
    assert result.exit_code == status
    assert told in result.output
