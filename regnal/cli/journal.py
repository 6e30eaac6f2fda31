"""`regnal journal`: read, follow, check and hand over the journals of members."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from pydantic_core import to_json

from regnal.cli.ctl_table import bordered, column
from regnal.cli.journal_care import export_command, unpack_command, verify_command
from regnal.cli.journal_choice import (
    choice_options,
    chosen,
    directory_argument,
    full_option,
    journals_in,
    json_option,
    only_journal,
)
from regnal.cli.journal_text import damage_line, line_of
from regnal.cli.places import (
    PLACES_HELP,
    PlaceOptions,
    config_option,
    insecure_option,
    opened_places,
    places_argument,
    tell_troubles,
)
from regnal.journal.chain_check import Damage
from regnal.journal.places import Segment, segments
from regnal.journal.reader import Record, Window, follow, scan
from regnal.journal.segment_input import first_record, open_segment
from regnal.journal.tail import tail_of
from regnal.messages.base import Seconds

NAP: Seconds = 0.2
"""Between two looks for new records; nothing but a person waits for them."""


@click.group("journal")
def journal_command() -> None:
    """Read and check the journals.

    DIRECTORY is the journal of a member (journal.dir of its configuration, by
    default beside the data directory), or a directory that holds several; it may
    also be given as REGNAL_JOURNAL_DIR.  PLACE is that, or a bundle, or the REST API
    of a live cluster, or a NATS stream.  Moments are UTC unless they have a zone;
    90s, 10m, 2h and 1d mean so long ago.  A live journal can be read at any time.
    """


@journal_command.command("ls")
@directory_argument
@json_option
def ls_command(directory: Path, as_json: bool) -> None:
    """List the segments of the journals.

    \b
    Example:
      regnal journal ls /var/lib/postgresql/15/main.journal
    """
    rows = [row for journal in journals_in(directory) for row in _segment_rows(journal)]
    if as_json:
        click.echo(to_json(rows, indent=2))
        return
    click.echo(bordered(_SEGMENT_COLUMNS, rows, None))


@journal_command.command("show", epilog=PLACES_HELP)
@places_argument
@config_option
@insecure_option
@choice_options
@click.option("-n", "--lines", type=click.IntRange(min=1), help="At most so many.")
@full_option
@json_option
def show_command(
    places: tuple[str, ...],
    config_file: Path | None,
    insecure: bool,
    lines: int | None,
    full: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Print records, oldest first, one member after the other.

    A number with ~ belongs to a heartbeat that the writer holds back: when it is
    written, it may be another.

    \b
    Examples:
      regnal journal show DIR --since 10m
      regnal journal show DIR --kind step --actor election --full
      regnal journal show DIR --type leader_acquired --type postgres_promoted --json
      regnal journal show http://127.0.0.1:8008 --since 10m --kind step
    """
    choice = chosen(**options)
    window = choice.window
    where = PlaceOptions(places, window.since, window.until, config_file, insecure)
    left = lines
    with opened_places(where, every=True) as case:
        tell_troubles(case)
        for journal in case.journals:
            for item in scan(journal.directory, window, with_held=True):
                if isinstance(item, Record) and not choice.has(item):
                    continue
                _print(item, as_json=as_json, is_full=full)
                if left is not None and isinstance(item, Record):
                    left -= 1
                    if left == 0:
                        return


@journal_command.command("tail")
@directory_argument
@choice_options
@click.option(
    "-n", "--lines", type=click.IntRange(min=0), default=20, show_default=True
)
@click.option("-f", "--follow", "is_followed", is_flag=True, help="Go on for ever.")
@full_option
@json_option
def tail_command(
    directory: Path,
    lines: int,
    is_followed: bool,
    full: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Print the last records, and with -f each new one.

    \b
    Examples:
      regnal journal tail DIR -n 50
      regnal journal tail DIR -f --actor election
    """
    choice = chosen(**options)
    journal = only_journal(directory)
    last: list[Record | Damage] = []
    position = 0
    for item in scan(journal, choice.window, with_held=not is_followed):
        if isinstance(item, Record):
            position = item.n
            if not choice.has(item):
                continue
        last = [*last, item][-lines:] if lines else []
    for item in last:
        _print(item, as_json=as_json, is_full=full)
    if is_followed:
        window = choice.window._replace(after=max(position, choice.window.after))
        for item in _followed(journal, window):
            if isinstance(item, Damage) or choice.has(item):
                _print(item, as_json=as_json, is_full=full)


_SEGMENT_COLUMNS = (
    column("member", title="Member"),
    column("first", title="First record", to_the_right=True),
    column("begun", title="Begun (UTC)"),
    column("bytes", title="Bytes", to_the_right=True),
    column("state", title="State"),
    column("file", title="File"),
)


def _segment_rows(journal: Path) -> Iterator[dict[str, Any]]:
    for segment in segments(journal):
        begun = first_record(segment)
        state = _state(segment)
        yield {
            "member": begun.get("member", "?"),
            "first": segment.first,
            "begun": str(begun.get("hlc", "?")).partition("Z")[0].replace("T", " "),
            "bytes": _size(segment),
            "state": f"{state}, pinned" if segment.pin.exists() else state,
            "file": str(segment.path),
        }


def _size(segment: Segment) -> int | str:
    try:
        return segment.path.stat().st_size
    except OSError:
        return "?"


def _state(segment: Segment) -> str:
    if segment.is_compressed:
        return "compressed"
    try:
        open_segment(segment).close()  # only a plain file is looked into
        return "sealed" if tail_of(segment).kind == "seal" else "open"
    except OSError:
        return "unreadable"


def _followed(journal: Path, window: Window) -> Iterator[Record | Damage]:
    for item in follow(journal, window):
        if isinstance(item, int):
            time.sleep(NAP)
        else:
            yield item


def _print(item: Record | Damage, *, as_json: bool, is_full: bool) -> None:
    if isinstance(item, Damage):
        # With --json the lines are the journal's own; damage is told beside them.
        click.echo(damage_line(item), err=True)
    elif as_json:
        click.echo(item.line, nl=False)
    else:
        click.echo(line_of(item, is_full=is_full))


for _command in (verify_command, export_command, unpack_command):
    journal_command.add_command(_command)
