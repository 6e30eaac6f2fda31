"""Traces that were made of journals, sent to a collector."""

from collections.abc import Sequence

import click

from regnal.bridges.otlp.options import OtlpOptions
from regnal.bridges.outgoing import NotSent, PartlyTaken
from regnal.events.spans.span import Span
from regnal.runtime.telemetry import exporter_to

AT_ONCE = 500
"""Spans of one request: far below what collectors take."""


def send(spans: Sequence[Span], options: OtlpOptions) -> None:
    """Raises ClickException where it was not taken, or only a part."""
    exporter = exporter_to(options)
    taken = refused = 0
    try:
        for start in range(0, len(spans), AT_ONCE):
            some = spans[start : start + AT_ONCE]
            try:
                taken += exporter.send(exporter.pack_spans(some))
            except PartlyTaken as error:
                taken, refused = taken + error.taken, refused + error.refused
                click.echo(f"Warning: {error}", err=True)
    except NotSent as error:
        raise click.ClickException(f"{error} ({taken} spans were sent)") from error
    finally:
        exporter.close()
    click.echo(f"{taken} spans were sent to {options.endpoint}.", err=True)
    if refused:
        raise click.ClickException(f"{refused} spans were refused")
