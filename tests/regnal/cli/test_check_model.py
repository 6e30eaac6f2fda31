"""`regnal check-model`: what it prints, and when it fails."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from regnal.cli.check_model import check_model_command
from regnal.cli.explain import explain_command
from regnal.replay.model.worlds import WORLDS
from tests.mutations.mutant import broken
from tests.mutations.mutants import MUTANTS


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(check_model_command, list(arguments))
    return result.exit_code, result.output


def test_it_lists_its_worlds() -> None:
    code, printed = run("--list")
    assert code == 0
    assert [line.split()[0] for line in printed.splitlines()] == [
        world.name for world in WORLDS
    ]
    code, printed = run("--list", "-f", "json")
    assert [row["world"] for row in json.loads(printed)] == [w.name for w in WORLDS]


def test_it_says_how_far_it_came() -> None:
    code, printed = run("one-fault", "--states", "50", "--no-recovery")
    assert code == 0
    assert "cut by the limit" in printed
    assert "every law holds" in printed


def test_a_broken_law_is_told_and_is_a_failure() -> None:
    mutant = next(m for m in MUTANTS if m.name == "never arm the guard")
    with broken(mutant):
        code, printed = run("one-fault", "--no-recovery", "-f", "json")
    assert code == 1
    (found,) = json.loads(printed)
    assert "law 1" in found["broken"]
    assert found["path"]
    assert found["broken"] in found["story"][-1]


@pytest.mark.invented_steps  # by a broken rule: they replay while it is
def test_the_journals_of_the_way_to_a_broken_law_are_explained(tmp_path: Path) -> None:
    directory = tmp_path / "way"
    mutant = next(m for m in MUTANTS if m.name == "never move the guard's deadline")
    with broken(mutant):
        asked = ("one-fault", "--no-recovery", "--journals", str(directory))
        code, printed = run(*asked)
        again = run(*asked)
    assert code == 1
    assert f"regnal explain {directory / 'one-fault'}" in printed
    assert again[0] == 1
    assert "is not empty; name a new directory" in again[1]
    told = CliRunner().invoke(explain_command, ["--list", f"{directory}/one-fault"])
    assert told.exit_code == 0, told.output


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    mutant = next(m for m in MUTANTS if m.name == "never move the guard's deadline")
    with broken(mutant):
        code, printed = run(
            "one-fault", "--no-recovery", "--journals", str(tmp_path / "file" / "way")
        )
    assert code == 1
    assert f"--journals {tmp_path}/file/way" in printed


def test_a_world_that_is_not_there_is_named() -> None:
    code, printed = run("no-such-world")
    assert code == 2
    assert "no-such-world" in printed
    assert "one-fault" in printed
