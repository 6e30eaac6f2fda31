"""Requests from outside, through the REST API, and their answers.

The HTTP bridge checks access and shape, says one of these, and waits for the
`RequestAnswered` with the same `request`.
"""

from typing import Literal

from regnal.messages.base import (
    LSN,
    Command,
    Decision,
    JsonText,
    MemberName,
    Observation,
    RequestId,
    Value,
)


class Caller(Value):
    """Who asked."""

    address: str
    username: str | None
    """Of basic authentication; None: none."""

    user_agent: str | None


class SwitchoverRequested(Observation):
    """`POST /switchover` or `/failover`; fields as sent, types checked."""

    kind: Literal["switchover_requested"] = "switchover_requested"
    request: RequestId
    caller: Caller
    action: Literal["switchover", "failover"]
    leader: MemberName | None
    candidate: MemberName | None
    scheduled_at: str | None


class SwitchoverCancelRequested(Observation):
    """`DELETE /switchover`."""

    kind: Literal["switchover_cancel_requested"] = "switchover_cancel_requested"
    request: RequestId
    caller: Caller


class RestartRequested(Observation):
    """`POST /restart`."""

    kind: Literal["restart_requested"] = "restart_requested"
    request: RequestId
    caller: Caller
    schedule: str | None
    role: str | None
    postgres_version: str | None
    timeout: str | None
    restart_pending: bool
    unknown_filter: str | None
    """First field that is none of the above."""


class RestartCancelRequested(Observation):
    """`DELETE /restart`."""

    kind: Literal["restart_cancel_requested"] = "restart_cancel_requested"
    request: RequestId
    caller: Caller


class ReloadRequested(Observation):
    """`POST /reload`."""

    kind: Literal["reload_requested"] = "reload_requested"
    request: RequestId
    caller: Caller


class ReinitializeRequested(Observation):
    """`POST /reinitialize`."""

    kind: Literal["reinitialize_requested"] = "reinitialize_requested"
    request: RequestId
    caller: Caller
    force: bool
    from_leader: bool


class ConfigPatchRequested(Observation):
    """`PATCH /config`; `document` is a JSON object."""

    kind: Literal["config_patch_requested"] = "config_patch_requested"
    request: RequestId
    caller: Caller
    document: JsonText


class ConfigReplaceRequested(Observation):
    """`PUT /config`; `document` is a JSON object."""

    kind: Literal["config_replace_requested"] = "config_replace_requested"
    request: RequestId
    caller: Caller
    document: JsonText


class FailsafePosted(Observation):
    """`POST /failsafe` from the primary."""

    kind: Literal["failsafe_posted"] = "failsafe_posted"
    request: RequestId
    caller: Caller
    name: MemberName
    conn_url: str
    api_url: str
    slots: tuple[tuple[str, LSN], ...]


class AcknowledgementRequested(Observation):
    """`POST /incidents`: a person has seen them."""

    kind: Literal["acknowledgement_requested"] = "acknowledgement_requested"
    request: RequestId
    caller: Caller
    incidents: tuple[str, ...] | None
    """Their names; None: all that are open."""

    comment: str | None


class RequestRejected(Observation):
    """A request that the HTTP bridge turned down itself: access or shape."""

    kind: Literal["request_rejected"] = "request_rejected"
    caller: Caller
    method: str
    path: str
    status: int
    why: str


class AnswerHeader(Value):
    name: str
    value: str


class RequestAnswered(Command):
    """Answer the request; later answers to the same request are dropped."""

    kind: Literal["request_answered"] = "request_answered"
    request: RequestId
    status: int
    body: str
    content_type: str = "text/html"
    headers: tuple[AnswerHeader, ...] = ()


class ReinitializeWanted(Decision):
    """A valid reinitialise request, for election to act on."""

    kind: Literal["reinitialize_wanted"] = "reinitialize_wanted"
    request: RequestId
    force: bool
    from_leader: bool


class RestartWanted(Decision):
    """A valid, due restart request, for election to act on."""

    kind: Literal["restart_wanted"] = "restart_wanted"
    request: RequestId | None
    """None: it had been scheduled; nobody waits."""

    timeout: float | None
    """Seconds; None: primary_start_timeout."""


class ScheduledRestartChanged(Decision):
    """This member's scheduled restart is another from now on (it is published in
    the member key)."""

    kind: Literal["scheduled_restart_changed"] = "scheduled_restart_changed"
    document: JsonText | None
    """`scheduled_restart` of docs/contracts.md 2.1; None: none is scheduled."""
