"""How large a world is explored, and what may happen in it."""

from dataclasses import dataclass, field
from typing import Literal

from regnal.messages.base import MemberName, Seconds
from regnal.messages.settings import Settings

Fault = Literal[
    "kill daemon",
    "freeze daemon",
    "crash postgres",
    "kill host",
    "cut from store",
    "cut from peer",
    "late request",
    "late order",
    "late watch",
    "late stream",
    "late end",
    "delete leader key",
]
FAULTS: tuple[Fault, ...] = (
    "kill daemon",
    "freeze daemon",
    "crash postgres",
    "kill host",
    "cut from store",
    "cut from peer",
    "late request",
    "late order",
    "late watch",
    "late stream",
    "late end",
    "delete leader key",
)
Recovery = Literal["start daemon", "thaw daemon", "reach store", "reach peer"]
RECOVERIES: tuple[Recovery, ...] = (
    "start daemon",
    "thaw daemon",
    "reach store",
    "reach peer",
)
Wish = Literal["switchover", "shutdown"]

NAMES: tuple[MemberName, ...] = ("alpha", "beta", "gamma")
TTL: Seconds = 20
LOOP_WAIT: Seconds = 10
RETRY_TIMEOUT: Seconds = 5
LEASE_MARGIN: Seconds = 4


@dataclass(frozen=True)
class Bounds:
    """A small world."""

    members: int = 2
    synchronous_mode: Literal["off", "on", "quorum"] = "off"
    faults: int = 1
    """How many may happen, each of any kind and at any time."""

    kinds: tuple[Fault, ...] = FAULTS[:-1]
    mended: tuple[Recovery, ...] = RECOVERIES
    """What may become well again, also at any time."""

    wishes: int = 0
    """How often a person may ask for something."""

    wished: tuple[Wish, ...] = ("switchover", "shutdown")
    writes: int = 1
    """Rows that clients may write, each at any time."""

    reorderings: int | None = None
    """How often something may overtake what would happen before it; None: always, so
    that every order is tried.  (Delay-bounded scheduling: Emmi, Qadeer, Rakamaric 2011.)"""

    interleaved: bool = False
    """Whether the actors of a member hear one message at a time, in any order, and
    not all that follows from a message before anything else happens."""

    symmetric: bool = True
    """Whether states that differ only in which member is which are one."""

    settings: dict[str, object] = field(default_factory=dict)

    @property
    def names(self) -> tuple[MemberName, ...]:
        return NAMES[: self.members]

    def settings_of(self, name: MemberName) -> Settings:
        values: dict[str, object] = {
            "name": name,
            "scope": "model",
            "conn_url": f"postgres://{name}:5432/postgres",
            "api_url": f"http://{name}:8008/patroni",
            "version": "4.1.5",
            "ttl": TTL,
            "loop_wait": LOOP_WAIT,
            "retry_timeout": RETRY_TIMEOUT,
            "lease_margin": LEASE_MARGIN,
            "use_pg_rewind": True,
            "use_slots": False,
            "watchdog_mode": "off",
            "synchronous_mode": self.synchronous_mode,
            **self.settings,
        }
        return Settings.model_validate(values)
