"""What the commands of `regnal journal` have in common: which records of whom."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from regnal.journal.ledger import Head
from regnal.journal.moments import parse_moment
from regnal.journal.places import journals
from regnal.journal.reader import Record, Window
from regnal.journal.stamps import wall_clock
from regnal.journal.witnesses import parse_head

DAMAGED = 1
UNREADABLE = 2
"""Exit statuses; 2 is also that of a wrong option."""


class JournalNotReadable(click.ClickException):
    exit_code = UNREADABLE


def as_moment(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    """A moment as the journal compares it."""
    try:
        return None if value is None else parse_moment(value, wall_clock())
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from error


def as_heads(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[Head, ...]:
    """`number:hash`, as a member's key shows the head of its journal."""
    heads = []
    for value in values:
        head = parse_head(value)
        if head is None:
            text = f"{value!r} is not a number, a colon and 32 hexadecimal digits"
            raise click.BadParameter(text, context, parameter)
        heads.append(head)
    return tuple(heads)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which records are asked for; empty means any."""

    window: Window
    kinds: tuple[str, ...]
    types: tuple[str, ...]
    actors: tuple[str, ...]
    trace: str | None
    """None: any."""

    def has(self, record: Record) -> bool:
        fields = record.fields
        who = fields.get("actor") or fields.get("from")
        return (
            (not self.kinds or record.kind in self.kinds)
            and (not self.types or fields.get("type") in self.types)
            and (not self.actors or who in self.actors)
            and (
                self.trace is None
                or self.trace in (fields.get("trace"), fields.get("id"))
            )
        )


directory_argument = click.argument(
    "directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    envvar="REGNAL_JOURNAL_DIR",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
full_option = click.option("--full", is_flag=True, help="Do not shorten values.")


def choice_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that make up a `Choice`."""
    for option in reversed(
        (
            click.option(
                "--since",
                callback=as_moment,
                metavar="MOMENT",
                help="From this moment on.",
            ),
            click.option(
                "--until",
                callback=as_moment,
                metavar="MOMENT",
                help="Before this moment.",
            ),
            click.option(
                "--after",
                type=int,
                default=0,
                help="Only records with a higher number.",
            ),
            click.option(
                "--kind",
                "kinds",
                multiple=True,
                help="message, step, gap, ... (repeatable).",
            ),
            click.option(
                "--type", "types", multiple=True, help="Only this message (repeatable)."
            ),
            click.option(
                "--actor",
                "actors",
                multiple=True,
                help="Only said by this part (repeatable).",
            ),
            click.option("--trace", help="Only of this incident or request."),
        )
    ):
        command = option(command)
    return command


def chosen(
    *,
    since: str | None,
    until: str | None,
    after: int,
    kinds: tuple[str, ...],
    types: tuple[str, ...],
    actors: tuple[str, ...],
    trace: str | None,
) -> Choice:
    """The values of `choice_options`."""
    return Choice(Window(after, since, until), kinds, types, actors, trace)


def journals_in(directory: Path) -> Iterator[Path]:
    """Raises JournalNotReadable if there is none."""
    is_empty = True
    for journal in journals(directory):
        is_empty = False
        yield journal
    if is_empty:
        raise JournalNotReadable(
            f"there is no journal in {directory}; by default it lies beside the data "
            "directory, as <data directory>.journal"
        )


def only_journal(directory: Path) -> Path:
    """Raises JournalNotReadable if there is none, or more than one."""
    found = list(journals_in(directory))
    if len(found) > 1:
        names = ", ".join(map(str, found))
        raise JournalNotReadable(f"name one of the journals in it: {names}")
    return found[0]
