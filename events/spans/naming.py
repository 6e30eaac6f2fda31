"""Names of spans and of their attributes: what a query in a trace store may rely on.

Where OpenTelemetry has a convention it is used (https://opentelemetry.io/docs/specs/semconv/);
what is our own begins with `regnal.`.  docs/tracing.md has the same in a table.
"""

from typing import Final, Literal, TypeAlias, get_args

from regnal.events.spans.span import Attribute
from regnal.messages.base import MemberName

RootName = Literal[
    "failover",
    "switchover",
    "failover averted",
    "bootstrap",
    "reinitialize",
    "rebuild",
    "fencing",
    "postgres crash",
    "shutdown",
    "dcs outage",
    "stall",
    "actor failure",
    "restart",
    "promotion",
    "start",
    "step down",
    "follow",
    "suspicion",
    "upkeep",
]
"""What a trace is about, and what its root is called; of two that fit the first."""

QUIET: frozenset[RootName] = frozenset({"suspicion", "upkeep"})
"""What is no incident: told only where somebody wants a share of it."""

PartName: TypeAlias = Literal[
    "hand over", "step down", "rejoin", "follow", "shutdown", "rebuild", "reinitialize"
]
"""What another member than the one that tells the root has to do with it."""

PhaseName = Literal["detect", "elect", "promote", "fencing", "rejoin"]
"""Stretches of an incident on one member.  fencing: within promote."""

ROOTS: tuple[str, ...] = get_args(RootName)
PHASES: tuple[str, ...] = get_args(PhaseName)

# Attributes of a resource.
SERVICE: Final = "service.name"
SERVICE_NAMESPACE: Final = "service.namespace"
SERVICE_INSTANCE: Final = "service.instance.id"

# Attributes of spans.
INCIDENT: Final = "regnal.incident"
FORMER: Final = "regnal.leader.former"
LEADER: Final = "regnal.leader"
REVISION: Final = "regnal.leader.revision"
CHANGE: Final = "regnal.change"
RULE: Final = "regnal.rule"
ACTOR: Final = "regnal.actor"
MESSAGE: Final = "regnal.message.id"
REASON: Final = "regnal.reason.code"
REASON_TEXT: Final = "regnal.reason.text"
OUTCOME: Final = "regnal.outcome"
CANDIDATES: Final = "regnal.election.candidates"
REQUEST: Final = "regnal.request.id"
MODE: Final = "regnal.stop.mode"
ROLE: Final = "regnal.postgres.role"
UPSTREAM: Final = "regnal.upstream"
TIMELINE: Final = "regnal.postgres.timeline"
POSITION: Final = "regnal.postgres.lsn"
DIVERGENCE: Final = "regnal.divergence"
LOST_COMMITS: Final = "regnal.lost.commits"
LOST_WAL: Final = "regnal.lost.wal_bytes"
METHOD: Final = "regnal.clone.method"
SLOT: Final = "regnal.slot"
SYNCHRONOUS: Final = "regnal.synchronous_standby_names"
KEY: Final = "regnal.dcs.key"
UNANSWERED: Final = "regnal.probe.unanswered"
DROPPED: Final = "regnal.spans.dropped"
LINK: Final = "regnal.link"
UNFINISHED: Final = "regnal.unfinished"
DATABASE: Final = "db.system.name"
ERROR: Final = "error.type"
EXIT_CODE: Final = "process.exit.code"
PID: Final = "process.pid"
SIGNAL: Final = "regnal.postgres.signal"
ADDRESS: Final = "server.address"
PORT: Final = "server.port"
STATUS: Final = "http.response.status_code"

SCOPE_NAME: Final = "regnal"
"""Of the instrumentation scope."""


def resource(scope: str, member: MemberName) -> dict[str, Attribute]:
    """Attributes of who tells a span."""
    return {
        SERVICE: "regnal",
        SERVICE_NAMESPACE: scope,
        SERVICE_INSTANCE: member,
    }
