"""What election (and a request) wants of PostgreSQL, and how far it is.

Said by `election` and `rest`, carried out by `postgres_supervisor`, which turns
an intent into commands to the operator in the right order.
"""

from typing import Literal

from regnal.messages.base import Decision, Instant, RequestId, Seconds
from regnal.messages.postgres import ControlData, Upstream
from regnal.messages.reasons import Reason

Phase = Literal[
    "unknown",
    "absent",
    "stopped",
    "starting",
    "primary",
    "standby",
    "promoting",
    "checkpointing",
    "stopping",
    "restarting",
    "following",
    "checking",
    "recovering",
    "rewinding",
    "removing",
    "cloning",
    "bootstrapping",
]
"""State of the supervisor's state machine.  absent: there is no usable data
directory.  The settled ones are absent, stopped, primary and standby; in every
other a command is under way."""


class BecomePrimary(Decision):
    """Promote the standby."""

    kind: Literal["become_primary"] = "become_primary"
    not_after: Instant | None = None
    """See `PromotePostgres`."""

    reason: Reason


class FollowLeader(Decision):
    """Be a standby of `upstream`: check divergence, rewind or clone if needed."""

    kind: Literal["follow_leader"] = "follow_leader"
    upstream: Upstream | None
    """None: no leader is known; run as a standby that follows nobody."""

    check_divergence: bool
    """Whether our history may differ from the upstream's (a former primary, a
    changed timeline, a failed start)."""

    reason: Reason


class DemotePostgres(Decision):
    """Stop accepting writes."""

    kind: Literal["demote_postgres"] = "demote_postgres"
    mode: Literal["graceful", "immediate", "offline"]
    """graceful: checkpoint, fast stop, hand over.  immediate: stop without
    ceremony, the lease may end.  offline: immediate, the store is unreachable."""

    reason: Reason


class BootstrapCluster(Decision):
    """Create a new cluster: we hold the empty initialize key."""

    kind: Literal["bootstrap_cluster"] = "bootstrap_cluster"
    reason: Reason


class CloneMember(Decision):
    """Create this member from another."""

    kind: Literal["clone_member"] = "clone_member"
    source: Upstream | None
    upstream: Upstream | None
    """Whom to follow afterwards."""

    reason: Reason


class StartAsPrimary(Decision):
    """Start the stopped primary again: we hold the lease and crashed or restarted."""

    kind: Literal["start_as_primary"] = "start_as_primary"
    not_after: Instant | None = None
    """See `StartPostgres`."""

    timeout: Seconds
    reason: Reason


class StopForShutdown(Decision):
    """The daemon ends: stop PostgreSQL."""

    kind: Literal["stop_for_shutdown"] = "stop_for_shutdown"
    reason: Reason


class RestartInPlace(Decision):
    """Restart with the role unchanged."""

    kind: Literal["restart_in_place"] = "restart_in_place"
    timeout: Seconds
    request: RequestId | None
    reason: Reason


class ReinitializeMember(Decision):
    """Stop, remove the data directory and clone anew."""

    kind: Literal["reinitialize_member"] = "reinitialize_member"
    source: Upstream
    force: bool
    request: RequestId | None
    reason: Reason


Intent = (
    BecomePrimary
    | FollowLeader
    | DemotePostgres
    | BootstrapCluster
    | CloneMember
    | StartAsPrimary
    | StopForShutdown
    | RestartInPlace
    | ReinitializeMember
)


class PhaseChanged(Decision):
    """The supervisor's state machine took a transition."""

    kind: Literal["phase_changed"] = "phase_changed"
    phase: Phase
    previous: Phase
    state: str
    """The published state of docs/contracts.md 1.1."""

    intent: str | None
    """`kind` of the intent being carried out; None: none."""

    control: ControlData | None = None
    """What pg_controldata said, where PostgreSQL is stopped."""


class IntentFulfilled(Decision):
    """What was wanted is so."""

    kind: Literal["intent_fulfilled"] = "intent_fulfilled"
    intent: str
    request: RequestId | None = None


class IntentFailed(Decision):
    """What was wanted could not be done; nothing more is tried for it."""

    kind: Literal["intent_failed"] = "intent_failed"
    intent: str
    reason: Reason
    request: RequestId | None = None


class IntentRefused(Decision):
    """A stronger intent is being carried out."""

    kind: Literal["intent_refused"] = "intent_refused"
    intent: str
    reason: Reason
    request: RequestId | None = None


SupervisorDecision = PhaseChanged | IntentFulfilled | IntentFailed | IntentRefused
