"""PLACE...: where the journals are, the same for every command that reads them.

@click.command("explain")
@place_options
def explain_command(**options: Any) -> None:
    with opened_places(PlaceOptions(**options)) as case: ...
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import click

from regnal.bridges.http.options import ClientOptions
from regnal.bridges.nats.options import NatsOptions
from regnal.bridges.otlp.options import OtlpOptions
from regnal.cli.journal_choice import JournalNotReadable, as_moment
from regnal.cli.progress import progress_shown
from regnal.configuration.checking import with_defaults
from regnal.configuration.consistency import otel_problems
from regnal.configuration.local import LocalSource
from regnal.configuration.problems import ConfigurationError
from regnal.configuration.schema_publishing import NATS, OTEL
from regnal.configuration.tree import Document
from regnal.replay.case import Case, opened
from regnal.replay.sources.places import KINDS
from regnal.runtime.options import ctl_options
from regnal.runtime.outgoing_options import nats_client, otel_client

VARIABLE = "REGNAL_JOURNAL_DIR"
"""The directory that is read where no place is given."""

PLACES_HELP = f"""\
A PLACE is a directory (a member's journal, or one above several), a bundle made by
`regnal journal export`, http(s)://HOST:PORT of the REST API of any member (the others
are found and asked as well), or nats://HOST:PORT/CLUSTER of a stream.  Several can be
given; without any, {VARIABLE} is read.  What cannot be read is told, the rest is used.
"""
"""For the help of a command."""


@dataclass(frozen=True, slots=True)
class PlaceOptions:
    """The values of `place_options`."""

    places: tuple[str, ...]
    since: str | None
    until: str | None
    config_file: Path | None
    insecure: bool


def _or_the_variable(
    context: click.Context, parameter: click.Parameter, places: tuple[str, ...]
) -> tuple[str, ...]:
    if places or context.resilient_parsing:
        return places
    from_variable = os.environ.get(VARIABLE)
    if from_variable:
        return (from_variable,)
    raise click.UsageError(f"no PLACE is given: name {KINDS}; or set {VARIABLE}")


places_argument = click.argument(
    "places", nargs=-1, metavar="PLACE...", callback=_or_the_variable
)

since_option = click.option(
    "--since",
    callback=as_moment,
    metavar="MOMENT",
    help="From this moment on: 2026-11-23T07:31, 07:31 (UTC), or 10m, 2h, 1d ago.",
)
until_option = click.option(
    "--until", callback=as_moment, metavar="MOMENT", help="Before this moment."
)
config_option = click.option(
    "-c",
    "--config",
    "config_file",
    type=click.Path(exists=True, path_type=Path),
    help="A configuration that says how to speak to members (ctl), to NATS (nats) and "
    "to a collector (otel).",
)
insecure_option = click.option(
    "-k", "--insecure", is_flag=True, help="Do not verify the certificates of members."
)


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """PLACE..., --since, --until, --config and --insecure."""
    for option in (
        insecure_option,
        config_option,
        until_option,
        since_option,
        places_argument,
    ):
        command = option(command)
    return command


@contextmanager
def opened_places(options: PlaceOptions, *, every: bool = False) -> Iterator[Case]:
    """The journals; there is at least one.  `every` is that of `opened`.

    Raises JournalNotReadable where there is none, with all that was in the way.
    """
    with ExitStack() as stack:
        with progress_shown() as progress:  # gone before the command writes anything
            case = stack.enter_context(
                opened(
                    options.places,
                    since=options.since,
                    until=options.until,
                    client=client_options(options),
                    nats=nats_account(options),
                    progress=progress,
                    every=every,
                )
            )
        if not case.journals:
            raise JournalNotReadable("\n".join(map(str, case.troubles)))
        yield case


def tell_troubles(case: Case) -> None:
    """On the error output, where they do not get into what a program reads."""
    for trouble in case.troubles:
        click.echo(f"Warning: {trouble}", err=True)


class _Written(NamedTuple):
    document: Document


def client_options(options: PlaceOptions) -> ClientOptions | None:
    """How to speak to members; None: without a configuration, as anybody."""
    if options.config_file is None and not options.insecure:
        return None
    document = _document(options)
    ctl = document.get("ctl", {})
    insecure = options.insecure or ctl.get("insecure", False)
    return ctl_options(_Written({**document, "ctl": {**ctl, "insecure": insecure}}))


def nats_account(options: PlaceOptions) -> NatsOptions | None:
    """How to speak to NATS; None: as the place says."""
    document = _document(options)
    if "nats" not in document:
        return None
    return nats_client(with_defaults(NATS, document["nats"]))


def collector_options(
    options: PlaceOptions, endpoint: str, protocol: str | None
) -> OtlpOptions:
    """How to speak to the collector at this URL: as the section `otel` says, if there is
    a configuration, but for what is given here."""
    section = {**_document(options).get("otel", {}), "endpoint": endpoint}
    if protocol is not None:
        section["protocol"] = protocol
    problems = otel_problems(section)
    if problems:
        raise click.UsageError("\n".join(map(str, problems)))
    return otel_client(with_defaults(OTEL, section))


def _document(options: PlaceOptions) -> Document:
    """Empty without a configuration."""
    if options.config_file is None:
        return {}
    try:
        source = LocalSource(options.config_file, dict(os.environ))
        return source.read(is_complete=False).document
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error
