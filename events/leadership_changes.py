"""Failovers and switchovers: from incidents and a promotion to their begin and end.

The end is told by the new leader alone, as soon as it knows both: that its reign followed
the one that ended, and that its PostgreSQL takes writes.  Either may come first.
"""

from typing import NamedTuple

from regnal.events.base import Event
from regnal.events.cloud import Reporter
from regnal.events.leadership import (
    FailoverAverted,
    FailoverCompleted,
    FailoverStarted,
    SwitchoverCompleted,
)
from regnal.events.memory import Change, Memory, Promotion, unreceived
from regnal.events.postgres import PostgresPromoted
from regnal.events.told import Told
from regnal.events.tracing import reign_trace
from regnal.messages.base import Message
from regnal.messages.envelope import Envelope
from regnal.messages.incidents import IncidentOpened, SuccessorNoted
from regnal.messages.postgres import PostgresPromoted as Promoted


class Known(NamedTuple):
    memory: Memory
    told: Told


def note_opening(
    memory: Memory, opened: IncidentOpened, event: Event
) -> tuple[Memory, list[Told]]:
    """An incident began; `event` tells so."""
    name = opened.incident
    known = memory.with_incident(name, opened.includes)
    told = [Told(event, name, name)]
    if opened.what != "reign_ended":
        return known, told
    former = memory.former
    is_it = former is not None and reign_trace(former.revision) == name
    change = Change(
        incident=name,
        former=opened.member,
        began_at=opened.began_at,
        position=former.position if former is not None and is_it else 0,
    )
    if opened.weight != "notice":
        started = FailoverStarted(
            incident=name,
            former=opened.member,
            began=opened.began,
            text=opened.text,
        )
        told.append(Told(started, name, name))
    return known.with_change(change), told


def note_successor(memory: Memory, noted: SuccessorNoted) -> Memory:
    change = memory.change_called(noted.incident)
    if change is None:  # it began before we began to read
        return memory
    news = {"leader": noted.leader, "change": noted.change, "noted_at": noted.at}
    return memory.with_change(change.model_copy(update=news))


def promoted(
    memory: Memory, envelope: Envelope[Message], reporter: Reporter
) -> Known | None:
    """None: the message is something else."""
    message = envelope.message
    if not isinstance(message, Promoted):
        return None
    promotion = Promotion(timeline=message.timeline, lsn=message.lsn, at=envelope.at)
    event = PostgresPromoted(
        timeline=message.timeline,
        lsn=message.lsn,
        conn_url=memory.conn_urls.get(reporter.member),
    )
    trace = reign_trace(memory.former.revision) if memory.former is not None else None
    return Known(
        memory.model_copy(update={"promotion": promotion}), Told(event, None, trace)
    )


def changes_told(memory: Memory, reporter: Reporter) -> tuple[Memory, list[Told]]:
    """Ends of changes of leader that are known now, and were not told."""
    told = []
    for change in memory.changes:
        event = None if change.told else _end(memory, change, reporter)
        if event is not None:
            told.append(Told(event, change.incident, change.incident))
            memory = memory.with_change(change.model_copy(update={"told": True}))
    return memory, told


def _end(memory: Memory, change: Change, reporter: Reporter) -> Event | None:
    promotion, leader = memory.promotion, change.leader
    if leader is None:
        return None
    if change.change == "none":
        return FailoverAverted(incident=change.incident, leader=leader)
    if leader != reporter.member or promotion is None:
        return None
    if promotion.at < change.began_at:
        return None
    facts = {
        "incident": change.incident,
        "former": change.former,
        "leader": leader,
        "conn_url": memory.conn_urls.get(leader),
        "timeline": promotion.timeline,
        "lsn": promotion.lsn,
        "leaderless_seconds": max(0.0, change.noted_at - change.began_at),
        "promoted_after_seconds": promotion.at - change.began_at,
        "unreceived_wal_bytes": unreceived(change, promotion),
    }
    if change.change == "planned":
        return SwitchoverCompleted.model_validate(facts)
    return FailoverCompleted.model_validate({**facts, "change": change.change})
