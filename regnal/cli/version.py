"""`regnal version`, and which version a program of ours says that it has."""

from importlib.metadata import version
from pathlib import Path

import click

from regnal.configuration.settings import PEER_VERSION

_NAMES_OF_THE_PEER = frozenset({"patroni", "patronictl"})


def version_text(program: str) -> str:
    """Ours; under a name of the peer first the release of it that we stand in for,
    since scripts switch on that."""
    ours = version("regnal")
    if Path(program).name in _NAMES_OF_THE_PEER:
        return f"{PEER_VERSION} (regnal {ours})"
    return ours


@click.command("version")
@click.pass_context
def version_command(context: click.Context) -> None:
    """Print name and version"""
    program = context.find_root().info_name or "regnal"
    click.echo(f"{program} {version_text(program)}")
