"""`regnal webhooks`: events that a receiver would not take."""

import json
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import click

from regnal.bridges.outgoing import NotSent
from regnal.bridges.webhook.dead_letters import DeadLetters
from regnal.bridges.webhook.sender import Letter, Refused, WebhookOptions, WebhookSender
from regnal.configuration.checking import with_defaults
from regnal.configuration.local import LocalSource
from regnal.configuration.problems import ConfigurationError
from regnal.configuration.schema import LOCAL
from regnal.configuration.tree import Document
from regnal.runtime.options import Configured, journal_options
from regnal.runtime.outgoing_options import webhook_options
from regnal.runtime.publishing import dead_letters

HELP = """\
Show the events that webhooks would not take, and send them again.

What a receiver refuses, or does not take for longer than give_up_after, is kept beside
the journal.  FILE is the configuration of the daemon.

\b
Examples:
  regnal webhooks regnal.yml
  regnal webhooks regnal.yml --json
  regnal webhooks regnal.yml --resend
  regnal webhooks regnal.yml --resend --name chat
"""


class _Whole(NamedTuple):
    document: Document


@click.command("webhooks", help=HELP)
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option("--name", metavar="NAME", help="Of this webhook alone.")
@click.option("--resend", is_flag=True, help="Send them, the oldest first.")
@click.option("--json", "as_json", is_flag=True, help="As JSON lines.")
def webhooks_command(file: Path, name: str | None, resend: bool, as_json: bool) -> None:
    configured = _configured(file)
    directory = journal_options(configured).directory
    chosen = [w for w in webhook_options(configured) if name in (None, w.name)]
    if not chosen:
        missing = "no webhooks" if name is None else f"no webhook {name!r}"
        raise click.ClickException(f"there is {missing} in {file}")
    try:
        for options in chosen:
            dead = dead_letters(directory, options.name)
            if resend:
                _resend(options, dead)
            else:
                _show(options, dead, as_json=as_json)
    except OSError as error:
        raise click.ClickException(
            f"the dead letters cannot be read: {error}; run this as the user of the "
            "daemon"
        ) from error


def _show(options: WebhookOptions, dead: DeadLetters, *, as_json: bool) -> None:
    letters = dead.all()
    if as_json:
        for one in letters:
            content: dict[str, Any] = {
                "webhook": options.name,
                "at": one.at,
                "why": one.why,
                "event": json.loads(one.letter.body),
            }
            click.echo(json.dumps(content))
        return
    click.echo(f"{options.name} ({options.shown}): {len(letters)} kept")
    for one in letters:
        click.echo(f"  {one.at}  {one.letter.id}  {one.why}")


def _resend(options: WebhookOptions, dead: DeadLetters) -> None:
    """What is refused again stays, with all that comes after it."""
    sender = WebhookSender(options, time.time)

    def send(letter: Letter) -> None:
        try:
            sender.post(letter)
        except (NotSent, Refused) as error:
            raise click.ClickException(
                f"{error}; {len(dead.all())} are still kept"
            ) from error

    try:
        count = dead.resend(send)
    finally:
        sender.close()
    click.echo(f"{options.name} ({options.shown}): {count} sent")


def _configured(file: Path) -> Configured:
    try:
        local = LocalSource(file, dict(os.environ)).read()
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error
    return _Whole(with_defaults(LOCAL, local.document))
