"""`regnal trace`: an incident as a trace, of the spans of all members."""

import json
import shutil
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TextIO, TypeAlias

import click

from regnal.cli.explanation import coloured
from regnal.cli.places import (
    PLACES_HELP,
    PlaceOptions,
    collector_options,
    opened_places,
    place_options,
    tell_troubles,
)
from regnal.cli.progress import progress_shown
from regnal.cli.trace_sending import send
from regnal.events.spans.otlp_json import export_request
from regnal.events.spans.span import Span
from regnal.journal.stamps import wall_text
from regnal.replay.telling.waterfall import summary, waterfall_text
from regnal.replay.telling.waterfall_svg import waterfall_svg
from regnal.replay.tracing import (
    LATEST,
    NoSuchTrace,
    Trace,
    find,
    spans_of,
    traces_of,
)

Form: TypeAlias = Literal["otlp-json", "json", "waterfall", "svg"]

HELP = f"""\
Tell an incident as a trace: which member did what, when, for how long, and by which rule.

All members' spans of one incident have one trace id; docs/tracing.md has their names.
{PLACES_HELP}
-f otlp-json writes a line for each trace, as the file receivers of collectors read it;
--endpoint sends them to a collector instead (TLS and headers: otel in --config).
Exit status 1: there is no such trace; 2: there is no journal.

\b
Examples:
  regnal trace export --list http://127.0.0.1:8008
  regnal trace export -f waterfall pg1.journal pg2.journal pg3.journal
  regnal trace export -i reign-4711 journals -o failover.svg
  regnal trace export --all --since 1d http://127.0.0.1:8008 > traces.jsonl
  regnal trace export --endpoint http://127.0.0.1:4318 journals
"""


@click.group("trace")
def trace_command() -> None:
    """Incidents as traces of OpenTelemetry."""


@trace_command.command("export", help=HELP)
@click.option(
    "-i",
    "--incident",
    default=LATEST,
    show_default=True,
    metavar="WHICH",
    help="latest, latest~1 (the one before), a name, a trace id or a number of --list.",
)
@click.option("-a", "--all", "is_all", is_flag=True, help="Every trace there is.")
@click.option("-l", "--list", "is_list", is_flag=True, help="List the traces.")
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(["otlp-json", "json", "waterfall", "svg"]),
    help="Without it otlp-json, or svg if FILE is called so.",
)
@click.option(
    "-o",
    "--output",
    type=click.File("w", encoding="utf-8", lazy=True),
    default="-",
    metavar="FILE",
    help="Write it there; svg is one picture that needs no other file.",
)
@click.option(
    "--quiet-share",
    "share",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="SHARE",
    help="Also this share (0 to 1) of what is no incident, heartbeats among it.",
)
@click.option(
    "--endpoint",
    metavar="URL",
    help="Send it to this collector, over OTLP: http://10.0.0.9:4318.",
)
@click.option(
    "--protocol",
    type=click.Choice(["http/protobuf", "grpc"]),
    help="Of --endpoint; without it that of --config, or http/protobuf.",
)
@place_options
def export_command(
    incident: str,
    is_all: bool,
    is_list: bool,
    form: Form | None,
    output: TextIO,
    share: float,
    endpoint: str | None,
    protocol: str | None,
    **places: Any,
) -> None:
    options = PlaceOptions(**places)
    if endpoint is not None and (is_list or form is not None):
        raise click.UsageError("--endpoint sends: without --list and --format")
    if endpoint is None and protocol is not None:
        raise click.UsageError("--protocol is that of --endpoint, which is missing")
    collector = (
        collector_options(options, endpoint, protocol) if endpoint is not None else None
    )
    with opened_places(options) as case:
        tell_troubles(case)
        with progress_shown() as progress:
            spans = list(spans_of(case, share=share, progress=progress))
    traces = _of_that_time(traces_of(spans), options)
    form = form or _form_of(output)
    if is_list:
        _tell_list(traces, form, output)
        return
    try:
        chosen = traces if is_all else (find(traces, incident),)
    except NoSuchTrace as error:
        raise click.ClickException(str(error)) from error
    if collector is not None:
        send(spans_in(chosen), collector)
        return
    if form == "svg" and len(chosen) > 1:
        raise click.UsageError("a picture shows one trace: name it with --incident")
    _tell(chosen, form, output)


def spans_in(traces: Iterable[Trace]) -> list[Span]:
    """What a collector is sent of them."""
    return [span for trace in traces for span in trace.spans]


def _form_of(output: TextIO) -> Form:
    return "svg" if Path(str(output.name)).suffix == ".svg" else "otlp-json"


def _of_that_time(traces: Sequence[Trace], options: PlaceOptions) -> tuple[Trace, ...]:
    """Those that overlap it: a place gives whole segments."""
    since, until = _nanos(options.since), _nanos(options.until)
    return tuple(
        trace
        for trace in traces
        if (since is None or trace.end >= since)
        and (until is None or trace.start < until)
    )


def _nanos(moment: str | None) -> int | None:
    if moment is None:
        return None
    return round(datetime.fromisoformat(moment).timestamp() * 1e9)


def _tell(traces: Sequence[Trace], form: Form, output: TextIO) -> None:
    match form:
        case "otlp-json":
            for trace in traces:
                line = json.dumps(export_request(trace.spans), separators=(",", ":"))
                click.echo(line, file=output)
        case "json":
            told = [_document(trace) for trace in traces]
            click.echo(json.dumps(told, indent=2), file=output)
        case "svg":
            click.echo(waterfall_svg(traces[0]), file=output, nl=False)
        case "waterfall":
            width = shutil.get_terminal_size((120, 24)).columns
            texts = (waterfall_text(one, width=width, style=coloured) for one in traces)
            click.echo("\n\n".join(texts), file=output)


def _tell_list(traces: Sequence[Trace], form: Form, output: TextIO) -> None:
    if form == "json":
        told = [_heading(trace) for trace in traces]
        click.echo(json.dumps(told, indent=2), file=output)
        return
    if not traces:
        click.echo("There is nothing in these journals that would be a trace.", output)
    for number, trace in enumerate(traces, 1):
        name = coloured(f"{trace.name:<24}", "heading")
        click.echo(f"{number:4}  {name}  {trace.title:<16}  {summary(trace)}", output)


def _heading(trace: Trace) -> dict[str, Any]:
    return {
        "trace_id": trace.id,
        "incident": trace.name,
        "name": trace.title,
        "began": _wall(trace.start),
        "seconds": (trace.end - trace.start) / 1e9,
        "members": trace.members,
    }


def _document(trace: Trace) -> dict[str, Any]:
    return {
        **_heading(trace),
        "spans": [
            {
                "span_id": span.span,
                "parent_id": span.parent,
                "name": span.name,
                "member": span.member,
                "began": _wall(span.start),
                "offset_ms": (span.start - trace.start) / 1e6,
                "took_ms": (span.end - span.start) / 1e6,
                "status": span.status,
                "status_text": span.status_text,
                "attributes": dict(span.attributes),
                "events": [
                    {
                        "name": moment.name,
                        "at": _wall(moment.at),
                        "attributes": dict(moment.attributes),
                    }
                    for moment in span.moments
                ],
                "links": [
                    {
                        "trace_id": link.trace,
                        "span_id": link.span,
                        "attributes": dict(link.attributes),
                    }
                    for link in span.links
                ],
            }
            for span in trace.spans
        ],
    }


def _wall(moment: int) -> str:
    return wall_text(moment // 1000)
