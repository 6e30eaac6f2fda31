"""What the command line of regnalctl says before the command; light, since every run reads it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click

DEFAULT_CONFIG_FILE = Path(click.get_app_dir("patroni")) / "patronictl.yaml"


class Invocation(NamedTuple):
    config_file: str | None
    """None: the default one, which need not exist."""

    dcs_url: str | None
    """None: the store of the configuration."""

    insecure: bool
    """Certificates of members are not verified."""

    open_store: Callable[[Any], Any] | None = None
    """A `StoreOpener` of a test; None: the real one."""
