"""Requests for another leader, and what became of them."""

from regnal.events.memory import Memory, Request
from regnal.events.requests import (
    SwitchoverCancelled,
    SwitchoverFailed,
    SwitchoverRefused,
    SwitchoverRequested,
    SwitchoverScheduled,
)
from regnal.events.told import Told
from regnal.messages.base import Message
from regnal.messages.requests import (
    Caller,
    RequestAnswered,
    RequestRejected,
    SwitchoverCancelRequested,
)
from regnal.messages.requests import SwitchoverRequested as Requested

REQUESTS: tuple[type[Message], ...] = (
    Requested,
    SwitchoverCancelRequested,
    RequestAnswered,
    RequestRejected,
)

_PATHS = ("/switchover", "/failover")


def requests_told(memory: Memory, message: Message) -> tuple[Memory, list[Told]] | None:
    """None: the message is something else."""
    match message:
        case Requested():
            known = Request(request=message.request, scheduled_at=message.scheduled_at)
            return memory.with_request(known), [Told(_requested(message))]
        case SwitchoverCancelRequested(request=request, caller=caller):
            known = Request(request=request, scheduled_at=None, cancels=_who(caller))
            return memory.with_request(known), []
        case RequestAnswered():
            return _answered(memory, message)
        case RequestRejected(path=path, status=status, why=why):
            if not path.startswith(_PATHS):
                return memory, []
            return memory, [Told(SwitchoverRefused(status=status, reason=why))]
        case _:
            return None


def _requested(asked: Requested) -> SwitchoverRequested:
    return SwitchoverRequested(
        request=asked.request,
        action="switchover" if asked.leader is not None else asked.action,
        leader=asked.leader,
        candidate=asked.candidate,
        scheduled_at=asked.scheduled_at,
        by=_who(asked.caller),
    )


def _answered(memory: Memory, answered: RequestAnswered) -> tuple[Memory, list[Told]]:
    known = memory.request_called(answered.request)
    if known is None:
        return memory, []
    memory = memory.without_request(answered.request)
    request, status, body = answered.request, answered.status, answered.body
    if known.cancels is not None:
        if status != 200:
            return memory, []
        return memory, [Told(SwitchoverCancelled(by=known.cancels))]
    if status == 202:
        at = known.scheduled_at
        return memory, [Told(SwitchoverScheduled(request=request, scheduled_at=at))]
    if status < 400:
        return memory, []  # the new leader tells
    outcome = SwitchoverRefused if status < 500 else SwitchoverFailed
    return memory, [Told(outcome(request=request, status=status, reason=body))]


def _who(caller: Caller) -> str:
    return caller.username or caller.address
