"""What options must be to each other, once each of them is right by itself."""

import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from regnal.configuration.addresses import parse_address, parse_addresses
from regnal.configuration.checking import required
from regnal.configuration.merging import local_controlled_parameters
from regnal.configuration.problems import Problem, shown
from regnal.configuration.schema import LOCAL
from regnal.configuration.schema_stores import STORES
from regnal.configuration.tree import Document
from regnal.messages.masking import masked_text

_ADDRESSES_OF_STORES = {
    "etcd": ("host", "hosts", "url", "proxy", "srv"),
    "etcd3": ("host", "hosts", "url", "proxy", "srv"),
    "zookeeper": ("hosts",),
    "exhibitor": ("hosts",),
    "kubernetes": ("labels",),
    "raft": ("self_addr",),
}
"""Of these one must be there."""


def problems_of_daemon(document: Document) -> list[Problem]:
    """What keeps a daemon from running with these local options."""
    return [
        *required(LOCAL, document),
        *_store(document),
        *_accounts(document),
        *_certificates(document),
        *_journal(document),
        *_bootstrap(document),
        *_log(document),
        *_nats(document),
        *_webhooks(document),
        *_otel(document),
    ]


def store_problems(document: Document) -> list[Problem]:
    """What keeps anybody, ctl too, from finding the store."""
    return list(_store(document))


def remarks(document: Document) -> list[str]:
    """What can be used, but a person should know."""
    return [
        *_unused(document),
        *_unreachable(document),
        *_methods(document),
        *_log_fields(document),
    ]


def _store(document: Document) -> Iterator[Problem]:
    section = next((name for name in STORES if name in document), None)
    if section is None:
        names = ", ".join(STORES)
        yield Problem("dcs", "no store is configured", f"write one section of {names}")
        return
    names_of_address = _ADDRESSES_OF_STORES.get(section, ())
    if names_of_address and not any(document[section].get(n) for n in names_of_address):
        yield Problem(
            f"{section}.{names_of_address[0]}",
            "is missing",
            f"write {' or '.join(names_of_address)}",
        )


def _accounts(document: Document) -> Iterator[Problem]:
    postgresql = document.get("postgresql", {})
    if not postgresql.get("authentication", {}).get("replication", {}).get("username"):
        yield Problem(
            "postgresql.authentication.replication.username", "is missing", "write it"
        )
    for name in ("restapi", "ctl"):
        account = document.get(name, {}).get("authentication", {})
        for present, other in (("username", "password"), ("password", "username")):
            if present in account and other not in account:
                # With half of it requests would go unprotected without a word.
                yield Problem(
                    f"{name}.authentication.{other}",
                    f"is missing beside {present}",
                    "write both or none",
                )


def _certificates(document: Document) -> Iterator[Problem]:
    restapi = document.get("restapi", {})
    if restapi.get("verify_client", "none") == "none":
        return
    for name in ("certfile", "cafile"):
        if name not in restapi:
            yield Problem(
                f"restapi.{name}",
                "is missing, and verify_client needs it",
                "write it, or set verify_client to none",
            )


def _journal(document: Document) -> Iterator[Problem]:
    directory = document.get("journal", {}).get("dir")
    data_dir = document.get("postgresql", {}).get("data_dir")
    if directory is None or data_dir is None:
        return
    journal, data = Path(directory).absolute(), Path(data_dir).absolute()
    if journal == data or data in journal.parents:
        yield Problem(
            "journal.dir",
            f"{directory!r} is inside the data directory, which a rebuild removes",
            "name a directory outside of it",
        )


def _bootstrap(document: Document) -> Iterator[Problem]:
    bootstrap = document.get("bootstrap", {})
    method = bootstrap.get("method", "initdb")
    section = bootstrap.get(method)
    if method != "initdb" and not (section and section.get("command")):
        yield Problem(
            f"bootstrap.{method}.command",
            "is missing, and bootstrap.method names it",
            "write it, or set bootstrap.method to initdb",
        )


def _log(document: Document) -> Iterator[Problem]:
    log = document.get("log", {})
    form = log.get("format")
    if not isinstance(form, str) or log.get("type") == "json":
        return
    try:
        logging.Formatter(form).format(logging.makeLogRecord({}))
    except ValueError as error:
        yield Problem(
            "log.format",
            f"{form!r} is not a format: {error}",
            "write fields such as %(message)s",
        )


def _nats(document: Document) -> Iterator[Problem]:
    if "nats" not in document:
        return
    nats = document["nats"]
    if not nats.get("servers"):
        yield Problem(
            "nats.servers",
            "is missing",
            "write the servers, such as nats://10.0.0.7:4222, or remove the section",
        )
    for present, other in (
        ("username", "password"),
        ("password", "username"),
        ("keyfile", "certfile"),
    ):
        if present in nats and other not in nats:
            yield Problem(
                f"nats.{other}",
                f"is missing beside {present}",
                "write both or none",
            )
    prefix = nats.get("subject_prefix", "")
    if prefix and not _SUBJECT.fullmatch(prefix):
        yield Problem(
            "nats.subject_prefix",
            f"{prefix!r} is not a subject",
            "write words with dots between them, such as regnal.events",
        )
    for name in ("stream", "journal_stream"):
        if nats.get(name) and not _STREAM.fullmatch(nats[name]):
            yield Problem(
                f"nats.{name}",
                f"{nats[name]!r} is no name of a stream",
                "write letters, digits, - and _",
            )


_SUBJECT = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_STREAM = re.compile(r"[A-Za-z0-9_-]+")


def _webhooks(document: Document) -> Iterator[Problem]:
    seen = set()
    for number, webhook in enumerate(document.get("webhooks", ())):
        url = webhook.get("url", "")
        if not url.startswith(("http://", "https://")) or not urlsplit(url).hostname:
            yield Problem(
                f"webhooks[{number}].url",
                "is missing" if not url else "is no URL",
                "write http://HOST/PATH or https://HOST/PATH",
            )
        name = webhook.get("name") or url
        if name in seen:
            yield Problem(
                f"webhooks[{number}].name",
                "is that of another webhook, or its URL is",
                "give each webhook a name of its own",
            )
        seen.add(name)


def otel_problems(otel: Document) -> list[Problem]:
    """What keeps anybody, `regnal trace` too, from using this section."""
    return list(_otel({"otel": otel}))


def _otel(document: Document) -> Iterator[Problem]:
    if "otel" not in document:
        return
    otel = document["otel"]
    trouble = _trouble_of_endpoint(otel.get("endpoint", ""))
    if trouble:
        yield Problem("otel.endpoint", trouble, _ENDPOINT)
    if "keyfile" in otel and "certfile" not in otel:
        yield Problem(
            "otel.certfile", "is missing beside keyfile", "write both or none"
        )
    for name, value in otel.get("headers", {}).items():
        if not _HEADER.fullmatch(name):
            yield Problem(
                "otel.headers",
                f"{shown(name)} is no name of a header",
                "write letters, digits and -",
            )
        elif not value.isascii() or not value.isprintable():
            yield Problem(
                f"otel.headers.{name}",
                "has a character that no header may have",
                "write printable ASCII",
            )


def _trouble_of_endpoint(endpoint: str) -> str:
    """Empty: none."""
    if not endpoint:
        return "is missing"
    written = shown(masked_text(endpoint))
    try:
        parts = urlsplit(endpoint)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return f"{written} is no URL"
    if parts.scheme not in ("http", "https") or not has_host:
        return f"{written} is no URL with http:// or https://"
    if parts.query or parts.fragment:
        return f"{written} has more than a host and a path"
    if _SIGNAL.search(parts.path):
        return f"{written} ends with the path of one signal"
    return ""


_ENDPOINT = (
    "write the collector's base URL, such as http://10.0.0.9:4318 (for grpc "
    "http://10.0.0.9:4317); /v1/traces and so on are appended"
)
_SIGNAL = re.compile(r"/v1/(traces|metrics|logs)/?$")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def _unused(document: Document) -> Iterator[str]:
    controlled = local_controlled_parameters(document)
    if controlled:
        yield (
            f"postgresql.parameters: {', '.join(controlled)} of the local file have no "
            "effect; change them with `regnalctl edit-config`"
        )
    stores = [name for name in STORES if name in document]
    if len(stores) > 1:
        yield f"{', '.join(stores)} are configured: only {stores[0]} is used"
    if "users" in document.get("bootstrap", {}):
        yield "bootstrap.users is deprecated: create users with bootstrap.post_bootstrap"


def _unreachable(document: Document) -> Iterator[str]:
    """A wildcard is no address for others."""
    for name in ("postgresql", "restapi"):
        section: Mapping[str, Any] = document.get(name, {})
        if "listen" not in section or "connect_address" in section:
            continue
        hosts = parse_addresses(section["listen"])[0]
        if parse_address(f"[{hosts[0]}]", 1).is_wildcard:
            yield (
                f"{name}.connect_address is missing: other members cannot reach "
                f"{section['listen']}"
            )


def _methods(document: Document) -> Iterator[str]:
    postgresql = document.get("postgresql", {})
    for name in postgresql.get("create_replica_methods", ()):
        section = postgresql.get(name, {})
        if name != "basebackup" and "command" not in section:
            yield (
                f"postgresql.{name}.command is missing, and create_replica_methods "
                "names it: the method is passed over"
            )


def _log_fields(document: Document) -> Iterator[str]:
    log = document.get("log", {})
    if isinstance(log.get("format"), list) and log.get("type") != "json":
        yield "log.format: a list of fields has no effect unless log.type is json"
