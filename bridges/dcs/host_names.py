"""Addresses of the store's servers, looked up beside the requests.

A resolver that does not answer blocks for many seconds, whatever deadline a request
has, and often just when a lease must be renewed.  So names are looked up by a thread
of its own; a request uses what was found last, however old, and waits only for a
name that has never been resolved.
"""

import ipaddress
import socket
import threading
import time
from typing import NamedTuple

from regnal.messages.base import Seconds

REFRESH_AFTER: Seconds = 30.0
"""Age at which the next use of a name has it looked up anew."""


class Address(NamedTuple):
    family: int
    place: tuple[str, int]
    """Host's number and port."""


class HostNames:
    def __init__(self) -> None:
        self._news = threading.Condition()
        self._found: dict[str, tuple[float, tuple[tuple[int, str], ...]]] = {}
        self._problems: dict[str, str] = {}
        self._wanted: set[str] = set()
        self._thread: threading.Thread | None = None

    def addresses(self, host: str, port: int, within: Seconds) -> tuple[Address, ...]:
        """At least one; raises OSError if none is known `within` seconds."""
        number = _as_number(host)
        numbers = (number,) if number else self._numbers(host, within)
        return tuple(Address(family, (text, port)) for family, text in numbers)

    def _numbers(self, host: str, within: Seconds) -> tuple[tuple[int, str], ...]:
        with self._news:
            at, numbers = self._found.get(host, (0.0, ()))
            if numbers and time.monotonic() < at + REFRESH_AFTER:
                return numbers
            self._problems.pop(host, None)
            self._wanted.add(host)
            self._see_to_thread()
            self._news.notify_all()
            if not numbers:
                self._news.wait_for(
                    lambda: host in self._found or host in self._problems, within
                )
                numbers = self._found.get(host, (0.0, ()))[1]
            if not numbers:
                problem = self._problems.get(host, "the resolver does not answer")
                raise OSError(f"{host}: {problem}")
            return numbers

    def _see_to_thread(self) -> None:
        """Only names need it: with numbers alone there is no thread."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._look_up_wanted, name="dcs-names", daemon=True
            )
            self._thread.start()

    def _look_up_wanted(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._wanted)
                host = self._wanted.pop()
            try:
                found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            except OSError as error:
                with self._news:
                    self._problems[host] = error.strerror or str(error)
                    self._news.notify_all()
                continue
            numbers = tuple(
                dict.fromkeys((int(each[0]), str(each[4][0])) for each in found)
            )
            with self._news:
                self._found[host] = (time.monotonic(), numbers)
                self._news.notify_all()


def _as_number(host: str) -> tuple[int, str] | None:
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    return int(family), str(address)


SOCKET_OPTIONS = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    # A host that vanished is noticed after 5 + 3 * 2 s also by a silent connection.
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)


def dial(names: HostNames, host: str, port: int, within: Seconds) -> socket.socket:
    """A connection to the first address that answers; raises OSError."""
    end = time.monotonic() + within
    addresses = names.addresses(host, port, within)
    problem: OSError = TimeoutError(f"{host}:{port}: no connection in time")
    for number, (family, place) in enumerate(addresses):
        # What is left of the time is shared among the addresses that are left.
        share = (end - time.monotonic()) / (len(addresses) - number)
        if share <= 0:
            break
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            for option in SOCKET_OPTIONS:
                connection.setsockopt(*option)
            connection.settimeout(share)
            connection.connect(place)
        except OSError as error:
            connection.close()
            problem = error
        else:
            return connection
    raise problem
