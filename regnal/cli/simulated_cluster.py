"""The cluster that `regnal simulate` plays: the user's configuration, for N members."""

import os
import re
from pathlib import Path
from typing import Any

import click

from regnal.configuration.problems import ConfigurationError
from regnal.configuration.source import ConfigurationSource
from regnal.messages.base import MemberName
from regnal.messages.settings import Settings
from regnal.replay.simulation.campaign import Cluster

NOT_SIMULATED = {
    "name",
    "scope",
    "conn_url",
    "api_url",
    "proxy_url",
    "version",
    "tags",
    "slots",
    "ignore_slots",
    "bootstrap_config",
    "may_bootstrap",
    "paused",
    "callbacks",
    "watchdog_mode",
}
"""Fields of the settings that a member has for itself, or that the model is without."""


def cluster_of(config: Path | None, members: int) -> tuple[Cluster, tuple[str, ...]]:
    """The cluster, and warnings.  Raises ClickException."""
    if config is None:
        return Cluster(_names("pg1", members), {"watchdog_mode": "off"}), ()
    try:
        effective = ConfigurationSource(config, dict(os.environ)).load()
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error
    settings = effective.settings
    warnings = list(effective.warnings)
    if settings.is_standby_cluster:
        raise click.ClickException(
            "standby_cluster: a standby cluster is not simulated, it has no primary of "
            "its own; simulate the configuration of the cluster that it follows"
        )
    if settings.paused:
        warnings.append("pause: true is left out; in pause nothing would be done")
    names = _names(settings.name, members)
    values = {"watchdog_mode": "off", **_fields(settings)}
    return Cluster(names, values, {settings.name: {"tags": settings.tags}}), (
        *warnings,
    )


def _fields(settings: Settings) -> dict[str, Any]:
    return {
        field: getattr(settings, field)
        for field in Settings.model_fields
        if field not in NOT_SIMULATED
    }


def _names(first: MemberName, count: int) -> tuple[MemberName, ...]:
    """`pg1`, `pg2`, `pg3`; without a number at its end, `east`, `east-2`, `east-3`."""
    match = re.search(r"\d+$", first)
    if match is None:
        return (first, *(f"{first}-{number}" for number in range(2, count + 1)))
    stem, number = first[: match.start()], int(match[0])
    width = len(match[0])
    return tuple(f"{stem}{number + i:0{width}}" for i in range(count))
