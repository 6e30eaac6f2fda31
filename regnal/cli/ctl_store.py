"""The store as regnalctl uses it: every call ends, with an answer or an error for people."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import click

from regnal.bridges.dcs.clock import boottime
from regnal.bridges.dcs.contract import (
    FailoverDraft,
    KeyAnswer,
    LeaseAnswer,
    StoreDenied,
    StoreMisconfigured,
    StoreUnavailable,
)
from regnal.messages.base import Instant, JsonText, MemberName, Seconds
from regnal.messages.cluster import ClusterView, Revision
from regnal.runtime.options import StoreOptions

T = TypeVar("T")

PATIENCE: Seconds = 5.0
"""How long a store may take: its client tries all endpoints within this.  The
election of a store's own leader takes a second or two; a person waits for us."""

GRACE: Seconds = 2.0
"""Beyond it; a client that is stuck is then left behind with the process."""


class ClusterStore(Protocol):
    """What regnalctl needs of a store; bridges/dcs/contract.py says the rest."""

    def read(self, deadline: Instant, consistent: bool = False) -> ClusterView: ...

    def write_config(
        self, document: JsonText, if_revision: Revision | None, deadline: Instant
    ) -> KeyAnswer: ...

    def write_failover(
        self, draft: FailoverDraft, if_revision: Revision | None, deadline: Instant
    ) -> KeyAnswer: ...

    def delete_cluster(self, deadline: Instant) -> None: ...

    def take_initialize(self, value: str, deadline: Instant) -> KeyAnswer: ...

    def touch_member(
        self, member: MemberName, document: JsonText, ttl: Seconds, deadline: Instant
    ) -> KeyAnswer: ...

    def acquire_leader(
        self, member: MemberName, ttl: Seconds, deadline: Instant
    ) -> LeaseAnswer: ...


StoreOpener = Callable[[StoreOptions], ClusterStore]


@dataclass
class StoreOfCluster:
    """Opened at the first call; whatever fails is raised as click.ClickException."""

    options: StoreOptions
    opener: StoreOpener
    _store: ClusterStore | None = field(default=None, init=False)

    def read(self) -> ClusterView:
        """As confirmed by the store's majority: a store without one is noticed."""
        return self._call(lambda store, end: store.read(end, consistent=True))

    def write_config(self, document: JsonText, if_revision: Revision | None) -> bool:
        """False: somebody else has changed the key."""
        return self._call(
            lambda store, end: store.write_config(document, if_revision, end)
        ).written

    def write_failover(
        self, draft: FailoverDraft, if_revision: Revision | None
    ) -> bool:
        """False: somebody else has changed the key."""
        return self._call(
            lambda store, end: store.write_failover(draft, if_revision, end)
        ).written

    def take_initialize(self, system_identifier: str) -> bool:
        """False: there is one already."""
        return self._call(
            lambda store, end: store.take_initialize(system_identifier, end)
        ).written

    def take_leader(self, name: MemberName, document: JsonText, ttl: Seconds) -> bool:
        """Publish the member and make it the leader; False: somebody else is."""
        self._call(lambda store, end: store.touch_member(name, document, ttl, end))
        return self._call(
            lambda store, end: store.acquire_leader(name, ttl, end)
        ).granted

    def delete_cluster(self) -> None:
        self._call(lambda store, end: store.delete_cluster(end))

    def _call(self, call: Callable[[ClusterStore, Instant], T]) -> T:
        def work() -> T:
            if self._store is None:
                self._store = self.opener(self.options)
            return call(self._store, boottime() + PATIENCE)

        try:
            return _bounded(work)
        except StoreMisconfigured as error:
            raise click.ClickException(str(error)) from error
        except StoreDenied as error:
            raise self._error(error, "check the credentials in that section") from error
        except StoreUnavailable as error:
            remedy = "check that it runs, and that this address is the right one"
            raise self._error(error, remedy) from error

    def _error(self, error: Exception, remedy: str) -> click.ClickException:
        section = self.options.section
        place = endpoints(self.options.options)
        return click.ClickException(
            f"No answer from the store {section}{place}: {error}; {remedy}"
        )


def _bounded(work: Callable[[], T]) -> T:
    """Do it in a thread of its own, which is left behind if it does not end."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            failure.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE + GRACE)
    if failure:
        raise failure[0]
    if not outcome:
        raise StoreUnavailable(f"its client was stuck for {PATIENCE + GRACE:g} seconds")
    return outcome[0]


def endpoints(options: Mapping[str, Any]) -> str:
    """` (host:port, ...)`, as written in the section; empty where it names none."""
    for name in ("hosts", "host", "url", "proxy", "srv", "partner_addrs", "self_addr"):
        value = options.get(name)
        if value:
            text = value if isinstance(value, str) else ", ".join(map(str, value))
            return f" ({text})"
    return ""
