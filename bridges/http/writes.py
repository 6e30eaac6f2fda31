"""Unsafe requests: from bytes to messages (docs/contracts.md 4.6 to 4.9).

Only the shape is checked here, so that a message can be made; what a request
means, and whether it can be granted, the `rest` actor decides.  Read ROUTES.
"""

import json
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from regnal.bridges.http.bodies import (
    BodyRefused,
    Document,
    parse_object,
)
from regnal.bridges.http.http1 import Request
from regnal.bridges.http.reads import split
from regnal.messages.base import Observation, RequestId
from regnal.messages.requests import (
    AcknowledgementRequested,
    Caller,
    ConfigPatchRequested,
    ConfigReplaceRequested,
    FailsafePosted,
    ReinitializeRequested,
    ReloadRequested,
    RestartCancelRequested,
    RestartRequested,
    SwitchoverCancelRequested,
    SwitchoverRequested,
)

MAXIMUM_TEXT = 1000
"""Characters of a name, an address or a time in a request."""

MAXIMUM_LSN = (1 << 63) - 1


class Refused(Exception):
    """The request has no meaning: answer with this status and text."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class Order(NamedTuple):
    """What the makers below get."""

    request: RequestId
    caller: Caller
    document: Document


def patch_config(order: Order) -> Observation:
    return ConfigPatchRequested(
        request=order.request,
        caller=order.caller,
        document=json.dumps(order.document),
    )


def replace_config(order: Order) -> Observation:
    return ConfigReplaceRequested(
        request=order.request,
        caller=order.caller,
        document=json.dumps(order.document),
    )


def reload(order: Order) -> Observation:
    return ReloadRequested(request=order.request, caller=order.caller)


def switchover(order: Order) -> Observation:
    return _change_of_leader(order, "switchover")


def failover(order: Order) -> Observation:
    return _change_of_leader(order, "failover")


def _change_of_leader(
    order: Order, action: Literal["switchover", "failover"]
) -> Observation:
    document = order.document
    candidate = _text(document, "candidate") or _text(document, "member")
    return SwitchoverRequested(
        request=order.request,
        caller=order.caller,
        action=action,
        leader=_text(document, "leader"),
        candidate=candidate,
        scheduled_at=_text(document, "scheduled_at"),
    )


def cancel_switchover(order: Order) -> Observation:
    return SwitchoverCancelRequested(request=order.request, caller=order.caller)


RESTART_FIELDS = ("schedule", "role", "postgres_version", "timeout", "restart_pending")


def restart(order: Order) -> Observation:
    document = order.document
    unknown = [name for name in document if name not in RESTART_FIELDS]
    return RestartRequested(
        request=order.request,
        caller=order.caller,
        schedule=_verbatim(document, "schedule"),
        role=_verbatim(document, "role"),
        postgres_version=_verbatim(document, "postgres_version"),
        timeout=_verbatim(document, "timeout"),
        restart_pending=_flag(document, "restart_pending"),
        unknown_filter=unknown[0][:MAXIMUM_TEXT] if unknown else None,
    )


def cancel_restart(order: Order) -> Observation:
    return RestartCancelRequested(request=order.request, caller=order.caller)


def reinitialize(order: Order) -> Observation:
    document = order.document
    return ReinitializeRequested(
        request=order.request,
        caller=order.caller,
        force=_flag(document, "force"),
        # The peer's documentation writes a dash, its program an underscore.
        from_leader=_flag(document, "from_leader") or _flag(document, "from-leader"),
    )


def failsafe(order: Order) -> Observation:
    document = order.document
    slots = document.get("slots")
    if slots is None:
        slots = {}
    if not isinstance(slots, dict):
        raise Refused(400, "slots must be an object of integers")
    for name, lsn in slots.items():
        if type(lsn) is not int or not 0 <= lsn <= MAXIMUM_LSN:
            raise Refused(400, f"the position of slot {name[:100]!r} is not an LSN")
    return FailsafePosted(
        request=order.request,
        caller=order.caller,
        name=_required(document, "name"),
        conn_url=_required(document, "conn_url"),
        api_url=_required(document, "api_url"),
        slots=tuple(sorted(slots.items())),
    )


MAXIMUM_ACKNOWLEDGED = 1000
"""Names in one request; no member keeps more incidents."""


def acknowledge(order: Order) -> Observation:
    """`acknowledge`: a list of names, one name, or `all`."""
    document = order.document
    names = document.get("acknowledge")
    if isinstance(names, str) and names:
        names = [names]
    if not isinstance(names, list) or not names:
        raise Refused(400, 'acknowledge must be a list of names, or "all"')
    if len(names) > MAXIMUM_ACKNOWLEDGED:
        raise Refused(400, f"acknowledge has more than {MAXIMUM_ACKNOWLEDGED} names")
    for name in names:
        if not isinstance(name, str) or not 0 < len(name) <= MAXIMUM_TEXT:
            raise Refused(400, "acknowledge: a name is a text")
    return AcknowledgementRequested(
        request=order.request,
        caller=order.caller,
        incidents=None if names == ["all"] else tuple(names),
        comment=_text(document, "comment"),
    )


class Route(NamedTuple):
    make: Callable[[Order], Observation]
    body: Literal["none", "optional", "mandatory"]


ROUTES: Mapping[tuple[str, str], Route] = {
    ("PATCH", "config"): Route(patch_config, "mandatory"),
    ("PUT", "config"): Route(replace_config, "mandatory"),
    ("POST", "reload"): Route(reload, "none"),
    ("POST", "switchover"): Route(switchover, "mandatory"),
    ("POST", "failover"): Route(failover, "mandatory"),
    ("DELETE", "switchover"): Route(cancel_switchover, "none"),
    ("POST", "restart"): Route(restart, "optional"),
    ("DELETE", "restart"): Route(cancel_restart, "none"),
    ("POST", "reinitialize"): Route(reinitialize, "optional"),
    ("POST", "failsafe"): Route(failsafe, "mandatory"),
    ("POST", "incidents"): Route(acknowledge, "mandatory"),
}
"""By method and first segment of the path."""


def route_of(request: Request) -> Route | None:
    """None: there is no such request."""
    return ROUTES.get((request.method, split(request.target)[0]))


def understand(
    route: Route, request: Request, number: RequestId, caller: Caller
) -> Observation:
    """The message that the request asks for.  Raises Refused."""
    document = _body(route, request)
    return route.make(Order(number, caller, document))


def _body(route: Route, request: Request) -> Document:
    if route.body == "none":
        return {}
    if route.body == "mandatory" and "content-length" not in request.headers:
        raise Refused(411, "Content-Length is missing")
    if route.body == "optional" and not request.body.strip():
        return {}
    try:
        document = parse_object(request.body)
    except BodyRefused as error:
        raise Refused(400, f"Bad request: {error}") from error
    if route.body == "mandatory" and not document:
        raise Refused(400, "Bad request: the body is an empty object")
    return document


def _text(document: Document, name: str) -> str | None:
    """Text; null, absent and empty are None."""
    value = document.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Refused(400, f"{name} must be text")
    if len(value) > MAXIMUM_TEXT:
        raise Refused(400, f"{name} is longer than {MAXIMUM_TEXT} characters")
    return value


def _required(document: Document, name: str) -> str:
    value = _text(document, name)
    if value is None:
        raise Refused(400, f"{name} is missing")
    return value


def _verbatim(document: Document, name: str) -> str | None:
    """Text, or another value as JSON: the actor has an answer to each of them."""
    value = document.get(name)
    if value is None or isinstance(value, str):
        return value[:MAXIMUM_TEXT] if value is not None else None
    return json.dumps(value)[:MAXIMUM_TEXT]


def _flag(document: Document, name: str) -> bool:
    value = document.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise Refused(400, f"{name} must be true or false")
    return value
