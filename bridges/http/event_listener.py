"""Listening to the events of one member, as its REST API streams them."""

import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import urllib3

from regnal.bridges.http.member_pools import MemberPools, NoAnswer, reason_of
from regnal.messages.base import Seconds

SILENCE: Seconds = 30.0
"""A member shows that it is there more often than that."""

LONGEST_LINE = 4 * 1024 * 1024

Document = dict[str, Any]


class MemberListener:
    """Follows one member, and goes on after a cut where it was."""

    def __init__(
        self, base: str, pools: MemberPools, *, since: str | None, follow: bool
    ) -> None:
        """`base`: http(s)://host:port.  `since`: from this moment on; None: from now
        on, or where it is not followed all that there is."""
        self.base = base
        self._pools = pools
        self._asked = {"follow": "true" if follow else "false"}
        if since is not None:
            self._asked["since"] = since
        self._last: str | None = None
        self.is_heard = threading.Event()
        """Whether the member has answered."""

    def events(self) -> Iterator[Document]:
        """Until the connection ends; call it again to go on.  Raises NoAnswer."""
        headers = {"Accept": "text/event-stream"}
        if self._last is not None:
            headers["Last-Event-ID"] = self._last
            self._asked.pop("since", None)
        url = f"{self.base}/events?{urlencode(self._asked)}"
        response = self._pools.request("GET", url, silence=SILENCE, headers=headers)
        try:
            if response.status != 200:
                raise NoAnswer(_refusal(response))
            self.is_heard.set()
            for fields in frames(lines_of(response)):
                yield json.loads(fields["data"])
                # Only then: whoever took it has it.
                self._last = fields.get("id", self._last)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise NoAnswer(reason_of(error)) from error
        except (ValueError, KeyError) as error:
            raise NoAnswer(f"what comes is no event: {error}") from error
        finally:
            response.close()


def frames(lines: Iterator[str]) -> Iterator[Mapping[str, str]]:
    """The events in a stream of lines; comments are passed over."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line:
            if fields:
                yield fields
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")


def lines_of(response: urllib3.BaseHTTPResponse) -> Iterator[str]:
    """Without their ends, each as soon as it is there.  Raises ValueError for one that
    does not end."""
    rest = b""
    while chunk := response.read1(65536):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")
        if len(rest) > LONGEST_LINE:
            raise ValueError("a line does not end")


def _refusal(response: urllib3.BaseHTTPResponse) -> str:
    said = response.read(200).decode(errors="replace").strip()
    if response.status == 404:
        return "it does not tell events: it runs another product, or an older version"
    return f"it answered {response.status}: {said}"
