"""A click group whose commands are imported when they are used.

Starting takes as long as the one command needs; and a command whose module cannot
be imported, for want of an optional library, does not take the others with it.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem


class LazyCommand(NamedTuple):
    """Where a command is, and what the list of commands says of it."""

    module: str
    name: str
    """Of the click command in the module."""

    summary: str


class LazyGroup(click.Group):
    """Finds its commands by `commands_elsewhere`, in that order."""

    def __init__(
        self, *, commands_elsewhere: Mapping[str, LazyCommand], **options: Any
    ) -> None:
        super().__init__(**options)
        self._elsewhere = commands_elsewhere

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._elsewhere)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = self._elsewhere.get(cmd_name)
        if place is None:
            return None
        try:
            command = getattr(import_module(place.module), place.name)
        except ModuleNotFoundError as error:
            raise click.ClickException(
                f"`{cmd_name}` needs the Python module {error.name}, "
                "which is not installed here"
            ) from error
        assert isinstance(command, click.Command)
        return command

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[CompletionItem]:
        """Names of commands without importing them, then the options."""
        names = [
            CompletionItem(name, help=place.summary)
            for name, place in self._elsewhere.items()
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """The list in `--help`, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, place.summary) for name, place in self._elsewhere.items()]
            )
