"""How to speak to NATS; imports nothing of its library."""

from dataclasses import dataclass
from pathlib import Path

from regnal.messages.base import Bytes, Seconds


@dataclass(frozen=True, slots=True)
class NatsOptions:
    """The section `nats` of the configuration."""

    servers: tuple[str, ...]
    """URLs, or host:port."""

    shown: str
    """The same without any password, for people."""

    username: str | None = None
    password: str | None = None
    token: str | None = None
    credentials: Path | None = None
    """A file with a JWT and its key, as `nsc` writes it."""

    cafile: Path | None = None
    certfile: Path | None = None
    keyfile: Path | None = None

    @property
    def wants_tls(self) -> bool:
        return any((self.cafile, self.certfile)) or any(
            server.startswith(("tls://", "wss://")) for server in self.servers
        )


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """A JetStream stream to publish into."""

    name: str
    subjects: tuple[str, ...]
    create: bool
    """Whether to make it where it does not exist; one that exists is left as it is."""

    max_age: Seconds
    max_bytes: Bytes
    """-1: no limit but the server's."""

    replicas: int = 1
