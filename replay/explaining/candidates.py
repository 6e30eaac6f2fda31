"""The candidates: every member as each judge saw it, and why it was taken or not."""

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from regnal.messages.reasons import Reason
from regnal.replay.evidence.evidence import Happening
from regnal.replay.explaining.hindrances import RACES, candidates_of
from regnal.replay.explaining.look import Look
from regnal.replay.explaining.story import Candidate
from regnal.replay.explaining.words import sentence_of

JUDGES = (*RACES, "election/begin_the_switchover", "election/hand_the_lease_over")


def candidates(look: Look) -> tuple[Candidate, ...]:
    """As the one that was taken judged last, and how others judged otherwise."""
    last: dict[str, Happening] = {}
    for step in look.evidence.between(look.gap.began - 1, look.end, *JUDGES):
        if candidates_of(step):
            last[step.member] = step
    judges = sorted(last, key=lambda member: (member != look.gap.successor, member))
    told: list[Candidate] = []
    for judge in judges:
        known = {(one.member, one.verdict.code) for one in told}
        told += [
            one
            for one in _judged(look, last[judge])
            if (one.member, one.verdict.code) not in known
        ]
    return tuple(told)


def _judged(look: Look, step: Happening) -> Iterator[Candidate]:
    for found in candidates_of(step):
        name = str(found.get("member"))
        yield Candidate(
            member=name,
            judged_by=step.member,
            moment=step.moment,
            verdict=_reason(found.get("verdict")),
            sentence=sentence_of(found.get("verdict")),
            position=_number(found.get("position")),
            timeline=_number(found.get("timeline")),
            taken=name == look.gap.successor,
        )


def _reason(value: Any) -> Reason:
    try:
        return Reason.model_validate(value)
    except ValidationError:
        return Reason(code=str(value))


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
