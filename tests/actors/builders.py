"""Values for the tests of deciders: what matters is named, the rest is here."""

from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from regnal.actors.step import Decider, Step
from regnal.messages.base import Instant, Message
from regnal.messages.cluster import (
    ClusterObserved,
    ClusterView,
    LeaderView,
    MemberView,
    Tags,
)
from regnal.messages.envelope import Envelope, HybridTime
from regnal.messages.lease import LeaderAcquired, LeaderRenewed
from regnal.messages.operations import Phase, PhaseChanged
from regnal.messages.postgres import (
    PostgresObserved,
    PostgresStatus,
    SlotView,
    WalReceiver,
    WalSender,
)
from regnal.messages.settings import ConfigurationApplied, Settings
from regnal.messages.timers import TimerFired

S = TypeVar("S")
M = TypeVar("M", bound=Message)

WALL = 1_900_000_000_000_000
"""Microseconds since 1970 at instant 0."""

SYSTEM = "7301234567890123456"


def settings(name: str = "pg1", **fields: Any) -> Settings:
    return Settings(
        **{
            "name": name,
            "scope": "demo",
            "conn_url": f"postgres://{name}:5432/postgres",
            "api_url": f"http://{name}:8008/patroni",
            "version": "4.1.5",
            **fields,
        }
    )


def configured(name: str = "pg1", **fields: Any) -> ConfigurationApplied:
    return ConfigurationApplied(
        settings=settings(name, **fields),
        document="{}",
        postgres_changed=False,
        dynamic=None,
    )


def member(name: str, **fields: Any) -> MemberView:
    return MemberView(
        **{
            "name": name,
            "conn_url": f"postgres://{name}:5432/postgres",
            "api_url": f"http://{name}:8008/patroni",
            "state": "running",
            "role": "replica",
            "version": "4.1.5",
            **fields,
        }
    )


def view(
    *members: MemberView | str, leader: str | None = "pg1", **fields: Any
) -> ClusterView:
    full = [m if isinstance(m, MemberView) else member(m) for m in members]
    return ClusterView(
        **{
            "initialize": SYSTEM,
            "leader": LeaderView(name=leader, revision=1) if leader else None,
            "members": tuple(sorted(full, key=lambda m: m.name)),
            "config": "{}",
            "config_revision": 1,
            "failover": None,
            "sync": None,
            "history": (),
            "status": None,
            "failsafe": None,
            **fields,
        }
    )


def seen(
    *members: MemberView | str, leader: str | None = "pg1", **fields: Any
) -> ClusterObserved:
    return ClusterObserved(view=view(*members, leader=leader, **fields))


def tags(**fields: Any) -> Tags:
    return Tags(**fields)


def primary(**fields: Any) -> PostgresObserved:
    return PostgresObserved(
        status=PostgresStatus(
            **{
                "process": "accepting",
                "data_directory": "valid",
                "server_version": 150018,
                "system_identifier": SYSTEM,
                "in_recovery": False,
                "timeline": 1,
                "write_lsn": 1000,
                "synchronous_standby_names": "",
                **fields,
            }
        )
    )


def standby(**fields: Any) -> PostgresObserved:
    return PostgresObserved(
        status=PostgresStatus(
            **{
                "process": "accepting",
                "data_directory": "valid",
                "server_version": 150018,
                "system_identifier": SYSTEM,
                "in_recovery": True,
                "timeline": 1,
                "received_lsn": 900,
                "replayed_lsn": 890,
                "receiver": WalReceiver(
                    status="streaming",
                    sender_host="pg1",
                    sender_port=5432,
                    slot_name="pg2",
                    latest_end_lsn=900,
                ),
                "synchronous_standby_names": "",
                **fields,
            }
        )
    )


def sender(name: str, lsn: int | None = 1000, **fields: Any) -> WalSender:
    return WalSender(
        **{
            "pid": 1,
            "username": "replicator",
            "application_name": name,
            "client_addr": None,
            "state": "streaming",
            "sync_state": "async",
            "sync_priority": 0,
            "write_lsn": lsn,
            "flush_lsn": lsn,
            "replay_lsn": lsn,
            **fields,
        }
    )


def slot(name: str, lsn: int | None = 1000, **fields: Any) -> SlotView:
    return SlotView(
        **{
            "name": name,
            "type": "physical",
            "database": None,
            "plugin": None,
            "active": False,
            "restart_lsn": lsn,
            "confirmed_flush_lsn": None,
            "has_xmin": False,
            "wal_status": "reserved",
            **fields,
        }
    )


def phase(
    reached: Phase,
    previous: Phase = "unknown",
    state: str = "running",
    intent: str | None = None,
    **fields: Any,
) -> PhaseChanged:
    return PhaseChanged(
        phase=reached, previous=previous, state=state, intent=intent, **fields
    )


def acquired(until: Instant = 130.0, name: str = "pg1") -> LeaderAcquired:
    return LeaderAcquired(member=name, valid_until=until)


def renewed(until: Instant = 140.0, name: str = "pg1") -> LeaderRenewed:
    return LeaderRenewed(member=name, valid_until=until)


BEAT = TimerFired(name="heartbeat", due_at=0.0)


def envelope(message: M, at: Instant = 100.0, name: str = "pg1") -> Envelope[M]:
    return Envelope(
        id=f"{name}/1/1",
        hlc=HybridTime(WALL + int(at * 1_000_000), 0, name),
        at=at,
        said_by="test",
        cause=None,
        trace=None,
        message=message,
    )


@dataclass(frozen=True)
class Told(Generic[S]):
    """A decider that has heard some messages, and what it said to the last one."""

    decider: Decider[S]
    step: Step[S]
    at: Instant = 100.0
    said_before: tuple[Message, ...] = field(default=())

    @property
    def state(self) -> S:
        return self.step.state

    @property
    def said(self) -> tuple[Message, ...]:
        return self.step.said

    @property
    def all_said(self) -> tuple[Message, ...]:
        """Everything, the last step included."""
        return self.said_before + self.said

    def hear(self, *messages: Message, at: Instant | None = None) -> "Told[S]":
        """Hear them one after the other, all at `at` (or at the time of before)."""
        told = self if at is None else replace(self, at=at)
        for message in messages:
            assert type(message) in self.decider.hears, type(message)
            step = self.decider.handle(told.state, envelope(message, told.at))
            told = replace(told, step=step, said_before=told.said_before + told.said)
        return told

    def of(self, word: type[M]) -> tuple[M, ...]:
        """What of that class the last step said."""
        return tuple(message for message in self.said if isinstance(message, word))


def begun(decider: Decider[S], *messages: Message, name: str = "pg1") -> Told[S]:
    """A fresh decider that has heard `messages`."""
    return Told(decider, Step(decider.initial(name))).hear(*messages)
