"""How public events lie in NATS: names (docs/events.md)."""

from regnal.events.base import TYPE_PREFIX
from regnal.events.cloud import CloudEvent
from regnal.journal.stream_layout import token

STREAM = "REGNAL_EVENTS"

PREFIX = "regnal.events"


def subject_of(prefix: str, scope: str, event: CloudEvent) -> str:
    """`regnal.events.SCOPE.MEMBER.leader.elected`, MEMBER whom it is about."""
    return f"{prefix}.{token(scope)}.{token(event.subject)}.{name_of(event.type)}"


def subjects_of(prefix: str, scope: str | None) -> str:
    """What all events of the cluster match; None: of every cluster."""
    return f"{prefix}.{'*' if scope is None else token(scope)}.>"


def message_id(event: CloudEvent) -> str:
    """The same for the same event, whoever publishes it: `Nats-Msg-Id`."""
    return token(event.key)


def name_of(kind: str) -> str:
    """`leader.elected` of the type `regnal.leader.elected.v1`."""
    return kind.removeprefix(TYPE_PREFIX).rpartition(".v")[0]
