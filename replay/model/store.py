"""The store of the model: linearizable keys, of which one is a lease."""

import json

from regnal.messages.base import Command, MemberName, Message
from regnal.messages.cluster import (
    ClusterView,
    FailoverRequest,
    KeyName,
    KeyRefused,
    KeyUnconfirmed,
    KeyWritten,
    LeaderStatus,
    LeaderView,
    MemberView,
    SyncState,
    Tags,
)
from regnal.messages.lease import (
    AcquireLeader,
    HandOverLeader,
    LeaderAcquired,
    LeaderHandedOver,
    LeaderReleased,
    LeaderRenewed,
    LeaseAction,
    LeaseRefused,
    LeaseUnconfirmed,
    ReleaseLeader,
    RenewLeader,
    WithdrawHandOver,
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
from regnal.replay.model.state import Lock, MemberKey, Store
from regnal.replay.model.values import NOW, Tokens

LEASE_ACTIONS: dict[type[Command], LeaseAction] = {
    AcquireLeader: "acquire",
    RenewLeader: "renew",
    ReleaseLeader: "release",
    HandOverLeader: "hand_over",
    WithdrawHandOver: "withdraw",
}
KEYS: dict[type[Command], KeyName] = {
    TakeInitialize: "initialize",
    ConfirmInitialize: "initialize",
    CancelInitialize: "initialize",
    WriteSync: "sync",
    DeleteSync: "sync",
    WriteFailover: "failover",
    TouchMember: "member",
    WriteConfig: "config",
    WriteHistory: "history",
    WriteStatus: "status",
    WriteFailsafe: "failsafe",
}
AT_ONCE: tuple[type[Command], ...] = (
    TouchMember,
    WriteConfig,
    WriteHistory,
    WriteStatus,
    WriteFailsafe,
    TakeInitialize,
    ConfirmInitialize,
    CancelInitialize,
)
"""Commands on keys by which nobody is promoted: they take effect and are answered as
soon as they are first in their queue, without other things in between."""

SHOWN = (
    "replication_state",
    "timeline",
    "checkpoint_after_promote",
    "hlc",
    "barred",
)
"""Of a member's document; positions are left out, since no rule compares them."""


def session_ended(store: Store, me: MemberName) -> Store:
    """The next session of this member binds the leader key anew before it lets go of it."""
    if store.lock is None or store.lock.owner != me:
        return store
    return store._replace(lock=store.lock._replace(bound=False))


def lease_command(
    store: Store, me: MemberName, command: Command, age: int, *, is_current: bool = True
) -> tuple[Store, Message]:
    """The store carries out a command on the leader key; `is_current`: of the session
    that the member has now."""
    lock = store.lock
    is_ours = lock is not None and (lock.owner, lock.bound) == (me, is_current)
    action = LEASE_ACTIONS[type(command)]
    refused = LeaseRefused(action=action, holder=lock.name if lock else None)
    match command:
        case AcquireLeader(ttl=ttl):
            if lock is not None and lock.name != me:
                return store, refused
            taken = store._replace(lock=Lock(me, me, int(ttl)))
            return taken, LeaderAcquired(member=me, valid_until=NOW - age + ttl)
        case RenewLeader(ttl=ttl):
            if lock is None or lock.name != me:
                return store, refused
            kept = store._replace(lock=Lock(me, me, int(ttl)))
            return kept, LeaderRenewed(member=me, valid_until=NOW - age + ttl)
        case ReleaseLeader(last_lsn=lsn):
            if lock is not None and lock.name == me and is_ours:
                store = store._replace(lock=None, optime=lsn or store.optime)
            return store, LeaderReleased(member=me)
        case HandOverLeader(to=to, last_lsn=lsn, ttl=ttl):
            if lock is None or lock.name != me or not is_ours:
                return store, refused
            handed = store._replace(lock=Lock(to, me, int(ttl)), optime=lsn)
            return handed, LeaderHandedOver(to=to)
        case WithdrawHandOver(to=to):
            if lock is None or lock.name != to or not is_ours:
                return store, refused
            return store._replace(lock=None), LeaderReleased(member=me)
    raise AssertionError(command)


def unconfirmed(command: Command) -> Message:
    """Nobody knows what became of it."""
    action = LEASE_ACTIONS.get(type(command))
    if action is not None:
        return LeaseUnconfirmed(action=action, error="no answer")
    return KeyUnconfirmed(key=KEYS[type(command)], error="no answer")


def key_command(
    store: Store, command: Command, tokens: Tokens
) -> tuple[Store, Message]:
    """The store carries out a command on another key."""
    key = KEYS[type(command)]
    changed = _changed(store, command, tokens)
    if changed is None:
        return store, KeyRefused(key=key)
    revision = changed.revision if key in ("sync", "failover") else None
    return changed, KeyWritten(key=key, revision=revision)


def _changed(store: Store, command: Command, tokens: Tokens) -> Store | None:
    """None: the compare-and-set failed."""
    revision = store.revision + 1
    match command:
        case TouchMember(member=name, document=document, ttl=ttl):
            key = MemberKey(name, tokens.of(member_view(name, document)), int(ttl))
            others = (other for other in store.members if other.name != name)
            return store._replace(members=tuple(sorted((*others, key))))
        case TakeInitialize(system_identifier=identifier):
            if store.initialize is not None:
                return None
            return store._replace(initialize=identifier)
        case ConfirmInitialize(system_identifier=identifier):
            return store._replace(initialize=identifier)
        case CancelInitialize():
            return store._replace(initialize=None)
        case WriteConfig(document=document, if_revision=wanted):
            if wanted == "absent" and store.config is not None:
                return None
            return store._replace(config=document)
        case WriteHistory(lines=lines):
            return store._replace(history=tokens.of(lines))
        case WriteStatus(status=status):
            return store._replace(optime=status.optime)
        case WriteFailsafe():
            return store
        case WriteFailover(if_revision=wanted):
            found = store.failover.value.revision if store.failover else None
            if wanted != found:
                return None
            return _with_failover(store, command, revision, tokens)
        case WriteSync(if_revision=wanted) | DeleteSync(if_revision=wanted):
            found = store.sync.value.revision if store.sync else None
            if wanted != found:
                return None
            return _with_sync(store, command, revision, tokens)
    raise AssertionError(command)


def _with_failover(
    store: Store, command: WriteFailover, revision: int, tokens: Tokens
) -> Store:
    if command.leader is None and command.candidate is None:
        return store._replace(failover=None)
    request = FailoverRequest(
        leader=command.leader,
        candidate=command.candidate,
        scheduled_at=None,
        revision=revision,
    )
    return store._replace(failover=tokens.of(request), revision=revision)


def _with_sync(
    store: Store, command: WriteSync | DeleteSync, revision: int, tokens: Tokens
) -> Store:
    if isinstance(command, DeleteSync):
        return store._replace(sync=None, revision=revision)
    sync = SyncState(
        leader=command.leader,
        standbys=command.standbys,
        quorum=command.quorum,
        revision=revision,
    )
    return store._replace(sync=tokens.of(sync), revision=revision)


def view_of(store: Store) -> ClusterView:
    """All keys, as a watcher sees them."""
    lock = store.lock
    return ClusterView(
        initialize=store.initialize,
        leader=LeaderView(name=lock.name, revision=0, session=lock.owner)
        if lock
        else None,
        members=tuple(key.view.value for key in store.members),
        config=store.config,
        config_revision=0 if store.config is not None else None,
        failover=store.failover.value if store.failover else None,
        sync=store.sync.value if store.sync else None,
        history=store.history.value if store.history else None,
        status=None if store.optime is None else LeaderStatus(optime=store.optime),
        failsafe=None,
    )


def member_view(name: MemberName, document: str) -> MemberView:
    """A member key's value, as a watcher sees it."""
    value = json.loads(document)
    tags = value.get("tags", {})
    return MemberView(
        name=name,
        conn_url=value.get("conn_url"),
        api_url=value.get("api_url"),
        state=value.get("state", ""),
        role=value.get("role", ""),
        version=value.get("version"),
        tags=Tags(
            **{key: tag for key, tag in tags.items() if key in Tags.model_fields},
            document=json.dumps(tags),
        ),
        **{field: value[field] for field in SHOWN if field in value},
    )
