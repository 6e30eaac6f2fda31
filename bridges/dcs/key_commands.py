"""Commands on the other keys: from the order to the outcome."""

from typing import assert_never

from regnal.bridges.contract import Clock
from regnal.bridges.dcs.contract import (
    FailoverDraft,
    KeyAnswer,
    Store,
    StoreUnavailable,
    SyncDraft,
)
from regnal.messages.cluster import (
    ClusterView,
    KeyName,
    KeyRefused,
    KeyUnconfirmed,
    KeyWritten,
)
from regnal.messages.store import (
    CancelInitialize,
    ConfirmInitialize,
    DeleteSync,
    TakeInitialize,
    TouchMember,
    WriteConfig,
    WriteFailover,
    WriteFailsafe,
    WriteHistory,
    WriteStatus,
    WriteSync,
)

WriteCommand = (
    TouchMember
    | TakeInitialize
    | ConfirmInitialize
    | CancelInitialize
    | WriteConfig
    | WriteFailover
    | WriteSync
    | DeleteSync
    | WriteHistory
    | WriteStatus
    | WriteFailsafe
)
KeyOutcome = KeyWritten | KeyRefused | KeyUnconfirmed

FIRST_WITH_STATUS = (2, 1, 0)
"""Members before it read the leader's position from a key of its own."""


def perform_write(
    store: Store, command: WriteCommand, view: ClusterView | None, clock: Clock
) -> KeyOutcome:
    """`view`: the last one observed."""
    key, request = key_of(command), request_of(command)
    if clock() >= command.deadline:
        error = "the deadline passed in the queue"
        return KeyUnconfirmed(key=key, error=error, request=request)
    try:
        answer = _write(store, command, view)
    except StoreUnavailable as error:
        return KeyUnconfirmed(key=key, error=str(error), request=request)
    if not answer.written:
        return KeyRefused(key=key, request=request)
    return KeyWritten(key=key, revision=answer.revision, request=request)


def key_of(command: WriteCommand) -> KeyName:
    match command:
        case TouchMember():
            return "member"
        case TakeInitialize() | ConfirmInitialize() | CancelInitialize():
            return "initialize"
        case WriteConfig():
            return "config"
        case WriteFailover():
            return "failover"
        case WriteSync() | DeleteSync():
            return "sync"
        case WriteHistory():
            return "history"
        case WriteStatus():
            return "status"
        case WriteFailsafe():
            return "failsafe"
        case _:
            assert_never(command)


def request_of(command: WriteCommand) -> str | None:
    if isinstance(command, WriteConfig | WriteFailover):
        return command.request
    return None


def _write(store: Store, command: WriteCommand, view: ClusterView | None) -> KeyAnswer:
    deadline = command.deadline
    match command:
        case TouchMember(member=member, document=document, ttl=ttl):
            return store.touch_member(member, document, ttl, deadline)
        case TakeInitialize(system_identifier=value):
            return store.take_initialize(value, deadline)
        case ConfirmInitialize(system_identifier=value):
            return store.confirm_initialize(value, deadline)
        case CancelInitialize():
            return store.cancel_initialize(deadline)
        case WriteConfig(document=document, if_revision=revision):
            return store.write_config(document, revision, deadline)
        case WriteFailover(if_revision=revision):
            draft = FailoverDraft(
                command.leader, command.candidate, command.scheduled_at
            )
            return store.write_failover(draft, revision, deadline)
        case WriteSync(leader=leader, standbys=standbys, if_revision=revision):
            sync = SyncDraft(leader, standbys, command.quorum)
            return store.write_sync(sync, revision, deadline)
        case DeleteSync(if_revision=revision):
            return store.delete_sync(revision, deadline)
        case WriteHistory(lines=lines):
            return store.write_history(lines, deadline)
        case WriteStatus():
            return _write_status(store, command, view)
        case WriteFailsafe(members=members):
            return store.write_failsafe(members, deadline)
        case _:
            assert_never(command)


def _write_status(
    store: Store, command: WriteStatus, view: ClusterView | None
) -> KeyAnswer:
    if view is not None and view.status == command.status:
        return KeyAnswer(True)
    return store.write_status(command.status, _is_old(view), command.deadline)


def _is_old(view: ClusterView | None) -> bool:
    """Whether some member does not know the `status` key."""
    members = view.members if view else ()
    return any(_number(member.version) < FIRST_WITH_STATUS for member in members)


def _number(version: str | None) -> tuple[int, ...]:
    parts = (version or "").split(".")[:3]
    return tuple(int(part) if part.isdecimal() else 0 for part in parts)
