"""`regnal journal verify`, `export` and `unpack`: check journals, hand them over."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import click
from pydantic_core import to_json

from regnal.cli.journal_choice import (
    DAMAGED,
    JournalNotReadable,
    as_heads,
    json_option,
)
from regnal.cli.places import (
    PLACES_HELP,
    PlaceOptions,
    opened_places,
    place_options,
    tell_troubles,
)
from regnal.cli.progress import progress_shown
from regnal.journal.bundle_manifest import Manifest
from regnal.journal.bundles import Content, Making, write_bundle
from regnal.journal.ledger import Head
from regnal.journal.reader import Window
from regnal.journal.unbundling import BundleRefused, unpack_bundle
from regnal.journal.verification import Verdict, verify
from regnal.journal.witnesses import (
    Owner,
    Witness,
    seen_by_others,
    without_later_copies,
)
from regnal.replay.case import Case, Journal


class Check(NamedTuple):
    """What was found of a journal."""

    journal: Journal
    verdict: Verdict
    seen: Mapping[Head, Witness]
    """What others saw of it."""


@click.command("verify", epilog=PLACES_HELP)
@place_options
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
    /,
    witnesses: tuple[Head, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Check the chain: is every record the one that was written?

    With --since and --until, of the segments that overlap the time.  The heads in the
    manifest of a bundle are witnesses, too; and where there are journals of several
    members, what each has seen of the others (the head in the member key): it shows
    whether the end of one was cut off, or all of it written anew.

    Exit status 0: whole; 1: damaged, or not all of it could be read; 2: there is no
    journal, or it cannot be read.

    \b
    Examples:
      regnal journal verify /var/lib/postgresql/15/main.journal
      regnal journal verify DIR --witness 81233:6bb0bd0ef508ec10b2a2885a59e34fda
      regnal journal verify incident-4711.tar.gz
      regnal journal verify http://10.0.0.7:8008 --since 1h
    """
    chosen = PlaceOptions(**options)
    with opened_places(chosen, every=True) as case:
        tell_troubles(case)
        checks = _checked(case, witnesses, chosen)
    if as_json:
        click.echo(to_json(list(map(_row, checks)), indent=2))
    else:
        for check in checks:
            click.echo("\n".join(_lines(check)))
    is_complete = not any(trouble.code in NOT_ALL for trouble in case.troubles)
    if not is_complete or not all(check.verdict.is_whole for check in checks):
        context.exit(DAMAGED)


NOT_ALL = frozenset(
    {
        "place_unusable",
        "no_journal",
        "bundle_refused",
        "bundle_flawed",
        "member_unreachable",
        "member_refused",
        "answer_cut_off",
        "stream_unusable",
        "stream_rubbish",
        "journal_mixed",
    }
)
"""Troubles that leave something unchecked that was asked for."""


@click.command("export", epilog=PLACES_HELP)
@place_options
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The bundle to write, such as incident.tar.gz.",
)
@json_option
def export_command(output: Path, as_json: bool, **options: Any) -> None:
    """Put journals into one file, to be read elsewhere.

    The bundle says what is in it: the heads of the chains, the configuration of each
    member, versions, starts, and what could not be had.  Passwords of the configuration
    are masked; names, addresses and settings are not.  With --since and --until it has
    the segments that overlap the time.

    \b
    Examples:
      regnal journal export /var/lib/postgresql/15/main.journal -o pg1.tar.gz
      regnal journal export http://127.0.0.1:8008 --since 2h -o incident-4711.tar.gz
    """
    chosen = PlaceOptions(**options)
    with opened_places(chosen, every=True) as case:
        tell_troubles(case)
        manifest = _write(output, case, chosen)
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
@click.pass_context
def unpack_command(
    context: click.Context, bundle: Path, target: Path, as_json: bool
) -> None:
    """Unpack a bundle into TARGET and check it.

    Exit status 0: everything is there, as it was bundled; 1: something is not, and the
    rest is unpacked; 2: this is no bundle.

    \b
    Example:
      regnal journal unpack incident-4711.tar.gz incident && regnal journal ls incident
    """
    try:
        with progress_shown() as progress:
            unpacked = unpack_bundle(bundle, target, progress)
    except BundleRefused as error:
        raise JournalNotReadable(str(error)) from error
    except OSError as error:
        raise JournalNotReadable(
            f"cannot unpack into {target}: {error.strerror}"
        ) from error
    for flaw in unpacked.flaws:
        click.echo(f"Warning: {flaw.text}", err=True)
    manifest = unpacked.manifest
    if as_json and manifest is not None:
        click.echo(manifest.model_dump_json(indent=2))
    else:
        members = {j.folder: j.member for j in manifest.journals} if manifest else {}
        for folder in sorted(unpacked.folders):
            click.echo(f"{target / folder}: {members.get(folder) or 'unknown member'}")
    if unpacked.flaws:
        context.exit(DAMAGED)


def _checked(
    case: Case, witnesses: tuple[Head, ...], options: PlaceOptions
) -> list[Check]:
    """Raises JournalNotReadable."""
    window = Window(since=options.since, until=options.until)
    try:
        # First: what is written meanwhile, a journal has and no witness knows of.
        seen = seen_by_others([one.directory for one in case.journals], window)
    except OSError as error:
        raise JournalNotReadable(f"cannot read a journal: {error}") from error
    return [
        _check(
            journal,
            witnesses,
            seen.get(Owner(journal.scope, journal.member), ()),
            window,
        )
        for journal in case.journals
    ]


def _check(
    journal: Journal,
    witnesses: tuple[Head, ...],
    others: Sequence[Witness],
    window: Window,
) -> Check:
    """Raises JournalNotReadable."""
    kept = () if journal.witness is None else (journal.witness,)
    try:
        with progress_shown() as progress:
            verdict = verify(
                journal.directory,
                (*witnesses, *kept, *(witness.head for witness in others)),
                window,
                lambda done: progress(f"checking {journal.member}", done, None),
            )
    except OSError as error:
        raise JournalNotReadable(f"cannot read {journal.origin}: {error}") from error
    seen = {witness.head: witness for witness in others}
    strangers = [seen[head] for head in seen.keys() - {*witnesses, *kept}]
    return Check(journal, without_later_copies(verdict, strangers), seen)


def _write(output: Path, case: Case, options: PlaceOptions) -> Manifest:
    """Raises JournalNotReadable."""
    contents = [
        Content(journal.directory, journal.origin, journal.configuration)
        for journal in case.journals
    ]
    making = Making(
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        made_by=f"regnal {version('regnal')}",
        window=Window(since=options.since, until=options.until),
        troubles=tuple(map(str, case.troubles)),
    )
    try:
        with progress_shown() as progress:
            return write_bundle(output, contents, making, progress)
    except OSError as error:
        why = error.strerror or str(error)
        raise JournalNotReadable(f"cannot write {output}: {why}") from error


def _lines(check: Check) -> Iterator[str]:
    verdict, origin = check.verdict, check.journal.origin
    name = verdict.member or "unknown member"
    if not verdict.records:
        yield f"{name}: no record can be read  ({origin})"
    else:
        state = "whole" if verdict.is_whole else "DAMAGED"
        yield (
            f"{name}: {state}, {verdict.records} records ({verdict.first} to "
            f"{verdict.head.number}) in {verdict.segments} segments  ({origin})"
        )
        yield f"  head     {verdict.head}"
    if verdict.gaps:
        yield f"  gaps     {verdict.gaps}, {verdict.lost} records were never written"
    for expired in verdict.expired:
        yield f"  expired  {expired.first} to {expired.last}"
    for damage in verdict.damages:
        yield f"  {damage.what:<11}{damage}"
    confirmed = [check.seen[head] for head in verdict.confirmed if head in check.seen]
    if confirmed:
        by = ", ".join(sorted({witness.seen_by for witness in confirmed}))
        yield f"  seen     by {by}: {len(confirmed)} heads of it that are in this chain"
    for head in verdict.denied:
        witness = check.seen.get(head)
        by = f" of {witness.seen_by}, at {witness.seen_at}," if witness else ""
        is_beyond = head.number > verdict.head.number
        yield f"  denied   the witness {head}{by} " + (
            "is beyond its end: that was cut off, or this copy is older"
            if is_beyond
            else "is not in this chain"
        )


def _row(check: Check) -> dict[str, Any]:
    verdict = check.verdict
    return {
        "journal": check.journal.origin,
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
        "confirmed": list(map(str, verdict.confirmed)),
        "denied": list(map(str, verdict.denied)),
    }
