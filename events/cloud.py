"""The envelope of an event: CloudEvents 1.0, in JSON.

Two events with the same `source` and `id` are the same event: who receives it a second
time, from whichever member, may pass it over.
"""

from typing import Any, Literal, NamedTuple
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict
from pydantic_core import to_json

from regnal.events.base import Event, schema_urn, type_of
from regnal.events.tracing import TraceName, root_id, trace_id, traceparent
from regnal.messages.base import MemberName, WallTime

SPECVERSION: Literal["1.0"] = "1.0"

CONTENT_TYPE = "application/cloudevents+json"


class CloudEvent(BaseModel):
    """As it travels; `data` as JSON has it.  Reading keeps attributes that it does not
    know, for whoever passes the event on."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    specversion: Literal["1.0"] = SPECVERSION
    id: str
    source: str
    """`/regnal/SCOPE` where every member tells the same, `/regnal/SCOPE/MEMBER` where one
    does."""

    type: str
    """`regnal.NAME.vVERSION`."""

    time: WallTime
    """When it was said, by the clock of the member that tells it."""

    subject: str
    """The member that it is about."""

    datacontenttype: str = "application/json"
    dataschema: str
    traceparent: str
    """All that belongs to one incident has the same, and its root for a parent."""

    reporter: str
    """The member that tells it."""

    journalid: str
    """The message in that member's journal that it was made of."""

    data: dict[str, Any]

    @property
    def key(self) -> str:
        """Tells whether two events are the same one."""
        return f"{self.source}#{self.id}"

    def json_bytes(self) -> bytes:
        return to_json(self, inf_nan_mode="strings")


class Reporter(NamedTuple):
    """The member that tells."""

    scope: str
    member: MemberName


class Said(NamedTuple):
    """Where in the journal it was said."""

    journal_id: str
    time: WallTime


def cloud_event(
    event: Event, identity: str, reporter: Reporter, said: Said, trace: TraceName
) -> CloudEvent:
    """`identity` tells it from all others of its source."""
    scope, member = reporter
    word = type(event)
    source = f"/regnal/{quote(scope, safe='')}"
    if not word.of_cluster:
        source += f"/{quote(member, safe='')}"
    ident = f"{word.name}/{identity}"
    return CloudEvent(
        id=ident,
        source=source,
        type=type_of(word),
        time=said.time,
        subject=event.concerned() or member,
        dataschema=schema_urn(word),
        traceparent=traceparent(trace_id(scope, trace), root_id(scope, trace)),
        reporter=member,
        journalid=said.journal_id,
        data=event.model_dump(mode="json"),
    )
