"""Asks journals, as the command does."""

from functools import cache
from pathlib import Path

from regnal.messages.base import MemberName, Seconds
from regnal.replay.explaining.explain import Investigation
from regnal.replay.what_if.answering import answer
from regnal.replay.what_if.asking import Asking, Question
from regnal.replay.what_if.changes import Changes, parsed_change
from regnal.replay.what_if.findings import Answer, Difference

MUSEUM = Path(__file__).parents[2] / "journals" / "0.1.0-demo"


def asked(
    directory: Path,
    *changes: str,
    downs: dict[MemberName, Seconds] | None = None,
    since: Seconds | None = None,
    without: tuple[MemberName, ...] = (),
    incident: str | None = None,
) -> Answer:
    """`downs`, `since`: seconds from the beginning of the recording."""
    directories = _journals(directory, without)
    investigation = _investigation(directory, without)
    begin = investigation.evidence.begin
    question = Question(
        Changes(tuple(map(parsed_change, changes))),
        tuple((name, begin + at) for name, at in (downs or {}).items()),
        since=None if since is None else begin + since,
    )
    asking = Asking(directories, investigation.evidence, question)
    asking.run()
    found = investigation.find(incident) if incident is not None else None
    return answer(asking, found)


@cache
def _investigation(directory: Path, without: tuple[MemberName, ...]) -> Investigation:
    """What is asked changes nothing of it."""
    return Investigation(_journals(directory, without))


def _journals(
    directory: Path, without: tuple[MemberName, ...]
) -> dict[MemberName, Path]:
    return {
        path.name: path
        for path in sorted(directory.iterdir())
        if path.is_dir() and path.name not in without
    }


def serious(answer: Answer) -> list[Difference]:
    """Decisions that differ, in their order, without the lesser steps."""
    found = [
        one
        for member in answer.members
        for one in member.differences
        if not one.is_minor
    ]
    return sorted(found, key=lambda one: one.moment)


def shown(answer: Answer) -> list[str]:
    return [one.text for one in answer.consequences if one.certainty == "shown"]


def inferred(answer: Answer) -> list[str]:
    return [one.text for one in answer.consequences if one.certainty == "inferred"]
