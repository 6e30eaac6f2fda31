"""A simulated cluster whose members write journals, as daemons do.

world = RecordedWorld(tmp_path, ("pg1", "pg2", "pg3"), ttl=30)
world.start()
world.run(60)
world.close()                   # tmp_path/pg1, tmp_path/pg2, ...
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from regnal.actors.cast import DECIDERS
from regnal.configuration.merging import merge
from regnal.messages.base import MemberName
from regnal.messages.settings import ConfigurationApplied, Settings
from regnal.replay.simulation.world import World

DYNAMIC = (
    "ttl",
    "loop_wait",
    "retry_timeout",
    "maximum_lag_on_failover",
    "synchronous_mode",
    "synchronous_mode_strict",
    "failsafe_mode",
    "primary_start_timeout",
)


class RecordedWorld(World):
    """The world, with a journal in `directory` for each member, that tells the whole
    configuration."""

    def __init__(
        self, directory: Path, names: Sequence[MemberName], **settings: Any
    ) -> None:
        super().__init__(names, DECIDERS, journals=directory, **settings)

    def close(self) -> None:
        for recorder in self.recorders.values():
            recorder.close()

    def _configuration(self, name: MemberName) -> ConfigurationApplied:
        settings = self.settings_of(name)
        return ConfigurationApplied(
            settings=settings,
            document=json.dumps(document_of(settings)),
            postgres_changed=False,
            dynamic=None,
        )


def document_of(settings: Settings) -> dict[str, Any]:
    """A configuration of which these settings are made."""
    dynamic = {name: getattr(settings, name) for name in DYNAMIC}
    local = {
        "name": settings.name,
        "scope": settings.scope,
        "restapi": {"listen": f"{settings.name}:8008"},
        "postgresql": {
            "listen": f"{settings.name}:5432",
            "data_dir": "/data",
            "use_pg_rewind": settings.use_pg_rewind,
        },
        "fencing": {"guard": settings.guard},
    }
    return merge(dynamic, local)
