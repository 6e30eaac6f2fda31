"""`regnal`: the daemon, and the tools around it.

`regnal FILE`, `regnal --validate-config FILE` and `regnal --version` work as they do
with patroni, whose unit files and images may call this program by that name.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from regnal.cli.lazy_group import LazyCommand, LazyGroup


def _command(module: str, name: str, summary: str) -> LazyCommand:
    return LazyCommand(f"regnal.cli.{module}", f"{name}_command", summary)


COMMANDS = {
    "run": _command("run", "run", "Run the daemon with this configuration"),
    "demo": _command("demo", "demo", "A cluster, a failover, and its explanation"),
    "events": _command("events", "events", "Tell what happens, and what happened"),
    "explain": _command("explain", "explain", "Tell what happened, and why"),
    "trace": _command("trace", "trace", "Incidents as traces of OpenTelemetry"),
    "journal": _command("journal", "journal", "Read and check the journals"),
    "replay": _command("replay", "replay", "Repeat what the journals recorded"),
    "testcase": _command(
        "testcase", "testcase", "Make a regression test of an incident"
    ),
    "check-model": _command(
        "check_model", "check_model", "Try everything that may happen, in small worlds"
    ),
    "simulate": _command(
        "simulate", "simulate", "Many hours of faults, in virtual time"
    ),
    "rules": _command("tables", "rules", "Print the decision table of the election"),
    "states": _command("tables", "states", "Print the states of the supervisor"),
    "validate-config": _command(
        "validate", "validate_config", "Check a configuration, change nothing"
    ),
    "generate-sample-config": _command(
        "sample", "generate_sample_config", "Write a configuration to begin with"
    ),
    "webhooks": _command(
        "webhooks", "webhooks", "Show and resend what webhooks would not take"
    ),
    "version": _command("version", "version", "Print name and version"),
}

RUN = "run"
_SPELLED_AS_OPTIONS = ("version", "validate-config", "generate-sample-config")
"""Patroni has them as options: `--validate-config FILE`."""

_ANSWERED_HERE = ("--help", "-h")


@click.group(
    cls=LazyGroup,
    commands_elsewhere=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
def regnal() -> None:
    """Keep a PostgreSQL cluster highly available, and say why.

    `regnal FILE` is short for `regnal run FILE`.
    """


def main() -> None:
    """Exit statuses: docs/contracts.md 9.2."""
    regnal(args=as_commands(sys.argv[1:]), prog_name=Path(sys.argv[0]).name)


def as_commands(arguments: Sequence[str]) -> list[str]:
    """The command line in the daemon's old form, as one with a command.

    Without any argument the daemon is run, configured by variables alone.
    """
    if arguments and (arguments[0] in COMMANDS or arguments[0] in _ANSWERED_HERE):
        return list(arguments)
    for command in _SPELLED_AS_OPTIONS:
        if f"--{command}" in arguments:
            rest = [one for one in arguments if one != f"--{command}"]
            return [command, *rest]
    return [RUN, *arguments]
