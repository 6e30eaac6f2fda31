"""What the simulated bridges may ask of the world around them."""

from collections.abc import Callable
from typing import Any, Protocol

from regnal.messages.base import Instant, MemberName
from regnal.messages.envelope import Envelope
from regnal.messages.postgres import PostgresStatus
from regnal.messages.requests import FailsafePosted, RequestAnswered
from regnal.messages.settings import Settings
from regnal.replay.simulation.host import Host
from regnal.replay.simulation.network import Network
from regnal.replay.simulation.postgres import SimulatedPostgres
from regnal.replay.simulation.replication import Replication
from regnal.replay.simulation.scheduler import Scheduler
from regnal.replay.simulation.store import SimulatedStore


class Surroundings(Protocol):
    scheduler: Scheduler
    network: Network
    store: SimulatedStore
    hosts: dict[MemberName, Host]
    postgres: dict[MemberName, SimulatedPostgres]
    replication: Replication
    lossy: float
    """Share of the requests to the store that are lost, late or not answered."""

    clocks_differ: bool
    """Whether any wall clock was ever set."""

    def reaches(self, one: str, other: str) -> bool:
        """Whether they can talk."""
        ...

    def daemon_answers(self, name: MemberName) -> bool: ...

    def is_frozen(self, name: MemberName) -> bool:
        """Whether its daemon is there and does not run."""
        ...

    def shows_barred(self, name: MemberName) -> bool:
        """Whether its REST API says that it must not lead."""
        ...

    def status_of(self, name: MemberName) -> PostgresStatus: ...

    def settings_of(self, name: MemberName) -> Settings: ...

    def observe(self, name: MemberName, cause: Envelope[Any] | None = None) -> None: ...

    def kill_postgres(self, name: MemberName, signal: int = 9) -> None:
        """The postmaster ends unasked, its daemon sees it."""
        ...

    def promoted(self, name: MemberName) -> None:
        """PostgreSQL takes writes on a new timeline."""
        ...

    def starting_primary(self, name: MemberName) -> None:
        """A primary is about to be started."""
        ...

    def letting_go(self, name: MemberName) -> None:
        """The store has given the lock of `name` away, or removed it, at its wish."""
        ...

    def granted(self, name: MemberName, until: Instant) -> None:
        """The store, or all members, leave the lease to it."""
        ...

    def following(self, name: MemberName, upstream: MemberName) -> None:
        """A standby is about to be started."""
        ...

    def removing(self, name: MemberName) -> None:
        """A data directory is about to be removed or overwritten."""
        ...

    def creating(self, name: MemberName) -> None:
        """A database cluster is about to be created."""
        ...

    def request(
        self,
        name: MemberName,
        posted: FailsafePosted,
        answered: Callable[[RequestAnswered], None],
    ) -> None:
        """Ask the `rest` actor of `name`; it may never answer."""
        ...
