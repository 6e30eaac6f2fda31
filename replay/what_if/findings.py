"""Findings: what came of a what-if, as values; the JSON is made of these classes.

Moments are seconds since 1970 on the time line that all members share.
"""

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from regnal.messages.base import MemberName

WHAT_IF_FORMAT = 1
"""Of the JSON; a field may be added without another number."""

Moment = float


class Finding(BaseModel):
    """A frozen part of the answer."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")


class Word(Finding):
    """A message that a step says."""

    kind: str
    data: dict[str, Any]


class Side(Finding):
    """What an actor concluded."""

    rule: str | None
    facts: dict[str, Any]
    said: tuple[Word, ...]
    """What bears on what happens next."""

    besides: tuple[str, ...]
    """Kinds of what else it says: timers, looks, what is shown to others."""


class Difference(Finding):
    """A decision that is another one now."""

    member: MemberName
    actor: str
    moment: Moment
    offset: float
    """To be added to an instant in the facts or words, to have a moment."""

    heard: str
    """Kind of the message that it answers."""

    record: int | None
    """Of that message in the member's journal; None: it is not there, for only now it
    comes."""

    then: Side | None
    """None: nothing was decided then: the actor heard nothing of the kind."""

    now: Side | None
    """None: nothing is decided now."""

    is_minor: bool
    """Whether it is beside the point: it orders nothing that bears on who may write, and
    judges nobody."""

    repeats: int = 0
    """How many more steps of the actor differ in the same way."""

    then_at: Moment | None = None
    """When the same rule said the same in the recording; None: it did not."""


class Assumed(Finding):
    """An answer that nobody recorded, and that was taken for granted."""

    member: MemberName
    moment: Moment
    command: str
    """Its kind."""

    text: str
    count: int = 1


class End(Finding):
    """Where a member's recording ends to be evidence."""

    member: MemberName
    moment: Moment
    record: int | None
    """The last record of its journal that still counts; None: not known."""

    why: Literal[
        "acts", "does_not_act", "acts_otherwise", "hears_of_it", "is_down", "recording"
    ]
    command: str | None
    """Kind of the command whose answer is not recorded; None: it is another's."""

    text: str


class Echo(Finding):
    """What merely repeats the change: other numbers, the same decision."""

    member: MemberName
    actor: str
    name: str
    """`fact NAME`, or the kind of a message."""

    count: int


class Consequence(Finding):
    """What follows."""

    certainty: Literal["shown", "inferred"]
    """shown: by recorded inputs and the rules alone.  inferred: by arithmetic, or by how
    the store works, from what was recorded."""

    member: MemberName | None
    moment: Moment | None
    text: str


class MemberAnswer(Finding):
    """What became of one member."""

    member: MemberName
    settings: dict[str, tuple[Any, Any]]
    """By name: what it was, what it is."""

    steps: int
    """That were compared."""

    differences: tuple[Difference, ...]
    end: End


class Trouble(Finding):
    code: str
    text: str


class Fallen(Finding):
    """A member that is down."""

    member: MemberName
    since: Moment


class Answer(Finding):
    """All of it."""

    question: Literal["what_if"] = "what_if"
    format: int = WHAT_IF_FORMAT
    changes: tuple[str, ...]
    downs: tuple[Fallen, ...]
    since: Moment | None
    """From when on the changes hold; None: from the beginning of the recording."""

    until: Moment | None
    incident: str | None
    verdict: Literal["same", "differs", "unchanged"]
    """same: lesser steps may differ.  unchanged: the changes change nothing that anybody
    decides by."""

    first: Difference | None
    """The first that is not minor; None: there is none."""

    end: End | None
    """Where the recording ends to be evidence, of the member where that is first."""

    consequences: tuple[Consequence, ...]
    members: tuple[MemberAnswer, ...]
    assumed: tuple[Assumed, ...]
    echoes: tuple[Echo, ...]
    warnings: tuple[str, ...]
    troubles: tuple[Trouble, ...]


class CodeDifference(Finding):
    """The first step of a member that another version of the program takes otherwise."""

    member: MemberName
    actor: str
    record: int
    moment: Moment
    heard: str
    here: dict[str, Any] | None
    """`rule`, `facts` and `said`, or `error`; None: the actor says nothing."""

    there: dict[str, Any] | None


class CodeAnswer(Finding):
    """The same recording through another version."""

    question: Literal["other_code"] = "other_code"
    format: int = WHAT_IF_FORMAT
    verdict: Literal["same", "differs"]
    steps: int
    """Of this version, that were compared."""

    count: int
    """Of steps that differ."""

    differences: tuple[CodeDifference, ...]
    """The first of each member that has any; what comes after may follow from it."""
