"""When a new snapshot is published, and what is in it."""

from regnal.actors.rest_cluster import (
    cluster_document,
    config_document,
    failsafe_document,
    history_document,
)
from regnal.actors.rest_document import (
    Shown,
    is_quorum,
    is_running,
    is_synchronous,
    metrics,
    object_of,
    role_of,
    shown,
    state_of,
    status_document,
)
from regnal.actors.rest_state import Documents, Rest
from regnal.messages.base import LSN, Instant, Message
from regnal.messages.frozen import replace
from regnal.messages.settings import Settings
from regnal.messages.status import (
    PublishStatus,
    StatusSnapshot,
    TagText,
    WithdrawPrimary,
)


def publish(
    before: Rest, rest: Rest, now: Instant, *, beat: bool
) -> tuple[Rest, tuple[Message, ...]]:
    """Say what the API shows from now on, if that has changed.

    What only tells that we live (heartbeat, last answer of the store) is news once
    a `beat`.
    """
    settings = rest.settings
    if settings is None or rest is before:
        return rest, ()
    said: list[Message] = []
    if before.serves_writes(now) and not rest.serves_writes(now):
        said.append(WithdrawPrimary())
    look = shown(rest)
    documents = _documents(before, rest, look)
    rest = replace(rest, documents=documents)
    snapshot = _snapshot(rest, settings, look)
    if not _is_news(rest.published, snapshot, beat=beat):
        return rest, tuple(said)
    said.append(PublishStatus(snapshot=snapshot))
    return replace(rest, published=snapshot), tuple(said)


def _is_news(
    published: StatusSnapshot | None, snapshot: StatusSnapshot, *, beat: bool
) -> bool:
    if published is None or published == snapshot:
        return published is None
    if beat:
        return True
    same = {
        "heartbeat_at": published.heartbeat_at,
        "dcs_last_seen": published.dcs_last_seen,
    }
    return published != snapshot.model_copy(update=same)


def _documents(before: Rest, rest: Rest, look: Shown) -> Documents:
    """Only those are made anew whose content has changed."""
    documents = rest.documents
    first = rest.published is None
    settings = rest.settings
    assert settings is not None
    if first or _is_other(shown(before), look):
        documents = replace(
            documents, status=status_document(look), metrics=metrics(look)
        )
    view = rest.view
    if view is None:
        return documents
    if first or before.view is not view or before.settings != settings:
        documents = replace(
            documents,
            cluster=cluster_document(view, settings),
            history=history_document(view),
            failsafe=failsafe_document(view),
            config=config_document(view),
        )
    return documents


def _is_other(before: Shown, after: Shown) -> bool:
    # Most messages change nothing here, and then the parts are the very same
    # objects: to compare them costs nothing.
    return any(
        old is not new and old != new for old, new in zip(before, after, strict=True)
    )


def _snapshot(rest: Rest, settings: Settings, look: Shown) -> StatusSnapshot:
    own = rest.own
    status = own.postgres
    role = role_of(own)
    return StatusSnapshot(
        document=rest.documents.status,
        state=state_of(own),
        role=role,
        name=settings.name,
        scope=settings.scope,
        leader_until=rest.leader_until,
        accepts_writes=rest.accepts_writes,
        is_standby_cluster=settings.is_standby_cluster,
        paused=settings.paused,
        paused_primary=settings.paused and not rest.store_known and rest.accepts_writes,
        store_known=rest.store_known,
        is_running=is_running(own),
        is_replica=role == "replica" and is_running(own),
        noloadbalance=settings.tags.noloadbalance,
        is_synchronous=is_synchronous(look),
        is_quorum=is_quorum(look),
        replication_state=status.replication_state if status is not None else None,
        replayed_lsn=(status.replayed_lsn or 0) if status is not None else 0,
        received_lsn=(status.received_lsn or 0) if status is not None else 0,
        leader_lsn=_leader_lsn(rest),
        maximum_lag_on_failover=settings.maximum_lag_on_failover,
        tags=_tag_texts(settings),
        ttl=settings.ttl,
        heartbeat_at=rest.heartbeat_at,
        loop_wait=settings.loop_wait,
        dcs_last_seen=rest.dcs_last_seen,
        metrics=rest.documents.metrics,
        config=rest.documents.config,
        history=rest.documents.history,
        failsafe=rest.documents.failsafe,
        cluster=rest.documents.cluster,
    )


def _leader_lsn(rest: Rest) -> LSN:
    """P-REST-12: the store's value, or what the upstream last told us."""
    stored = upstream = 0
    if rest.view is not None and rest.view.status is not None:
        stored = rest.view.status.optime
    status = rest.own.postgres
    if status is not None and status.receiver is not None:
        upstream = status.receiver.latest_end_lsn or 0
    return max(stored, upstream)


def _tag_texts(settings: Settings) -> tuple[TagText, ...]:
    """REST-10: what is no text is compared in lower case."""
    tags = object_of(settings.tags.document)
    return tuple(
        TagText(
            name=name, value=value if isinstance(value, str) else str(value).lower()
        )
        for name, value in tags.items()
    )
