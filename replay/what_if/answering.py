"""Answering: what a question to the journals came to, as a value to be told."""

from typing import Any

from regnal.actors.step import Step
from regnal.journal.encoding import kind_of
from regnal.messages.settings import Settings
from regnal.replay.evidence.incidents import Incident
from regnal.replay.playback.differing import as_json
from regnal.replay.what_if.asking import Asking
from regnal.replay.what_if.consequences import consequences
from regnal.replay.what_if.differing import Differing
from regnal.replay.what_if.ending import Ending
from regnal.replay.what_if.findings import (
    Answer,
    Assumed,
    Difference,
    Echo,
    End,
    Fallen,
    MemberAnswer,
    Side,
    Trouble,
    Word,
)
from regnal.replay.what_if.rerun import Rerun
from regnal.replay.what_if.substance import is_weighty

MAXIMUM_TROUBLES = 20


def answer(
    asking: Asking, incident: Incident | None, troubles: tuple[Trouble, ...] = ()
) -> Answer:
    """Of a question that has been run."""
    members = tuple(
        _member(name, rerun) for name, rerun in sorted(asking.reruns.items())
    )
    differences = sorted(
        (one for member in members for one in member.differences if not one.is_minor),
        key=lambda one: (one.moment, one.member),
    )
    ends = [
        member.end
        for member in members
        if member.end.why not in ("is_down", "recording")
    ]
    question = asking.question
    is_changed = bool(question.downs) or any(member.settings for member in members)
    gap = incident.gap if incident is not None else None
    return Answer(
        changes=question.changes.texts,
        downs=tuple(
            Fallen(member=name, since=down.since)
            for name, down in sorted(asking.world.downs.items())
        ),
        since=question.since,
        until=question.until,
        incident=incident.name if incident is not None else None,
        verdict="unchanged" if not is_changed else "differs" if differences else "same",
        first=differences[0] if differences else None,
        end=min(ends, key=lambda end: (end.why == "hears_of_it", end.moment))
        if ends
        else None,
        consequences=consequences(asking, gap),
        members=members,
        assumed=_assumed(asking),
        echoes=_echoes(asking),
        warnings=_warnings(asking),
        troubles=(*troubles, *_troubles(asking)),
    )


def _member(name: str, rerun: Rerun) -> MemberAnswer:
    assert rerun.end is not None
    return MemberAnswer(
        member=name,
        settings=_settings(rerun.outside.then, rerun.outside.now),
        steps=rerun.differences.steps,
        differences=tuple(_difference(name, one) for one in rerun.differences.found),
        end=_end(name, rerun.end),
    )


def _settings(
    then: Settings | None, now: Settings | None
) -> dict[str, tuple[Any, Any]]:
    if then is None or now is None:
        return {}
    return {
        field: (as_json(value), as_json(getattr(now, field)))
        for field, value in then
        if value != getattr(now, field)
    }


def _difference(member: str, found: Differing) -> Difference:
    return Difference(
        member=member,
        actor=found.actor,
        moment=found.moment,
        offset=found.moment - found.heard.at,
        heard=kind_of(type(found.heard.message)),
        record=found.record,
        then=_side(found.then),
        now=_side(found.now),
        is_minor=found.is_minor,
        repeats=found.repeats,
        then_at=found.then_at,
    )


def _side(step: Step[Any] | None) -> Side | None:
    if step is None:
        return None
    return Side(
        rule=step.rule,
        facts=as_json(step.facts),
        said=tuple(
            Word(kind=kind_of(type(message)), data=_data(message))
            for message in step.said
            if is_weighty(message)
        ),
        besides=tuple(
            kind_of(type(message)) for message in step.said if not is_weighty(message)
        ),
    )


def _data(message: Any) -> dict[str, Any]:
    data: dict[str, Any] = as_json(message)
    del data["kind"]
    return data


def _end(member: str, end: Ending) -> End:
    return End(
        member=member,
        moment=end.moment,
        record=end.record or None,
        why=end.why,
        command=end.command,
        text=end.text,
    )


def _assumed(asking: Asking) -> tuple[Assumed, ...]:
    found = [
        Assumed(
            member=member,
            moment=moments[0],
            command=command,
            text=text,
            count=len(moments),
        )
        for member, rerun in asking.reruns.items()
        for (command, text), moments in rerun.speech.assumed.items()
    ]
    return tuple(sorted(found, key=lambda one: (one.moment, one.member)))


def _echoes(asking: Asking) -> tuple[Echo, ...]:
    return tuple(
        Echo(member=member, actor=actor, name=name, count=count)
        for member, rerun in sorted(asking.reruns.items())
        for (actor, name), count in sorted(rerun.differences.echoes.items())
    )


def _warnings(asking: Asking) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(
            warning
            for rerun in asking.reruns.values()
            for warning in rerun.outside.warnings
        )
    )


def _troubles(asking: Asking) -> list[Trouble]:
    found = [
        Trouble(code="UNUSABLE", text=text)
        for text in asking.troubles[:MAXIMUM_TROUBLES]
    ]
    otherwise = sum(asking.otherwise.values())
    if otherwise:
        text = (
            f"this program decides {otherwise} of the recorded steps otherwise even "
            "without the change (`regnal replay verify` shows which): the question is "
            "answered as if it had recorded them"
        )
        found.append(Trouble(code="OTHER_PROGRAM", text=text))
    unknown = [
        name
        for name in asking.question.changes.members
        if name not in asking.evidence.tracks
    ]
    found += [
        Trouble(code="MISSING_MEMBER", text=f"the journal of {name} is missing")
        for name in unknown
    ]
    return found
