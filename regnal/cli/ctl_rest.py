"""What the commands share that ask members through the REST API."""

import sys
from importlib.metadata import version
from platform import python_version

import click

from regnal.bridges.http.member_pools import CertificateUnusable
from regnal.cli.ctl_session import Session
from regnal.cli.rest_client import (
    READ_TIMEOUT,
    Answer,
    MemberUnreachable,
    Method,
    RestClient,
)
from regnal.messages.base import Seconds
from regnal.messages.cluster import MemberView


class Members:
    """Asks members, and keeps count of those that did not answer."""

    def __init__(self, session: Session) -> None:
        agent = f"Regnal/{version('regnal')} Python/{python_version()} {sys.platform}"
        self._client = RestClient(session.client, agent)
        self._silent: list[str] = []

    def ask(
        self,
        member: MemberView,
        method: Method,
        path: str,
        body: dict[str, object] | None = None,
        *,
        patience: Seconds = READ_TIMEOUT,
    ) -> Answer:
        """Raises MemberUnreachable."""
        try:
            return self._client.ask(member, method, path, body, patience=patience)
        except CertificateUnusable as error:
            raise click.ClickException(str(error)) from error

    def ask_or_report(
        self,
        member: MemberView,
        method: Method,
        path: str,
        body: dict[str, object] | None,
        what: str,
        *,
        patience: Seconds = READ_TIMEOUT,
    ) -> Answer | None:
        """None: the member did not answer, which is said, and remembered."""
        try:
            return self.ask(member, method, path, body, patience=patience)
        except MemberUnreachable as error:
            click.echo(f"Failed: {what} for member {member.name}, {error}")
            self._silent.append(member.name)
            return None

    def finish(self) -> None:
        """An error, at the end, if somebody did not answer."""
        if self._silent:
            raise click.ClickException(f"No answer from: {', '.join(self._silent)}")


def report(answer: Answer, what: str, member: MemberView) -> bool:
    """Say what the member answered; True: it did what was asked."""
    if answer.status in (200, 202):
        click.echo(f"Success: {what} for member {member.name}")
        return True
    click.echo(
        f"Failed: {what} for member {member.name}, "
        f"status code={answer.status}, ({answer.text})"
    )
    return False
