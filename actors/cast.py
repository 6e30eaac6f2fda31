"""The cast: all actors of a member, as the daemon, the simulator and replay run them."""

from typing import Any

from regnal.actors.callbacks import CALLBACKS
from regnal.actors.configuration import CONFIGURATION
from regnal.actors.dcs_watcher import DCS_WATCHER
from regnal.actors.election import ELECTION
from regnal.actors.incidents import INCIDENTS
from regnal.actors.postgres_supervisor import POSTGRES_SUPERVISOR
from regnal.actors.rest import REST
from regnal.actors.slot_manager import SLOT_MANAGER
from regnal.actors.step import Decider
from regnal.actors.sync_standby_manager import SYNC_STANDBY_MANAGER
from regnal.actors.watchdog import WATCHDOG

DECIDERS: tuple[Decider[Any], ...] = (
    CONFIGURATION,
    ELECTION,
    POSTGRES_SUPERVISOR,
    DCS_WATCHER,
    SLOT_MANAGER,
    SYNC_STANDBY_MANAGER,
    WATCHDOG,
    CALLBACKS,
    INCIDENTS,
    REST,
)
