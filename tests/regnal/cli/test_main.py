"""`regnal`: the daemon's old command line, and commands that are loaded when used."""

import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from regnal.cli.lazy_group import LazyCommand, LazyGroup
from regnal.cli.main import COMMANDS, as_commands, regnal


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ([], ["run"]),
        (["p.yml"], ["run", "p.yml"]),
        (["run", "p.yml"], ["run", "p.yml"]),
        (["--validate-config", "p.yml"], ["validate-config", "p.yml"]),
        (["p.yml", "--validate-config"], ["validate-config", "p.yml"]),
        (["--validate-config", "p.yml", "-i"], ["validate-config", "p.yml", "-i"]),
        (["--version"], ["version"]),
        (["--help"], ["--help"]),
        (["demo", "--keep"], ["demo", "--keep"]),
        (["demo", "--version"], ["demo", "--version"]),
        (["./demo"], ["run", "./demo"]),
    ],
)
def test_the_daemons_old_command_line_still_works(
    arguments: list[str], command: list[str]
) -> None:
    """Contract 9.1."""
    assert as_commands(arguments) == command


def test_all_commands_are_listed() -> None:
    result = CliRunner().invoke(regnal, ["--help"])

    assert result.exit_code == 0
    assert all(f"  {name} " in result.stdout for name in COMMANDS)


@pytest.mark.parametrize(
    ("program", "text"),
    [
        ("regnal", r"regnal \d+\.\d+\.\d+"),
        ("patroni", r"patroni 4\.\d.* \(regnal .*\)"),
    ],
)
def test_the_version_is_printed(program: str, text: str) -> None:
    """Contract 9.1, 11: under the peer's name it is one that its scripts understand."""
    result = CliRunner().invoke(regnal, ["version"], prog_name=program)

    assert result.exit_code == 0
    assert re.fullmatch(text, result.stdout.strip())


def test_a_command_whose_library_is_missing_leaves_the_others_alone() -> None:
    group = LazyGroup(
        name="group",
        commands_elsewhere={
            "broken": LazyCommand("regnal.cli.nowhere", "command", "Not there"),
            "states": COMMANDS["states"],
        },
    )
    runner = CliRunner()

    result = runner.invoke(group, ["broken"])
    assert result.exit_code == 1
    assert "needs the Python module regnal.cli.nowhere" in result.stderr
    assert "Not there" in runner.invoke(group, ["--help"]).stdout


def test_no_command_of_that_name_is_wrong_usage() -> None:
    group = LazyGroup(name="group", commands_elsewhere={})

    assert CliRunner().invoke(group, ["bogus"]).exit_code == 2
    assert group.get_command(click.Context(group), "bogus") is None


HEAVY = ("psycopg2", "dateutil", "pykka", "urllib3", "pydantic", "yaml")


def test_listing_the_commands_loads_nothing_heavy() -> None:
    """Starting takes as long as the one command needs."""
    program = (
        "import sys\n"
        "from regnal.cli.ctl import ctl\n"
        "ctl(['--help'], standalone_mode=False)\n"
        f"print([one for one in {HEAVY!r} if one in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stderr == "[]\n"
