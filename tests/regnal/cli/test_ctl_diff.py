"""How a change of the configuration is shown on a terminal."""

import os
import pty
import subprocess
import sys
from pathlib import Path

PROGRAM = (
    "from regnal.cli.ctl_diff import show_diff\n"
    "import click\n"
    "try:\n"
    "    show_diff('a: 1\\nb: 1\\n', 'a: 1\\nb: 2\\n')\n"
    "except click.ClickException as error:\n"
    "    print(error.message)\n"
)


def shown_on_a_terminal(**variables: str) -> str:
    ours, theirs = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k != "PAGER"} | variables
    with os.fdopen(ours, "rb", buffering=0) as screen:
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            stdin=theirs,
            stdout=theirs,
            env=environment,
            check=True,
            timeout=30,
        )
        os.close(theirs)
        text = b""
        try:
            while more := screen.read(4096):
                text += more
        except OSError:  # how a pseudo-terminal says that nobody writes any more
            pass
    return text.decode().replace("\r\n", "\n")


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_terminal_shows_colours_through_the_pager(tmp_path: Path) -> None:
    """CTL-23, P-CTL-05: $PAGER first."""
    script(tmp_path / "paged", 'echo "paged by $1"; cat')

    text = shown_on_a_terminal(PAGER=f"{tmp_path / 'paged'} me")

    assert text.startswith("paged by me\n")
    assert "\x1b[31m-b: 1\x1b[0m\n\x1b[32m+b: 2\x1b[0m\n" in text


def test_without_pager_variable_there_are_others(tmp_path: Path) -> None:
    """CTL-23, P-CTL-05: less, then more."""
    script(tmp_path / "more", "/bin/cat; echo by more")
    assert shown_on_a_terminal(PATH=str(tmp_path)).endswith("by more\n")

    script(tmp_path / "less", "/bin/cat; echo by less")
    assert shown_on_a_terminal(PATH=str(tmp_path)).endswith("by less\n")


def test_no_pager_at_all_is_an_error(tmp_path: Path) -> None:
    """P-CTL-05."""
    assert shown_on_a_terminal(PATH=str(tmp_path)).startswith("No pager could be found")
