"""Requests as the HTTP bridge says them, and what the `rest` actor made of them."""

from typing import Any, Literal

from regnal.actors.rest import REST
from regnal.actors.rest_state import Rest
from regnal.messages.base import Message
from regnal.messages.cluster import ClusterObserved
from regnal.messages.requests import (
    Caller,
    ConfigPatchRequested,
    ConfigReplaceRequested,
    FailsafePosted,
    ReinitializeRequested,
    ReloadRequested,
    RequestAnswered,
    RestartCancelRequested,
    RestartRequested,
    SwitchoverCancelRequested,
    SwitchoverRequested,
)
from regnal.messages.status import PublishStatus, StatusSnapshot
from tests.actors.builders import (
    Told,
    acquired,
    begun,
    configured,
    member,
    phase,
    primary,
    seen,
    standby,
)

CALLER = Caller(address="10.1.0.99", username="admin", user_agent="curl")
ASKED: dict[str, Any] = {"request": "r1", "caller": CALLER}

CLUSTER = seen(
    member("pg1", role="primary", xlog_location=1000, timeline=1),
    member("pg2", xlog_location=900, receive_lsn=900, replay_lsn=890),
    member("pg3", xlog_location=800, receive_lsn=800, replay_lsn=800),
)


def leader(
    *messages: Message, seen: ClusterObserved = CLUSTER, **fields: Any
) -> Told[Rest]:
    """pg1, a primary that holds the lease until 130; the time is 100."""
    return begun(
        REST, configured(**fields), primary(), phase("primary"), seen, acquired(130.0)
    ).hear(*messages)


def replica(
    *messages: Message, seen: ClusterObserved = CLUSTER, **fields: Any
) -> Told[Rest]:
    """pg2, a replica of pg1; the time is 100."""
    return begun(
        REST,
        configured("pg2", **fields),
        standby(),
        phase("standby"),
        seen,
        name="pg2",
    ).hear(*messages)


def snapshot(told: Told[Rest]) -> StatusSnapshot:
    """What was published last."""
    published = [m for m in told.all_said if isinstance(m, PublishStatus)]
    assert published, "nothing was published"
    return published[-1].snapshot


def answers(told: Told[Rest]) -> list[tuple[int, str]]:
    """What the last step answered."""
    return [(m.status, m.body) for m in told.of(RequestAnswered)]


def switchover(
    leader: str | None = "pg1",
    candidate: str | None = "pg2",
    scheduled_at: str | None = None,
    action: Literal["switchover", "failover"] = "switchover",
) -> SwitchoverRequested:
    return SwitchoverRequested(
        **ASKED,
        action=action,
        leader=leader,
        candidate=candidate,
        scheduled_at=scheduled_at,
    )


def failover(
    candidate: str | None = "pg2",
    leader: str | None = None,
    scheduled_at: str | None = None,
) -> SwitchoverRequested:
    return switchover(leader, candidate, scheduled_at, "failover")


def restart(**fields: Any) -> RestartRequested:
    return RestartRequested(
        **{
            **ASKED,
            "schedule": None,
            "role": None,
            "postgres_version": None,
            "timeout": None,
            "restart_pending": False,
            "unknown_filter": None,
            **fields,
        }
    )


def patch(document: str, request: str = "r1") -> ConfigPatchRequested:
    return ConfigPatchRequested(request=request, caller=CALLER, document=document)


def put(document: str) -> ConfigReplaceRequested:
    return ConfigReplaceRequested(**ASKED, document=document)


def reinitialize(**fields: Any) -> ReinitializeRequested:
    return ReinitializeRequested(
        **{**ASKED, "force": False, "from_leader": False, **fields}
    )


CANCEL_SWITCHOVER = SwitchoverCancelRequested(**ASKED)
CANCEL_RESTART = RestartCancelRequested(**ASKED)
RELOAD = ReloadRequested(**ASKED)
FAILSAFE = FailsafePosted(
    **ASKED,
    name="pg1",
    conn_url="postgres://pg1:5432/postgres",
    api_url="http://pg1:8008/patroni",
    slots=(("pg2", 900),),
)
