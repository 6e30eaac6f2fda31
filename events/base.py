"""What every public event has in common; docs/events.md has the promises.

An event is about something that a subscriber may act on.  Its name and its shape are
promises, unlike those of the messages: fields are only ever added to a version, and
values of a text that has a list of known ones may get more.
"""

from typing import ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict

from regnal.messages.base import MemberName

EventName: TypeAlias = str
"""Such as `leader.elected`; the type of the CloudEvent has a prefix and the version."""

TYPE_PREFIX = "regnal."


class Event(BaseModel):
    """The data of an event.

    Reading passes over what it does not know: that is how an old subscriber reads what
    a newer member says.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        defer_build=True,
        use_attribute_docstrings=True,
        ser_json_inf_nan="strings",
    )

    name: ClassVar[EventName]

    version: ClassVar[int] = 1
    """Of the shape; another shape that old readers could not read gets the next, and is
    then an event of its own, told beside the old one."""

    of_cluster: ClassVar[bool] = False
    """Whether every member that saw it tells the same event under the same id, so that it
    is told even if some of them cannot."""

    def concerned(self) -> MemberName | None:
        """Whom it is about; None: the member that tells it, or nobody in particular."""
        return None


def type_of(word: type[Event]) -> str:
    """`regnal.leader.elected.v1`: the type of its CloudEvents."""
    return f"{TYPE_PREFIX}{word.name}.v{word.version}"


def schema_urn(word: type[Event]) -> str:
    """Names the schema in docs/asyncapi.json."""
    return f"urn:regnal:event:{word.name}:{word.version}"
