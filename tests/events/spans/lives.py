"""What a member says, one message after the other, for the weaver to hear."""

from dataclasses import dataclass, field

from regnal.events.cloud import Reporter
from regnal.events.spans.memory import Rule
from regnal.events.spans.span import Span
from regnal.events.spans.weaver import Weaver
from regnal.messages.base import MemberName, Message, Seconds
from regnal.messages.cluster import (
    ClusterObserved,
    ClusterView,
    FailoverRequest,
    LeaderView,
)
from regnal.messages.envelope import Envelope, HybridTime, MessageId, PartName
from regnal.messages.operations import Phase, PhaseChanged
from tests.actors.builders import view

BEGAN_US = 1_700_000_000_000_000


def led_by(
    name: str | None, revision: int = 0, *, asked: FailoverRequest | None = None
) -> ClusterObserved:
    """What the store shows: who holds the leader key, and who is asked to give it up."""
    shown: ClusterView = view("pg1", "pg2", "pg3", leader=name)
    key = LeaderView(name=name, revision=revision) if name else None
    return ClusterObserved(
        view=shown.model_copy(update={"leader": key, "failover": asked})
    )


def phase(now: Phase, before: Phase = "unknown") -> PhaseChanged:
    return PhaseChanged(phase=now, previous=before, state="running", intent=None)


@dataclass
class Life:
    """A member, and the spans that are woven of what it says."""

    member: MemberName = "pg2"
    now: Seconds = 100.0
    share: float = 0.0
    spans: list[Span] = field(default_factory=list)
    count: int = 0

    def __post_init__(self) -> None:
        self.weaver = Weaver(Reporter("demo", self.member), share=self.share)

    def says(
        self,
        message: Message,
        *,
        after: Seconds = 0.01,
        cause: MessageId | None = None,
        rule: str = "",
        by: PartName = "election",
    ) -> MessageId:
        """So many seconds after what it said before; with a rule, in a step."""
        self.count += 1
        self.now += after
        envelope = Envelope(
            id=f"{self.member}/1/{self.count}",
            hlc=HybridTime(BEGAN_US + round(self.now * 1e6), 0, self.member),
            at=self.now,
            said_by=by,
            cause=cause,
            trace=None,
            message=message,
        )
        if rule:
            self.weaver.heed(Rule(actor=by, rule=rule, said=[envelope.id]))
        self.spans += self.weaver.weave(envelope)
        return envelope.id

    def passes(self, seconds: Seconds) -> None:
        self.now += seconds
        self.spans += self.weaver.tick(self.now)

    def is_interrupted(self) -> None:
        """Another weaver goes on with what this one remembers."""
        self.weaver = Weaver(
            Reporter("demo", self.member), self.weaver.memory, share=self.share
        )

    @property
    def names(self) -> set[str]:
        return {span.name for span in self.spans}

    def span(self, name: str) -> Span:
        """The only one of that name."""
        found = [span for span in self.spans if span.name == name]
        assert len(found) == 1, [span.name for span in self.spans]
        return found[0]

    def parent(self, name: str) -> str:
        """The name of what that span is part of."""
        wanted = self.span(name).parent
        return next(span.name for span in self.spans if span.span == wanted)
