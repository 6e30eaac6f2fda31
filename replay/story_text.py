"""A story as text for a terminal, or as Markdown."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from regnal.messages.reasons import SENTENCES
from regnal.replay.explain import Moment, Story

LONGEST_FACT = 110
"""Characters of a fact on one line; the journal has all of it."""


def as_text(story: Story) -> str:
    return "\n".join(_lines(story, heading=lambda text: text.upper(), bullet="  "))


def as_markdown(story: Story) -> str:
    return "\n".join(_lines(story, heading=lambda text: f"\n## {text}\n", bullet="- "))


def _lines(story: Story, heading: Any, bullet: str) -> Iterator[str]:
    yield story.verdict + "."
    yield f"Promoted at {_clock(story.promoted_at)} UTC."
    for line in story.missing:
        yield f"Missing: {line}."
    yield ""
    yield heading("How long it took")
    for phase in story.phases:
        yield f"{bullet}{phase.seconds:8.3f} s  {phase.name}"
    yield ""
    yield heading("What led to the promotion, each line the cause of the next")
    for moment in story.chain:
        yield from _moment(moment, story, bullet)
    yield ""
    yield heading("Everything of note, on all members")
    for moment in story.moments:
        yield from _moment(moment, story, bullet)


def _moment(moment: Moment, story: Story, bullet: str) -> Iterator[str]:
    since = moment.at - story.promoted_at
    who = f"{_clock(moment.at)} {since:+9.3f}  {moment.member:10} {moment.actor:20}"
    if moment.is_decision:
        heard = f" (heard {moment.heard})" if moment.heard else ""
        said = f" => {', '.join(moment.said)}" if moment.said else ""
        yield f"{bullet}{who} {moment.what}{heard}{said}"
        for name, value in moment.facts.items():
            yield from _fact(name, value, bullet)
    else:
        yield f"{bullet}{who} {moment.what}{_short(moment.facts)}"


def _fact(name: str, value: Any, bullet: str) -> Iterator[str]:
    indent = " " * (len(bullet) + 26)
    if name == "candidates" and isinstance(value, list):
        for candidate in value:
            verdict = sentence(candidate.get("verdict"))
            yield f"{indent}candidate {candidate.get('member')}: {verdict}"
        return
    if name == "reason":
        yield f"{indent}because {sentence(value)}"
        return
    yield f"{indent}{name} = {_cut(json.dumps(value))}"


def sentence(reason: Any) -> str:
    """The sentence of a reason as the journal has it."""
    if not isinstance(reason, dict) or reason.get("code") not in SENTENCES:
        return json.dumps(reason)
    values = {p["name"]: p["value"] for p in reason.get("parameters", ())}
    try:
        return SENTENCES[reason["code"]].format(**values)
    except (KeyError, ValueError):
        return str(reason["code"])


def _short(data: dict[str, Any]) -> str:
    parts = [
        f"{name}={value}"
        for name, value in data.items()
        if value is not None and not isinstance(value, dict | list)
    ]
    return f"  {_cut(' '.join(parts))}" if parts else ""


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_FACT else text[: LONGEST_FACT - 1] + "…"


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]
