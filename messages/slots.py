"""Replication slots: what their manager has to tell a person.

The commands and outcomes are with PostgreSQL's others, in `postgres`.
"""

from typing import Literal

from regnal.messages.base import Decision, MemberName, Value


class SlotNameClash(Value):
    """Members whose names become the same slot name: they share one slot."""

    slot: str
    members: tuple[MemberName, ...]


class SlotNamesClash(Decision):
    """The clashes in the cluster changed; one of the members must be renamed."""

    kind: Literal["slot_names_clash"] = "slot_names_clash"
    clashes: tuple[SlotNameClash, ...]
    """Empty: they are gone."""


class LogicalSlotsNotSupported(Decision):
    """PostgreSQL 10 and older cannot keep logical slots through a failover: these
    are not created."""

    kind: Literal["logical_slots_not_supported"] = "logical_slots_not_supported"
    names: tuple[str, ...]
    server_version: int


class LogicalSlotMismatched(Decision):
    """A slot has the name of a configured one and is another: it is left alone."""

    kind: Literal["logical_slot_mismatched"] = "logical_slot_mismatched"
    name: str
    found: str
    """`type/database/plugin` as found."""

    configured: str
