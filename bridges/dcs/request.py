"""What a store's module needs to know to open the store."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from regnal.bridges.contract import Clock
from regnal.bridges.dcs.keys import Place
from regnal.messages.base import MemberName, Seconds


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """Whose keys, in whose name."""

    options: Mapping[str, Any]
    """The section of the store, as configured."""

    place: Place
    member: MemberName | None
    """In whose name keys are written; None: ctl, which is no member."""

    ttl: Seconds
    clock: Clock
