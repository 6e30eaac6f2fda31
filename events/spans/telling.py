"""From an episode to spans: names, ids, parents, links.

Ids are made from names on which all members agree: a phase has one of its trace, its
member and its name, so that others can link to it; a command one of its message.
"""

from collections.abc import Iterable
from typing import NamedTuple

from regnal.events.cloud import Reporter
from regnal.events.spans import naming
from regnal.events.spans.memory import Episode, Key, Linked, Thread
from regnal.events.spans.span import Attribute, Link, Moment, Span, SpanId
from regnal.events.tracing import TraceName, reign_trace, root_id, span_id, trace_id
from regnal.messages.base import MemberName

_WORDS: dict[str, str] = {
    "postgres crash": "postgres",
    "fencing": "guard",
    "dcs outage": "store",
    "actor failure": "actor",
    "step down": "demotion",
}
"""As the incidents' own names begin."""

_TROUBLES = ("fencing", "postgres crash", "dcs outage", "stall", "actor failure")


def part_id(scope: str, trace: TraceName, member: MemberName, ordinal: int) -> SpanId:
    """Of what spans a member's part in it."""
    return span_id(scope, _part(trace, member, ordinal))


def trace_of(episode: Episode) -> TraceName:
    if episode.ending is not None:
        return reign_trace(episode.ending.revision)
    if episode.incident is not None:
        return episode.incident
    word = _WORDS.get(episode.what, episode.what)
    return "-".join((word, *episode.opened_by.split("/")))


def _part(trace: TraceName, member: MemberName, ordinal: int) -> str:
    return f"{trace}/{member}" if ordinal < 2 else f"{trace}/{member}#{ordinal}"


class Teller(NamedTuple):
    """Tells an episode whose trace is known."""

    reporter: Reporter
    episode: Episode

    @property
    def trace(self) -> TraceName:
        return trace_of(self.episode)

    @property
    def is_root(self) -> bool:
        """The root is told by who leads after a reign, or by the only one concerned."""
        ending = self.episode.ending
        is_first = self.episode.ordinal < 2
        return is_first and (ending is None or ending.leader == self.reporter.member)

    def spans(self, threads: Iterable[Thread]) -> list[Span]:
        return [self._span(thread) for thread in threads]

    def whole(self, phase: str) -> Span:
        """What spans the episode; `phase` is that of PostgreSQL."""
        episode, (scope, member) = self.episode, self.reporter
        error = self._error(phase)
        return Span(
            trace=trace_id(scope, self.trace),
            span=self._whole_id,
            parent=None if self.is_root else root_id(scope, self.trace),
            name=self._name(),
            start=episode.start,
            end=max(episode.last, episode.start),
            scope=scope,
            member=member,
            attributes=self._attributes(),
            moments=tuple(Moment(m.name, m.at, m.attributes) for m in episode.moments),
            links=tuple(self._links()),
            status="error" if error else "unset",
            status_text=error,
        )

    @property
    def _whole_id(self) -> SpanId:
        scope, member = self.reporter
        if self.is_root:
            return root_id(scope, self.trace)
        return part_id(scope, self.trace, member, self.episode.ordinal)

    def _span(self, thread: Thread) -> Span:
        scope, member = self.reporter
        assert thread.end is not None
        return Span(
            trace=trace_id(scope, self.trace),
            span=self._id(thread.key),
            parent=self._whole_id if thread.parent is None else self._id(thread.parent),
            name=thread.name,
            start=thread.start,
            end=thread.end,
            scope=scope,
            member=member,
            attributes=thread.attributes,
            moments=tuple(Moment(m.name, m.at, m.attributes) for m in thread.moments),
            links=tuple(self._link(linked) for linked in thread.links),
            status="error" if thread.status == "error" else "unset",
            status_text=thread.status_text,
        )

    def _id(self, key: Key) -> SpanId:
        scope, member = self.reporter
        if "/" in key:  # of a message
            return span_id(scope, key)
        part = _part(self.trace, member, self.episode.ordinal)
        return span_id(scope, f"{part}/{key}")

    def _name(self) -> str:
        ending = self.episode.ending
        if ending is None:
            return self.episode.what
        return self._root_name() if self.is_root else self._part_name(ending.former)

    def _root_name(self) -> naming.RootName:
        ending, change = self.episode.ending, self.episode.change
        assert ending is not None
        if change == "planned" or (not change and ending.is_planned):
            return "switchover"
        return "failover averted" if ending.former == ending.leader else "failover"

    def _part_name(self, former: MemberName) -> naming.PartName:
        episode = self.episode
        match episode.what:
            case "shutdown" | "rebuild" | "reinitialize" as name:
                return name
            case _ if former != self.reporter.member:
                return "follow"
            case _ if episode.started:
                return "rejoin"
        assert episode.ending is not None
        return "hand over" if episode.ending.is_planned else "step down"

    def _attributes(self) -> dict[str, Attribute]:
        episode, ending = self.episode, self.episode.ending
        found: dict[str, Attribute] = {naming.INCIDENT: self.trace}
        if ending is not None:
            found |= {naming.FORMER: ending.former, naming.REVISION: ending.revision}
            if ending.leader is not None:
                found[naming.LEADER] = ending.leader
        elif episode.leader is not None:
            found |= {naming.LEADER: episode.leader, naming.REVISION: episode.revision}
        if episode.change:
            found[naming.CHANGE] = episode.change
        if episode.dropped:
            found[naming.DROPPED] = episode.dropped
        return found | episode.attributes

    def _error(self, phase: str) -> str:
        episode = self.episode
        if episode.error:
            return episode.error
        if episode.ending is None:
            seen = episode.attributes.get(naming.REASON_TEXT, episode.what)
            return str(seen) if episode.what in _TROUBLES else ""
        if self.is_root and phase != "primary":
            return "the new leader did not take writes"
        return ""

    def _links(self) -> Iterable[Link]:
        episode, scope = self.episode, self.reporter.scope
        for name in episode.includes:
            attributes: dict[str, Attribute] = {naming.LINK: "includes"}
            yield Link(trace_id(scope, name), root_id(scope, name), attributes)
        ending = episode.ending
        if ending is not None and not self.is_root and ending.leader is not None:
            yield self._link(
                Linked(member=ending.leader, phase="elect", why="leader_elected")
            )

    def _link(self, linked: Linked) -> Link:
        """To a phase, or to all, of another member's first part in the same trace."""
        scope, trace = self.reporter.scope, self.trace
        part = _part(trace, linked.member, 1)
        name = f"{part}/{linked.phase}" if linked.phase else part
        return Link(
            trace_id(scope, trace), span_id(scope, name), {naming.LINK: linked.why}
        )
