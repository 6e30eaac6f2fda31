"""Answers to requests, and who still waits for one."""

from typing import NamedTuple

from regnal.actors.rest_state import MAXIMUM_PENDING, Pending, Rest
from regnal.actors.step import Fact
from regnal.messages.base import Instant, JsonText, Message, RequestId
from regnal.messages.frozen import replace
from regnal.messages.requests import AnswerHeader, RequestAnswered

JSON = "application/json"


class Moment(NamedTuple):
    """When a message was heard."""

    now: Instant
    wall_us: int
    """Microseconds since 1970, to compare with what a person named."""


class Conclusion(NamedTuple):
    """What a rule made of a request or of what became of it."""

    rest: Rest
    said: tuple[Message, ...] = ()
    facts: dict[str, Fact] | None = None


def answer(
    request: RequestId, status: int, body: str, headers: tuple[AnswerHeader, ...] = ()
) -> RequestAnswered:
    """A one-line answer."""
    return RequestAnswered(request=request, status=status, body=body, headers=headers)


def answer_document(request: RequestId, document: JsonText) -> RequestAnswered:
    return RequestAnswered(
        request=request, status=200, body=document, content_type=JSON
    )


def refuse(rest: Rest, request: RequestId, status: int, body: str) -> Conclusion:
    """The request is answered, and nothing else happens."""
    return Conclusion(
        rest, (answer(request, status, body),), {"status": status, "answer": body}
    )


def wait(rest: Rest, pending: Pending) -> Rest:
    """Remember who waits.  Of very many the oldest is forgotten; the HTTP bridge
    gives it up by itself."""
    return replace(rest, pending=(*rest.pending, pending)[-MAXIMUM_PENDING:])


def change(rest: Rest, pending: Pending) -> Rest:
    """The same request has come further."""
    return replace(
        rest,
        pending=tuple(
            pending if known.request == pending.request else known
            for known in rest.pending
        ),
    )


def finish(rest: Rest, request: RequestId, status: int, body: str) -> Conclusion:
    """Answer who waited, and forget it."""
    return refuse(forget(rest, request), request, status, body)


def forget(rest: Rest, request: RequestId) -> Rest:
    return replace(
        rest,
        pending=tuple(known for known in rest.pending if known.request != request),
    )
