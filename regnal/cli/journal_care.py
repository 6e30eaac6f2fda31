"""`regnal journal verify`, `export` and `unpack`: check journals, hand them over."""

from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from pydantic_core import to_json

from regnal.cli.journal_choice import (
    DAMAGED,
    JournalNotReadable,
    as_heads,
    directory_argument,
    journals_in,
    json_option,
)
from regnal.journal.bundles import BundleRefused, unpack_bundle, write_bundle
from regnal.journal.ledger import Head
from regnal.journal.verification import Verdict, verify


@click.command("verify")
@directory_argument
@click.option(
    "--witness",
    "witnesses",
    callback=as_heads,
    metavar="NUMBER:HASH",
    multiple=True,
    help="A head that another host kept, such as the member key's (repeatable).",
)
@json_option
@click.pass_context
def verify_command(
    context: click.Context,
    directory: Path,
    witnesses: tuple[Head, ...],
    as_json: bool,
) -> None:
    """Check the chain: is every record the one that was written?

    Exit status 0: whole; 1: damaged; 2: there is no journal, or it cannot be read.

    \b
    Examples:
      regnal journal verify DIR
      regnal journal verify DIR --witness 81233:6bb0bd0ef508ec10b2a2885a59e34fda
    """
    verdicts = {
        journal: verify(journal, witnesses) for journal in journals_in(directory)
    }
    if as_json:
        found = [_verdict_row(j, v) for j, v in verdicts.items()]
        click.echo(to_json(found, indent=2))
    else:
        for journal, verdict in verdicts.items():
            click.echo("\n".join(_verdict_lines(journal, verdict)))
    if not all(verdict.is_whole for verdict in verdicts.values()):
        context.exit(DAMAGED)


@click.command("export")
@directory_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The bundle to write, such as incident.tar.gz.",
)
@json_option
def export_command(directory: Path, output: Path, as_json: bool) -> None:
    """Put the journals into one file, to be read elsewhere.

    The bundle says what is in it and carries the heads of the chains.  There are
    no secrets in a journal, but names, addresses and configuration are.

    \b
    Example:
      regnal journal export /var/lib/regnal -o incident-4711.tar.gz
    """
    found = list(journals_in(directory))
    try:
        manifest = write_bundle(
            output,
            found,
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            made_by=f"regnal {version('regnal')}",
        )
    except OSError as error:
        raise JournalNotReadable(f"cannot write {output}: {error.strerror}") from error
    if as_json:
        click.echo(manifest.model_dump_json(indent=2))
        return
    for journal in manifest.journals:
        state = "whole" if journal.is_whole else "damaged"
        click.echo(
            f"{journal.member or journal.folder}: {journal.records} records, {state}"
        )
    click.echo(f"Written: {output} ({output.stat().st_size} bytes)")


@click.command("unpack")
@click.argument("bundle", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("target", type=click.Path(file_okay=False, path_type=Path))
@json_option
def unpack_command(bundle: Path, target: Path, as_json: bool) -> None:
    """Unpack a bundle into TARGET and check it.

    \b
    Example:
      regnal journal unpack incident-4711.tar.gz incident && regnal journal ls incident
    """
    try:
        manifest = unpack_bundle(bundle, target)
    except BundleRefused as error:
        raise JournalNotReadable(str(error)) from error
    except OSError as error:
        raise JournalNotReadable(
            f"cannot unpack into {target}: {error.strerror}"
        ) from error
    if as_json:
        click.echo(manifest.model_dump_json(indent=2))
        return
    for journal in manifest.journals:
        click.echo(f"{target / journal.folder}: {journal.member or 'unknown member'}")


def _verdict_lines(journal: Path, verdict: Verdict) -> Iterator[str]:
    name = verdict.member or "unknown member"
    if not verdict.records:
        yield f"{name}: no record can be read  ({journal})"
    else:
        state = "whole" if verdict.is_whole else "DAMAGED"
        yield (
            f"{name}: {state}, {verdict.records} records ({verdict.first} to "
            f"{verdict.head.number}) in {verdict.segments} segments  ({journal})"
        )
        yield f"  head     {verdict.head}"
    if verdict.gaps:
        yield f"  gaps     {verdict.gaps}, {verdict.lost} records were never written"
    for expired in verdict.expired:
        yield f"  expired  {expired.first} to {expired.last}"
    for damage in verdict.damages:
        yield f"  {damage.what:<11}{damage}"
    for witness in verdict.denied:
        yield f"  denied   the witness {witness} is not in this chain"


def _verdict_row(journal: Path, verdict: Verdict) -> dict[str, Any]:
    return {
        "journal": str(journal),
        "member": verdict.member,
        "is_whole": verdict.is_whole,
        "records": verdict.records,
        "segments": verdict.segments,
        "first": verdict.first,
        "head": str(verdict.head),
        "gaps": verdict.gaps,
        "lost": verdict.lost,
        "expired": [expired._asdict() for expired in verdict.expired],
        "damages": [
            {**damage._asdict(), "segment": damage.segment.name}
            for damage in verdict.damages
        ],
        "denied": list(map(str, verdict.denied)),
    }
