"""Safe requests: answered from the last snapshot, whatever else is stuck.

`Served` is that snapshot with its responses made ready; a new one replaces the
old by one assignment, so that readers need no lock.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from regnal.bridges.http import health
from regnal.bridges.http.health import Moment, Question
from regnal.bridges.http.metrics import labels_of, measured
from regnal.bridges.http.responses import (
    JSON,
    TEXT,
    Format,
    Rendered,
    Response,
    status_line,
    text,
)
from regnal.bridges.metric import Measured, exposition
from regnal.messages.base import Instant, JsonText, MemberName
from regnal.messages.status import StatusSnapshot

HEARTBEATS = {"liveness": health.is_alive, "readiness": health.is_ready}
"""Checks that answer with the status line alone, even to GET."""

NO_INCIDENTS: JsonText = "[]"
"""As long as the incidents actor has said nothing."""

START_WITHIN = 30.0
"""Seconds (half of what a replica is given) in which a started daemon must have
told the REST API something, or it counts as stuck."""


@dataclass(frozen=True, slots=True)
class Served:
    """A snapshot, and the responses that do not depend on the moment."""

    snapshot: StatusSnapshot
    withdrawn: bool
    passed: Rendered
    """A health check's 200."""

    failed: Rendered
    """A health check's 503."""

    documents: dict[str, Rendered]
    """By the first segment of the path."""

    incidents: "ServedIncidents"


@dataclass(frozen=True, slots=True)
class ServedIncidents:
    """`GET /incidents`, and with `?open` those that nobody has acknowledged."""

    document: JsonText
    all: Rendered
    open: Rendered


def serve_incidents(document: JsonText, form: Format) -> ServedIncidents:
    to_look_at = json.dumps([one for one in json.loads(document) if one["open"]])
    return ServedIncidents(
        document=document,
        all=form.render(Response(200, document.encode(), JSON)),
        open=form.render(Response(200, to_look_at.encode(), JSON)),
    )


def serve(
    snapshot: StatusSnapshot,
    form: Format,
    incidents: ServedIncidents,
    *,
    withdrawn: bool = False,
) -> Served:
    status = json.loads(snapshot.document)
    status["dcs_last_seen"] = snapshot.dcs_last_seen
    body = json.dumps(status).encode()
    passed = form.render(Response(200, body, JSON))
    documents = {
        "patroni": passed,
        "cluster": _document(form, snapshot.cluster),
        "history": _document(form, snapshot.history),
        "config": _document(form, snapshot.config, "There is no config key"),
        "failsafe": _document(form, snapshot.failsafe, "There is no failsafe key"),
        "metrics": form.render(metrics(snapshot)),
    }
    return Served(
        snapshot=snapshot,
        withdrawn=withdrawn,
        passed=passed,
        failed=form.render(Response(503, body, JSON)),
        documents=documents,
        incidents=incidents,
    )


def metrics(snapshot: StatusSnapshot, more: Sequence[Measured] = ()) -> Response:
    """In Prometheus' text format."""
    whole = exposition(labels_of(snapshot), [*measured(snapshot), *more])
    return Response(200, whole.encode(), TEXT)


def _document(form: Format, body: str | None, otherwise: str = "") -> Rendered:
    if body is None:
        return form.render(text(502, otherwise))
    return form.render(Response(200, body.encode(), JSON))


def read(
    served: Served, target: str, now: float, *, brief: bool
) -> Rendered | Response | bytes:
    """The answer to GET, or with `brief` to HEAD and OPTIONS: a status line."""
    name, query = split(target)
    if name in served.documents:
        document = served.documents[name]
        return status_line(document.status) if brief else document
    if name == "incidents":
        return _read_incidents(served.incidents, query, brief=brief)
    question = health.NO_PARAMETERS
    if query:
        try:
            question = health.parse_question(query)
        except ValueError as error:
            return text(400, f"Bad parameters: {error}")
    if name in HEARTBEATS:
        moment = Moment(served.snapshot, served.withdrawn, now, question)
        return status_line(200 if HEARTBEATS[name](moment) else 503)
    passed = check(served, name, now, question)
    if brief:
        return status_line(200 if passed else 503)
    return served.passed if passed else served.failed


def _read_incidents(
    incidents: ServedIncidents, query: str, *, brief: bool
) -> Rendered | Response | bytes:
    answers = {"": incidents.all, "open": incidents.open}
    answer = answers.get(query)
    if answer is None:
        return text(400, f"Bad parameters: {query[:100]!r}; only `open` is known")
    return status_line(answer.status) if brief else answer


def check(
    served: Served, name: str, now: float, question: Question = health.NO_PARAMETERS
) -> bool:
    return health.passes(name, Moment(served.snapshot, served.withdrawn, now, question))


def split(target: str) -> tuple[str, str]:
    """The first segment of the path, and the query."""
    if not target.startswith("/"):
        # The form that a proxy gets: http://host/path.
        _, _, rest = target.partition("://")
        target = "/" + rest.partition("/")[2]
    path, _, query = target.partition("?")
    return path.split("/", 2)[1], query


def nothing_known(
    name: MemberName, scope: str, version: str, now: Instant
) -> StatusSnapshot:
    """What is served until the first snapshot comes: no check passes, but that the
    daemon is alive, for as long as a start may take."""
    status = {
        "state": "starting",
        "role": "uninitialized",
        "cluster_unlocked": True,
        "patroni": {"version": version, "scope": scope, "name": name},
    }
    return StatusSnapshot(
        document=json.dumps(status),
        state="starting",
        role="uninitialized",
        name=name,
        scope=scope,
        leader_until=0,
        accepts_writes=False,
        is_standby_cluster=False,
        paused=False,
        paused_primary=False,
        store_known=False,
        is_running=False,
        is_replica=False,
        noloadbalance=False,
        is_synchronous=False,
        is_quorum=False,
        replication_state=None,
        replayed_lsn=0,
        received_lsn=0,
        leader_lsn=0,
        maximum_lag_on_failover=0,
        tags=(),
        ttl=START_WITHIN,
        heartbeat_at=now,
        loop_wait=0,
        dcs_last_seen=0,
        metrics='{"patroni_cluster_unlocked": 1, "patroni_postgres_state": 6}',
        config=None,
        history="[]",
        failsafe=None,
        cluster=json.dumps({"members": [], "scope": scope}),
    )
