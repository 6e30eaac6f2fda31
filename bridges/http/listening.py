"""Listening: the sockets of the REST API and its TLS context."""

import errno
import hashlib
import socket
import ssl
from collections.abc import Iterable

from regnal.bridges.http.errors import UnusableOptions
from regnal.bridges.http.options import RestOptions, ServerCertificate

MINIMUM_BACKLOG = 128
"""Connections that wait in the kernel.  Ours are answered in microseconds, so that
a short queue (the peer's default is 5) would only turn a burst of health checks
into failed ones: a dropped SYN comes again after a second."""


def listen(options: RestOptions) -> list[socket.socket]:
    """Sockets that listen on all addresses of `restapi.listen`.

    Raises UnusableOptions.
    """
    host, port = options.listen_host, options.listen_port
    backlog = backlog_of(options)
    try:
        if host in ("", "*", "::"):
            return [_listen_everywhere(port, backlog)]
        return _listen_on_all_of(host, port, backlog)
    except (OSError, UnicodeError, OverflowError) as error:
        shown = f"[{host}]" if ":" in host else host or "*"
        raise UnusableOptions(
            f"The REST API cannot listen on {shown}:{port} ({error}); "
            "check restapi.listen, or end what listens there."
        ) from error


def backlog_of(options: RestOptions) -> int:
    return max(options.request_queue_size, MINIMUM_BACKLOG)


def _listen_on_all_of(host: str, port: int, backlog: int) -> list[socket.socket]:
    """A name such as localhost may have an IPv6 address that this host lacks; one
    address is enough."""
    found = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    listeners: list[socket.socket] = []
    lacking: OSError | None = None
    for family, _, _, _, address in dict.fromkeys(found):
        try:
            listeners.append(_listen(family, address, backlog))
        except OSError as error:
            if not _is_lacking(error):
                close_all(listeners)
                raise
            lacking = error
    if not listeners and lacking is not None:
        raise lacking
    return listeners


def close_all(listeners: Iterable[socket.socket]) -> None:
    for listener in listeners:
        listener.close()


def _listen_everywhere(port: int, backlog: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        try:
            return _prepared(
                socket.create_server(
                    ("::", port),
                    family=socket.AF_INET6,
                    backlog=backlog,
                    dualstack_ipv6=True,
                )
            )
        except OSError as error:
            if not _is_lacking(error):
                raise
    return _listen(socket.AF_INET, ("0.0.0.0", port), backlog)  # noqa: S104 - as asked


def _listen(
    family: socket.AddressFamily | int, address: object, backlog: int
) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)  # type: ignore[arg-type]  # as getaddrinfo made it
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return _prepared(listener)


def _prepared(listener: socket.socket) -> socket.socket:
    listener.setblocking(False)
    return listener


def _is_lacking(error: OSError) -> bool:
    """Whether this host has no IPv6 to listen on."""
    return error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def server_context(tls: ServerCertificate) -> ssl.SSLContext:
    """Raises UnusableOptions."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    option, value = "certfile", str(tls.certfile)
    try:
        if tls.keyfile is not None:
            option, value = "certfile or keyfile", f"{tls.certfile}, {tls.keyfile}"
        # A password is always given: without one OpenSSL would ask the terminal.
        context.load_cert_chain(
            tls.certfile, tls.keyfile, password=tls.keyfile_password or ""
        )
        if tls.ciphers:
            option, value = "ciphers", tls.ciphers
            context.set_ciphers(tls.ciphers)
        if tls.cafile is not None:
            option, value = "cafile", str(tls.cafile)
            context.load_verify_locations(tls.cafile)
    except (OSError, ValueError) as error:
        raise UnusableOptions(
            f"restapi.{option} cannot be used ({value}): {error}"
        ) from error
    context.verify_mode = {
        "none": ssl.CERT_NONE,
        "optional": ssl.CERT_OPTIONAL,
        "required": ssl.CERT_REQUIRED,
    }[tls.verify_client]
    if tls.verify_client != "none" and tls.cafile is None:
        context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
    return context


def fingerprint(tls: ServerCertificate | None) -> str:
    """Changes when what the files hold does, also when they were replaced in place."""
    if tls is None:
        return ""
    digest = hashlib.sha256()
    for path in (tls.certfile, tls.keyfile, tls.cafile):
        if path is not None:
            try:
                digest.update(path.read_bytes())
            except OSError as error:
                digest.update(str(error).encode())
        digest.update(b"\0")
    return digest.hexdigest()
