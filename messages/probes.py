"""Probes: what other members answer on their REST API."""

from typing import ClassVar, Literal

from regnal.messages.base import (
    LSN,
    Command,
    Instant,
    MemberName,
    Outcome,
    RequestId,
    Seconds,
    Timeline,
    Value,
)


class ProbeTarget(Value):
    name: MemberName
    api_url: str
    within: Seconds | None = None
    """Less than the time for all: this one is thought dead.  None: the time for all."""

    conn_url: str | None = None
    """Its PostgreSQL is asked as well: its daemon may not run, or have started just now
    and know nothing yet.  None: the daemon alone."""


class ProbePeers(Command):
    """Ask all of them at once (`GET <api_url>`); answered by one `PeersProbed`."""

    kind: Literal["probe_peers"] = "probe_peers"
    targets: tuple[ProbeTarget, ...]
    timeout: Seconds
    request: RequestId | None = None
    """On behalf of this request; None: election's own question."""


class PeerStatus(Value):
    """What one member said of itself just now."""

    name: MemberName
    answered: bool
    """False: refused, timed out, or not a status document (`error` says which)."""

    error: str | None = None
    role: str | None = None
    state: str | None = None
    timeline: Timeline | None = None
    position: LSN | None = None
    """`xlog.location`, or the larger of received and replayed."""

    nofailover: bool = False
    failover_priority: int = 1
    watchdog_failed: bool = False
    barred: bool = False
    """Whether it must not lead, after too many crashes (Regnal's own)."""

    takes_writes: bool | None = None
    """By the word of its PostgreSQL.  None: it was not asked, or did not answer."""

    hlc: str | None = None
    """Its hybrid clock when it answered; None: it does not run Regnal."""


class PeersProbed(Outcome):
    kind: Literal["peers_probed"] = "peers_probed"
    version: ClassVar[int] = 3
    peers: tuple[PeerStatus, ...]
    """In the order of the targets."""

    asked_at: Instant
    request: RequestId | None = None
    """Echo of the command's `request`."""


class AskFailsafe(Command):
    """`POST /failsafe` to all of them at once."""

    kind: Literal["ask_failsafe"] = "ask_failsafe"
    targets: tuple[ProbeTarget, ...]
    document: str
    """JSON body: name, conn_url, api_url, slots."""

    timeout: Seconds


class FailsafeVote(Value):
    name: MemberName
    accepted: bool
    error: str | None = None
    lsn: LSN | None = None
    """From the answer's header `lsn`, where the member knows it."""


class FailsafeAnswered(Outcome):
    kind: Literal["failsafe_answered"] = "failsafe_answered"
    votes: tuple[FailsafeVote, ...]
    asked_at: Instant
