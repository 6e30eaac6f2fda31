"""`regnal replay what-if` as its users meet it: what it prints, and how it ends."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from regnal.cli.main import regnal

ROOT = Path(__file__).parents[3]
MUSEUM = ROOT / "tests" / "journals" / "0.1.0-demo"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(regnal, ["replay", "what-if", *map(str, arguments)])


def test_the_first_decision_that_differs_is_told_with_what_follows() -> None:
    result = run(MUSEUM, "--down", "pg2@06:42:58", "-i", "reign-10")
    assert result.exit_code == 1
    told = result.stdout
    assert "What if pg2 were down from 06:42:58.000 on" in told
    assert "pg3 would ask for the leader key at 06:43:02.370." in told
    assert "- leave_the_race_to_a_better_one" in told
    assert "+ acquire_as_the_best_candidate" in told
    assert "+ candidate pg2: pg2 did not answer" in told
    assert "after record 327: acquire_leader was not ordered then" in told
    assert "\x1b[" not in told, "no colours where there is no terminal"


def test_where_all_is_the_same_the_lease_may_still_end_at_another_moment() -> None:
    result = run(MUSEUM, "--set", "ttl=40", "-i", "reign-10")
    assert result.exit_code == 0
    assert "Every decision would be the same, but the lease of pg1" in result.stdout
    assert "about 36.9 s instead of 16.9 s" in " ".join(result.stdout.split())


def test_what_the_daemon_would_correct_is_told() -> None:
    result = run(MUSEUM, "--set", "ttl=15")
    assert result.exit_code == 0
    assert "This changes nothing that anybody decides by: ttl 15 is less than 20" in (
        result.stdout
    )


def test_json_has_the_documented_keys() -> None:
    result = run(
        MUSEUM, "--set", "pg3:tags.nofailover=true", "--json", "-i", "reign-10"
    )
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert answer["format"] == 1
    assert answer["verdict"] == "differs"
    assert answer["incident"] == "reign-10"
    assert answer["first"]["member"] == "pg3"
    assert answer["first"]["now"]["rule"] == "stay_out_of_the_race"
    (pg3,) = (one for one in answer["members"] if one["member"] == "pg3")
    assert [tags["nofailover"] for tags in pg3["settings"]["tags"]] == [False, True]
    assert pg3["end"]["why"] == "recording"
    assert set(answer) == {
        "question",
        "format",
        "changes",
        "downs",
        "since",
        "until",
        "incident",
        "verdict",
        "first",
        "end",
        "consequences",
        "members",
        "assumed",
        "echoes",
        "warnings",
        "troubles",
    }


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "say what shall be otherwise: --set, --down or --code"),
        (("--set", "ttl=x"), "ttl: 'x' is not a number"),
        (("--set", "tll=3"), "tll: is not a known option"),
        (("--set", "pg9:ttl=30"), "there is no member pg9: there are pg1, pg2, pg3"),
        (("--down", "pg9"), "there is no member pg9"),
        (("--down", "pg2@soon"), "'soon' is not a moment"),
        (("--set", "ttl=30", "-i", "nope"), "there is no incident 'nope'"),
        (
            ("--set", "ttl=30", "-i", "latest", "--since", "1h"),
            "give --incident, or --since and --until, not both",
        ),
        (("--code", str(ROOT), "--set", "ttl=30"), "--code goes with --since"),
        (("--code", str(ROOT / "docs")), "there is no Regnal"),
        (("--code", "/nowhere"), "does not exist"),
    ],
)
def test_a_question_that_cannot_be_asked(arguments: tuple[str, ...], told: str) -> None:
    result = run(MUSEUM, *arguments)
    assert result.exit_code == 2, result.output
    assert told in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


def test_without_a_journal_there_is_nothing_to_ask(tmp_path: Path) -> None:
    result = run(tmp_path, "--set", "ttl=30")
    assert result.exit_code == 2
    assert "Traceback" not in result.output


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """This program, as a checkout somewhere else."""
    for name in ("regnal", "actors", "bridges", "journal", "messages", "replay"):
        shutil.copytree(
            ROOT / name,
            tmp_path / name,
            symlinks=True,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    return tmp_path


def test_another_version_is_compared_step_by_step(checkout: Path) -> None:
    race = checkout / "actors" / "election_race.py"
    code = race.read_text()
    race.write_text(code.replace("DELAY_PER_RANK = 0.5", "DELAY_PER_RANK = 0.7"))
    result = run(MUSEUM / "pg3", "--code", checkout, "--json")
    assert result.exit_code == 1, result.output
    answer = json.loads(result.stdout)
    assert (answer["verdict"], answer["count"]) == ("differs", 1)
    (first,) = answer["differences"]
    assert (first["member"], first["record"], first["actor"]) == (
        "pg3",
        327,
        "election",
    )
    assert first["here"]["rule"] == first["there"]["rule"]
    text = run(MUSEUM / "pg3", "--code", checkout).stdout
    assert "pg3: first at record 327" in text
    assert "said[0].at" in text


def test_another_version_that_is_too_old_is_told(checkout: Path) -> None:
    replay = checkout / "regnal" / "cli" / "replay.py"
    replay.write_text(replay.read_text().replace('"steps": Lazy', '"walk": Lazy'))
    result = run(MUSEUM / "pg3", "--code", checkout)
    assert result.exit_code == 2
    assert "too old to be compared with" in " ".join(result.stderr.split())
