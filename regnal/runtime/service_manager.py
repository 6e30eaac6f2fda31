"""What the service manager (systemd, `Type=notify`) is told: see sd_notify(3)."""

import logging
import os
import socket
import time

logger = logging.getLogger(__name__)


class ServiceManager:
    """Silent where there is no service manager."""

    def __init__(self, address: str | None) -> None:
        """`address`: of NOTIFY_SOCKET, which PostgreSQL must not inherit."""
        self._address = address

    def ready(self) -> None:
        self._send("READY=1")

    def reloading(self) -> None:
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={microseconds}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        address = self._address
        if address.startswith("@"):
            address = "\0" + address[1:]
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
                notify.sendto(text.encode(), address)
        except OSError as error:
            logger.warning("The service manager cannot be told %s: %s", text, error)


def from_environment() -> ServiceManager:
    """Takes NOTIFY_SOCKET out of the environment (P-PG-12)."""
    return ServiceManager(os.environ.pop("NOTIFY_SOCKET", None))
