"""`regnal events`: what happened, and with --follow what happens."""

import queue
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import click

from regnal.cli.event_places import (
    PlaceUnusable,
    Wanted,
    events_in,
    events_in_stream,
    listen,
)
from regnal.cli.event_text import line_of
from regnal.cli.places import (
    PlaceOptions,
    client_options,
    config_option,
    insecure_option,
    nats_account,
    opened_places,
    places_argument,
    since_option,
    tell_troubles,
    until_option,
)
from regnal.events.cloud import CloudEvent
from regnal.journal.event_layout import name_of
from regnal.replay.sources.rest import NOBODY

REMEMBERED = 10_000
"""Events that are not shown a second time."""

HELP = """\
Tell what happened, and with -f what happens: the public events of a cluster.

A PLACE is what `regnal explain` reads too: a member's journal or a directory above
several, a bundle, http(s)://HOST:PORT of the REST API of any member (the others are
found), or nats://HOST:PORT/CLUSTER, here of the stream of events.  An event that several
members tell is shown once.  With -f a PLACE is a member's REST API, a NATS server or the
journal of one member on this host.

\b
Examples:
  regnal events http://127.0.0.1:8008 --since 1d
  regnal events -f http://127.0.0.1:8008
  regnal events -f nats://10.0.0.7:4222/demo --type 'failover.*' --json
  regnal events pg1.journal pg2.journal --member pg2 --since 10m
"""


class Filter(NamedTuple):
    names: tuple[str, ...]
    members: tuple[str, ...]
    until: str | None

    def has(self, event: CloudEvent) -> bool:
        if self.members and event.subject not in self.members:
            return False
        if self.until is not None and event.time >= self.until:
            return False
        known = (name_of(event.type), event.type)
        return not self.names or any(
            fnmatchcase(name, pattern) for name in known for pattern in self.names
        )


class Seen:
    """Tells what was shown already, for as long as it is remembered."""

    def __init__(self) -> None:
        self._keys: OrderedDict[str, None] = OrderedDict()

    def is_new(self, event: CloudEvent) -> bool:
        if event.key in self._keys:
            return False
        self._keys[event.key] = None
        if len(self._keys) > REMEMBERED:
            self._keys.popitem(last=False)
        return True


@click.command("events", help=HELP)
@places_argument
@click.option("-f", "--follow", "is_followed", is_flag=True, help="Go on for ever.")
@click.option(
    "--type",
    "names",
    multiple=True,
    metavar="NAME",
    help="Only these events, such as leader.elected or 'failover.*'.",
)
@click.option("--member", "members", multiple=True, help="Only what is about these.")
@since_option
@until_option
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(min=1),
    help="The last so many; with -f the first.",
)
@click.option("--json", "as_json", is_flag=True, help="CloudEvents as JSON lines.")
@config_option
@insecure_option
def events_command(
    places: tuple[str, ...],
    is_followed: bool,
    names: tuple[str, ...],
    members: tuple[str, ...],
    lines: int | None,
    as_json: bool,
    since: str | None,
    until: str | None,
    config_file: Path | None,
    insecure: bool,
) -> None:
    where = PlaceOptions(places, since, until, config_file, insecure)
    chosen = Filter(names, members, until)
    try:
        found = _happening(where) if is_followed else iter(_happened(where))
        seen = Seen()
        shown = (e for e in found if chosen.has(e) and seen.is_new(e))
        if is_followed:
            for number, event in enumerate(shown, 1):
                _print(event, as_json=as_json)
                if number == lines:
                    return
            return
        every = list(shown)
        for event in every[-lines:] if lines else every:
            _print(event, as_json=as_json)
    except PlaceUnusable as error:
        raise click.ClickException(str(error)) from error


def _happened(where: PlaceOptions) -> list[CloudEvent]:
    """In the order of time."""
    streams = [
        place for place in where.places if place.startswith(("nats://", "tls://"))
    ]
    others = tuple(place for place in where.places if place not in streams)
    nats = nats_account(where) if streams else None
    found = [e for place in streams for e in events_in_stream(place, where.since, nats)]
    if others:
        with opened_places(replace(where, places=others)) as case:
            tell_troubles(case)
            found += events_in(case)
    since = where.since
    asked = [event for event in found if since is None or event.time >= since]
    return sorted(asked, key=lambda event: event.time)


def _happening(where: PlaceOptions) -> Iterator[CloudEvent]:
    waiting: queue.SimpleQueue[CloudEvent | str] = queue.SimpleQueue()
    client = client_options(where) or NOBODY
    wanted = Wanted(where.since, client, nats_account(where))
    listen(where.places, wanted, waiting.put, waiting.put)
    while True:
        item = waiting.get()
        if isinstance(item, CloudEvent):
            yield item
        else:
            click.echo(f"Warning: {item}", err=True)


def _print(event: CloudEvent, *, as_json: bool) -> None:
    click.echo(event.json_bytes() if as_json else line_of(event))
