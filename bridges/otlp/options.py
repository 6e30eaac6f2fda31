"""How to speak to a collector; imports nothing of OpenTelemetry."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, unquote

from regnal.messages.base import Seconds


@dataclass(frozen=True, slots=True)
class OtlpOptions:
    """The section `otel` of the configuration, as far as the way there goes."""

    endpoint: str
    """`http://` or `https://HOST:PORT[/PATH]` without a name, a password or a slash at
    its end: it may be shown.  Over HTTP, `/v1/traces` and so on are appended."""

    is_grpc: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By lower-case name; secrets."""

    cafile: Path | None = None
    """None: the system's authorities."""

    certfile: Path | None = None
    keyfile: Path | None = None
    """None: the key is in `certfile`."""

    gzip: bool = False
    timeout: Seconds = 10.0
    """Of one attempt."""

    resource_attributes: Mapping[str, str | int | float | bool] = field(
        default_factory=dict
    )
    """Beside ours, or in their place."""

    @property
    def shown(self) -> str:
        """For people."""
        return f"the collector at {self.endpoint}"

    def check_files(self) -> None:
        """Raises OSError where one is not there, which names the option."""
        files = {
            "cafile": self.cafile,
            "certfile": self.certfile,
            "keyfile": self.keyfile,
        }
        for name, file in files.items():
            if file is not None and not file.is_file():
                raise OSError(f"{file} is not there (otel.{name})")

    @property
    def wants_tls(self) -> bool:
        return self.endpoint.startswith("https://")


def basic_authorization(parts: SplitResult) -> str:
    """The header for the name and the password of a URL."""
    account = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return f"Basic {base64.b64encode(account.encode()).decode()}"
