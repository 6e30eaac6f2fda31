"""Replication slots: create, drop and advance one."""

from dataclasses import dataclass

from regnal.bridges.postgres.connections import Row, Session, StatementFailed
from regnal.bridges.postgres.programs import CancelToken
from regnal.bridges.postgres.wal import format_lsn
from regnal.messages.base import Seconds
from regnal.messages.postgres import (
    AdvanceSlot,
    CreateSlot,
    DropSlot,
    SlotChanged,
    SlotRefused,
)

ANSWER_TIMEOUT: Seconds = 10.0
LOGICAL_TIMEOUT: Seconds = 600.0
"""Creating a logical slot waits for all transactions that run; advancing one
decodes all WAL up to there."""

DUPLICATE_OBJECT = "42710"


@dataclass(frozen=True, slots=True)
class SlotRequest:
    """A session in which to work on a slot, until somebody cancels."""

    session: Session
    cancel: CancelToken

    def query(
        self, statement: str, *arguments: object, timeout: Seconds = ANSWER_TIMEOUT
    ) -> list[Row]:
        return self.session.query(
            statement, arguments, timeout=timeout, cancel=self.cancel
        )


def create_slot(request: SlotRequest, command: CreateSlot) -> SlotChanged | SlotRefused:
    """A slot of that name and type that exists already will do."""
    try:
        if command.slot_type == "logical":
            request.query(
                "SELECT pg_create_logical_replication_slot(%s, %s)",
                command.name,
                command.plugin,
                timeout=LOGICAL_TIMEOUT,
            )
        else:
            # Reserved at once (9.6 on), or WAL could be gone when it is first used.
            request.query(
                "SELECT pg_create_physical_replication_slot(%s, true)", command.name
            )
    except StatementFailed as error:
        if error.sqlstate != DUPLICATE_OBJECT or not _exists(request, command):
            return SlotRefused(name=command.name, change="created", error=str(error))
    return SlotChanged(name=command.name, change="created")


def drop_slot(request: SlotRequest, command: DropSlot) -> SlotChanged | SlotRefused:
    """A slot that is gone already is dropped; one in use is left alone (SLOT-03)."""
    rows = request.query(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
        " WHERE slot_name = %s AND NOT active",
        command.name,
    )
    if not rows:
        still_there = request.query(
            "SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s",
            command.name,
        )
        if still_there:
            return SlotRefused(
                name=command.name,
                change="dropped",
                error=f"it is active for process {still_there[0][0]}",
            )
    return SlotChanged(name=command.name, change="dropped")


def advance_slot(
    request: SlotRequest, command: AdvanceSlot
) -> SlotChanged | SlotRefused:
    """The session is in the slot's database, if it is a logical one."""
    request.query(
        "SELECT pg_replication_slot_advance(%s, %s)",
        command.name,
        format_lsn(command.lsn),
        timeout=LOGICAL_TIMEOUT if command.database else ANSWER_TIMEOUT,
    )
    return SlotChanged(name=command.name, change="advanced")


def _exists(request: SlotRequest, command: CreateSlot) -> bool:
    rows = request.query(
        "SELECT 1 FROM pg_replication_slots WHERE slot_name = %s AND slot_type = %s"
        " AND database IS NOT DISTINCT FROM %s AND plugin IS NOT DISTINCT FROM %s",
        command.name,
        command.slot_type,
        command.database,
        command.plugin,
    )
    return bool(rows)
