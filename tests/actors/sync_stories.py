"""A primary with standbys, for the tests of the manager of synchronous standbys."""

from typing import Any

from regnal.actors.sync_standby_manager import SYNC_STANDBY_MANAGER
from regnal.actors.sync_state import SyncManager
from regnal.messages.base import Message
from regnal.messages.cluster import (
    KeyWritten,
    SyncState,
)
from regnal.messages.postgres import (
    SetSynchronousStandbys,
    SynchronousStandbysSet,
)
from regnal.messages.store import WriteSync
from regnal.messages.synchronous import StandbyNamesFound
from tests.actors.builders import (
    Told,
    acquired,
    begun,
    configured,
    phase,
    primary,
    seen,
    sender,
)

ON = configured(synchronous_mode="on")
STRICT = configured(synchronous_mode="on", synchronous_mode_strict=True)
TWO = configured(synchronous_mode="on", synchronous_node_count=2)
QUORUM = configured(synchronous_mode="quorum")
MEMBERS = ("pg1", "pg2", "pg3")


def key(
    *standbys: str, leader: str | None = "pg1", quorum: int = 0, at: int = 1
) -> SyncState:
    return SyncState(leader=leader, standbys=standbys, quorum=quorum, revision=at)


def streams(*names: str, value: str = "", lsn: int = 1000, **fields: Any) -> Message:
    """The primary, with these attached; those in the value are synchronous."""
    senders = tuple(
        sender(name, lsn, sync_state="sync" if name in value else "async")
        for name in names
    )
    return primary(senders=senders, synchronous_standby_names=value, **fields)


def leading(
    *names: str,
    sync: SyncState | None = None,
    value: str = "",
    settings: Message = ON,
    lsn: int = 1000,
) -> Told[SyncManager]:
    """The primary pg1, which has just seen `names` stream from it."""
    return begun(
        SYNC_STANDBY_MANAGER,
        settings,
        seen(*MEMBERS, sync=sync),
        phase("primary"),
        acquired(),
        streams(*names, value=value, lsn=lsn),
    )


def writes(told: Told[SyncManager]) -> tuple[str, ...] | None:
    """The standbys that the last step writes into the key; None: no write."""
    found = told.of(WriteSync)
    return found[0].standbys if found else None


def sets(told: Told[SyncManager]) -> str | None:
    found = told.of(SetSynchronousStandbys)
    return found[0].value if found else None


def acts(told: Told[SyncManager]) -> tuple[Message, ...]:
    """What the last step said, but what it found."""
    return tuple(m for m in told.said if not isinstance(m, StandbyNamesFound))


def changes(told: Told[SyncManager]) -> tuple[Message, ...]:
    """What the last step would have changed, in the key or in PostgreSQL."""
    return (*told.of(WriteSync), *told.of(SetSynchronousStandbys))


def all_acts(told: Told[SyncManager]) -> tuple[Message, ...]:
    """What was ever said, but what was found."""
    return tuple(m for m in told.all_said if not isinstance(m, StandbyNamesFound))


def in_force(value: str, lsn: int = 1000) -> SynchronousStandbysSet:
    return SynchronousStandbysSet(value=value, lsn=lsn)


def written(revision: int | None = 2) -> KeyWritten:
    return KeyWritten(key="sync", revision=revision)
