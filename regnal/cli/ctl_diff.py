"""What would change, shown as a unified diff: coloured and paged on a terminal."""

import difflib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence

import click

_PAGERS = ("less", "more")


def show_diff(before: str, after: str) -> None:
    """Through $PAGER, less or more where there is a terminal; else as plain text."""
    lines = [
        line.rstrip("\n")
        for line in difflib.unified_diff(
            before.splitlines(keepends=True), after.splitlines(keepends=True)
        )
    ]
    if not sys.stdout.isatty():
        click.echo("\n".join(lines))
        return
    text = "\n".join(map(_coloured, lines)) + "\n"
    subprocess.run(_pager(), input=text.encode(), check=False)


def _pager() -> Sequence[str]:
    wanted = shlex.split(os.environ.get("PAGER", ""))
    for command in (wanted, *([name] for name in _PAGERS)):
        if command and shutil.which(command[0]):
            # Colours pass through, and what fits the screen needs no key.
            return [*command, "-FRX"] if command == ["less"] else command
    raise click.ClickException(
        "No pager could be found: set PAGER, or install one of " + ", ".join(_PAGERS)
    )


def _coloured(line: str) -> str:
    if line.startswith(("---", "+++")):
        return click.style(line, fg="yellow")
    for mark, colour in (("@", "blue"), ("-", "red"), ("+", "green")):
        if line.startswith(mark):
            return click.style(line, fg=colour)
    return line
