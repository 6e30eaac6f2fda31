"""Translates the sections of what goes out: `nats`, `webhooks` and `otel`.

Secrets go this way, and only this way: no message carries them.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from regnal.bridges.nats.options import NatsOptions, StreamPlan
from regnal.bridges.otlp.options import OtlpOptions, basic_authorization
from regnal.bridges.webhook.sender import WebhookOptions
from regnal.configuration.checking import with_defaults
from regnal.configuration.schema_publishing import WEBHOOK
from regnal.messages.base import Bytes, Seconds
from regnal.messages.masking import masked_text
from regnal.runtime.options import Configured, optional_path


@dataclass(frozen=True, slots=True)
class OtelSection:
    """The `otel` section."""

    client: OtlpOptions
    traces: bool
    metrics: bool
    logs: bool
    sampling: float
    """The share of traces of quiet life that is exported; 1: all.  Of incidents all is."""

    metrics_interval: Seconds


@dataclass(frozen=True, slots=True)
class NatsSection:
    """The `nats` section."""

    client: NatsOptions
    events: bool
    journal: bool
    jetstream: bool
    create_streams: bool
    stream: str
    journal_stream: str
    subject_prefix: str
    max_age: Seconds
    max_bytes: Bytes
    replicas: int

    def plan(self, stream: str, subjects: str) -> StreamPlan | None:
        """None: without JetStream."""
        if not self.jetstream:
            return None
        return StreamPlan(
            name=stream,
            subjects=(subjects,),
            create=self.create_streams,
            max_age=self.max_age,
            max_bytes=self.max_bytes,
            replicas=self.replicas,
        )


def nats_options(configured: Configured) -> NatsSection | None:
    """None: nothing is published to NATS."""
    section = configured.document.get("nats")
    if section is None or not section.get("servers"):
        return None
    return NatsSection(
        client=nats_client(section),
        events=section["events"] == "on",
        journal=section["journal"] == "on",
        jetstream=section["jetstream"] == "on",
        create_streams=section["create_streams"] == "on",
        stream=section["stream"],
        journal_stream=section["journal_stream"],
        subject_prefix=section["subject_prefix"],
        max_age=section["max_age"],
        max_bytes=section.get("max_bytes", -1),
        replicas=section["replicas"],
    )


def nats_client(section: Mapping[str, Any]) -> NatsOptions:
    """How to speak to the servers of a section `nats`."""
    servers = tuple(section.get("servers", ()))
    return NatsOptions(
        servers=servers,
        shown=masked_text(", ".join(servers)),
        username=section.get("username"),
        password=section.get("password"),
        token=section.get("token"),
        credentials=optional_path(section.get("credentials")),
        cafile=optional_path(section.get("cafile")),
        certfile=optional_path(section.get("certfile")),
        keyfile=optional_path(section.get("keyfile")),
    )


def otel_options(configured: Configured) -> OtelSection | None:
    """None: no telemetry is exported."""
    section = configured.document.get("otel")
    if section is None:
        return None
    return OtelSection(
        client=otel_client(section),
        traces=section["traces"] == "on",
        metrics=section["metrics"] == "on",
        logs=section["logs"] == "on",
        sampling=section["sampling"],
        metrics_interval=section["metrics_interval"],
    )


def otel_client(section: Mapping[str, Any]) -> OtlpOptions:
    """How to speak to the collector of a whole section `otel`."""
    parts = urlsplit(section["endpoint"])
    address = parts.netloc.rpartition("@")[2]
    headers = {name.lower(): text for name, text in section.get("headers", {}).items()}
    if parts.username is not None:
        headers.setdefault("authorization", basic_authorization(parts))
    return OtlpOptions(
        endpoint=f"{parts.scheme}://{address}{parts.path.rstrip('/')}",
        is_grpc=section["protocol"] == "grpc",
        headers=headers,
        cafile=optional_path(section.get("cafile")),
        certfile=optional_path(section.get("certfile")),
        keyfile=optional_path(section.get("keyfile")),
        gzip=section["compression"] == "gzip",
        timeout=section["timeout"],
        resource_attributes=section.get("resource_attributes", {}),
    )


def webhook_options(configured: Configured) -> tuple[WebhookOptions, ...]:
    found = []
    for section in configured.document.get("webhooks", ()):
        full = with_defaults(WEBHOOK, section)
        parts = urlsplit(full["url"])
        found.append(
            WebhookOptions(
                name=full.get("name") or _short(full["url"]),
                url=full["url"],
                shown=f"{parts.scheme}://{parts.hostname}",
                secret=full.get("secret"),
                token=full.get("token"),
                patterns=tuple(full.get("events", ())),
                timeout=full["timeout"],
                give_up_after=full["give_up_after"],
                cafile=optional_path(full.get("cafile")),
            )
        )
    return tuple(found)


def _short(url: str) -> str:
    """Stands for a URL in names of files, and tells nobody what it was."""
    return hashlib.sha256(url.encode()).hexdigest()[:12]
