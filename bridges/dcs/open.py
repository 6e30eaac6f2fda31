"""From the name of a section to its store; only that store's module is loaded.

Each store is an optional extra with libraries of its own, so its module must not be
imported unless it is chosen: the one place where a module is imported by name.
"""

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from regnal.bridges.contract import Clock
from regnal.bridges.dcs.clock import boottime
from regnal.bridges.dcs.contract import Store, StoreMisconfigured
from regnal.bridges.dcs.keys import Place
from regnal.bridges.dcs.request import StoreRequest
from regnal.messages.base import MemberName, Seconds


@dataclass(frozen=True, slots=True)
class StoreModule:
    module: str
    extra: str
    needs: tuple[str, ...] = ()
    """Top-level modules that the extra installs and the store cannot do without."""


STORES: Mapping[str, StoreModule] = {
    "etcd3": StoreModule("regnal.bridges.dcs.etcd3", "etcd3"),
    "raft": StoreModule("regnal.bridges.dcs.raft", "raft", ("pysyncobj",)),
}


def open_store(
    section: str | None,
    options: Mapping[str, Any],
    *,
    namespace: str,
    scope: str,
    group: int | None = None,
    member: MemberName | None,
    ttl: Seconds,
    clock: Clock = boottime,
) -> Store:
    """The store of `section`, not yet connected.

    `member` None opens it for ctl: it may read and write, and is no member.
    Raises StoreMisconfigured, also if a library is not installed.
    """
    chosen = STORES.get(section or "")
    if chosen is None:
        known = ", ".join(sorted(STORES))
        problem = f"unknown store {section!r}" if section else "no store is configured"
        raise StoreMisconfigured(f"{problem}: give one of the sections {known}")
    for library in chosen.needs:
        if importlib.util.find_spec(library) is None:
            raise StoreMisconfigured(
                f"{section}: the Python package {library} is not installed: "
                f"pip install 'regnal[{chosen.extra}]'"
            )
    module = importlib.import_module(chosen.module)
    opener = cast(Callable[[StoreRequest], Store], module.open_store)
    request = StoreRequest(options, Place(namespace, scope, group), member, ttl, clock)
    return opener(request)
