"""The answer to a what-if, for a terminal."""

import textwrap
from collections.abc import Iterator
from typing import Any

from pydantic_core import to_json

from regnal.messages.base import Seconds
from regnal.replay.evidence.wall import clock_text
from regnal.replay.explaining.words import INSTANTS, sentence_of
from regnal.replay.playback.differing import NOT_THERE, changes
from regnal.replay.telling.text import WIDEST, Style, plain
from regnal.replay.what_if.findings import Answer, CodeAnswer, Difference, End, Side

SHOWN = 8
"""Further decisions that differ; all of them where that is wanted."""

_LONGEST_VALUE = 100
_LONGEST_LIST = 8
"""Facts of one decision."""


def what_if_text(
    answer: Answer, *, width: int, style: Style = plain, is_full: bool = False
) -> str:
    """The headline, the first decision that differs, what follows, and how far the
    recording is evidence."""
    width = min(width, WIDEST)
    bad = answer.verdict == "differs"
    lines = [style(line, "heading") for line in _wrapped(_title(answer), width)]
    lines += [style(line, "dim") for line in _wrapped(_when(answer), width)]
    lines += [""]
    lines += [
        style(line, "bad" if bad else "good")
        for line in _wrapped(headline(answer), width)
    ]
    for title, section in _sections(answer, width, style, is_full=is_full):
        body = list(section)
        if body:
            lines += ["", style(title.upper(), "heading"), *body]
    return "\n".join(lines)


def headline(answer: Answer) -> str:
    """What came of it, in one sentence."""
    first = answer.first
    if answer.verdict == "unchanged":
        why = "; ".join(answer.warnings)
        return "This changes nothing that anybody decides by" + (
            f": {why}." if why else "."
        )
    told = [one for one in answer.consequences if one.certainty == "shown"]
    if told:
        return f"{told[0].text}."
    inferred = f", but {answer.consequences[0].text}" if answer.consequences else ""
    if first is None:
        return f"Every decision would be the same{inferred or _AS_FAR}."
    now = first.now.rule if first.now is not None else None
    then = first.then.rule if first.then is not None else None
    return (
        f"{first.actor} of {first.member} would go by {now or 'no rule'} at "
        f"{clock_text(first.moment)}, where it went by {then or 'no rule'}{inferred}."
    )


_AS_FAR = ", as far as the recording goes"


def _title(answer: Answer) -> str:
    downs = [
        f"{down.member} were down from {clock_text(down.since)} on"
        for down in answer.downs
    ]
    return "What if " + ", ".join((*answer.changes, *downs))


def _when(answer: Answer) -> str:
    since = (
        "from the beginning of the recording"
        if answer.since is None
        else f"from {clock_text(answer.since, with_date=True)} UTC"
    )
    until = "" if answer.until is None else f" to {clock_text(answer.until)}"
    incident = "" if answer.incident is None else f", around {answer.incident}"
    return since + until + incident


def _sections(
    answer: Answer, width: int, style: Style, *, is_full: bool
) -> Iterator[tuple[str, Iterator[str]]]:
    first = answer.first
    if first is not None:
        yield "First decision that differs", _difference(first, style)
    yield "What follows", _consequences(answer, width)
    if answer.verdict != "unchanged":
        yield "Where the recording ends to be evidence", _ends(answer, width, style)
    yield "Also decided otherwise", _others(answer, style, is_full=is_full)
    yield "Taken for granted", _assumed(answer, width, is_full=is_full)
    yield "Settings", _settings(answer, width)
    yield "Only echoes of the change", _echoes(answer, width)
    yield "Reservations", _troubles(answer, width)


def _difference(one: Difference, style: Style) -> Iterator[str]:
    record = "" if one.record is None else f", record {one.record}"
    yield (
        f"  {clock_text(one.moment)}  {one.member} {one.actor}, on {one.heard}{record}"
    )
    then, now = one.then, one.now
    for sign, side, kind in (("-", then, "bad"), ("+", now, "good")):
        for line in _side(side):
            yield style(f"    {sign} {line}", kind)
    if then is not None and now is not None:
        yield from _facts(one, then, now, style)
    elif now is not None:
        for name, value in _flat(now.facts, one.offset):
            yield style(f"    + {name}: {value}", "good")
    if one.then_at is not None:
        yield f"    decided so in the recording at {clock_text(one.then_at)}"
    if one.repeats:
        yield style(f"    and {one.repeats} more times", "dim")


def _side(side: Side | None) -> Iterator[str]:
    if side is None:
        yield "nothing is heard of it, and nothing decided"
        return
    yield side.rule or "no rule speaks"
    for word in side.said:
        values = " ".join(
            f"{name}={_short(value)}"
            for name, value in word.data.items()
            if value is not None and not isinstance(value, float)
        )
        yield f"  {word.kind} {values}".rstrip()


def _facts(one: Difference, then: Side, now: Side, style: Style) -> Iterator[str]:
    """Where one of two rules saw other facts; of another rule all that it saw."""
    was, has = (dict(_flat(side.facts, one.offset)) for side in (then, now))
    found = [
        change
        for change in changes(was, has)
        if then.rule == now.rule or change.replayed != NOT_THERE
    ]
    for change in found[:_LONGEST_LIST]:
        if change.recorded != NOT_THERE:
            yield style(f"    - {change.path}: {change.recorded}", "bad")
        if change.replayed != NOT_THERE:
            yield style(f"    + {change.path}: {change.replayed}", "good")
    if len(found) > _LONGEST_LIST:
        yield f"      and {len(found) - _LONGEST_LIST} more facts"


def _flat(facts: dict[str, Any], offset: Seconds) -> Iterator[tuple[str, str]]:
    """Facts as people read them: candidates with their verdicts, instants as times."""
    for name, value in facts.items():
        if name == "candidates" and isinstance(value, list):
            for one in value:
                yield f"candidate {one.get('member')}", sentence_of(one.get("verdict"))
        elif name == "reason":
            yield name, sentence_of(value)
        elif name in INSTANTS and isinstance(value, float):
            yield name, clock_text(value + offset)
        elif value not in (None, "", []):
            yield name, _short(value)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(value, dict) and "code" in value:
        return sentence_of(value)
    text = value if isinstance(value, str) else to_json(value).decode()
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _consequences(answer: Answer, width: int) -> Iterator[str]:
    for one in answer.consequences:
        yield from _item(f"{one.certainty:<8}  {one.text}", width, 12)


def _ends(answer: Answer, width: int, style: Style) -> Iterator[str]:
    if all(member.end.why == "recording" for member in answer.members):
        last = max((m.end.moment for m in answer.members), default=0.0)
        text = f"nowhere: all of it still counts, up to its end at {clock_text(last)}"
        yield from _item(text, width, 4)
        return
    for member in answer.members:
        end = member.end
        text = f"{end.member}  {_end(end)}"
        marked = answer.end is not None and end == answer.end
        lines = list(_item(text, width, 4))
        yield from (style(line, "bad") for line in lines) if marked else lines


def _end(end: End) -> str:
    after = "" if end.record is None else f", after record {end.record}"
    if end.why == "recording":
        return f"nowhere, up to its end at {clock_text(end.moment)}"
    return f"{clock_text(end.moment)}{after}: {end.text}"


def _others(answer: Answer, style: Style, *, is_full: bool) -> Iterator[str]:
    others = sorted(
        (
            one
            for member in answer.members
            for one in member.differences
            if one != answer.first and (is_full or not one.is_minor)
        ),
        key=lambda one: one.moment,
    )
    shown = others if is_full else others[:SHOWN]
    for one in shown:
        if is_full:
            yield from _difference(one, style)
            continue
        then = one.then.rule or "no rule" if one.then is not None else "nothing"
        now = one.now.rule or "no rule" if one.now is not None else "nothing"
        yield (
            f"  {clock_text(one.moment)}  {one.member} {one.actor}: {now}, then {then}"
        )
    lesser = sum(
        one.is_minor and one != answer.first
        for member in answer.members
        for one in member.differences
    )
    left = len(others) - len(shown) + (0 if is_full else lesser)
    if left:
        yield style(f"  and {left} more or lesser steps, --full shows them", "dim")


def _assumed(answer: Answer, width: int, *, is_full: bool) -> Iterator[str]:
    shown = answer.assumed if is_full else answer.assumed[:SHOWN]
    for one in shown:
        times = "" if one.count == 1 else f" ({one.count} times)"
        text = (
            f"{clock_text(one.moment)}  {one.member} {one.command}: {one.text}{times}"
        )
        yield from _item(text, width, 4)
    if len(answer.assumed) > len(shown):
        yield f"  and {len(answer.assumed) - len(shown)} more, --full shows them"


def _settings(answer: Answer, width: int) -> Iterator[str]:
    for member in answer.members:
        changed = ", ".join(
            f"{one.path} {_short(one.recorded)} -> {_short(one.replayed)}"
            for name, (then, now) in member.settings.items()
            for one in changes(then, now, name)
            if not one.path.endswith(".document")
        )
        if changed:
            yield from _item(f"{member.member}  {changed}", width, 4)
    for warning in answer.warnings:
        yield from _item(f"note: {warning}", width, 4)


def _echoes(answer: Answer, width: int) -> Iterator[str]:
    counts: dict[str, int] = {}
    for echo in answer.echoes:
        counts[echo.name] = counts.get(echo.name, 0) + echo.count
    if counts:
        told = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))
        yield from _item(told, width, 2)


def _troubles(answer: Answer, width: int) -> Iterator[str]:
    for trouble in answer.troubles:
        yield from _item(trouble.text, width, 4)


def _item(text: str, width: int, indent: int) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent="  ", subsequent_indent=" " * indent
    )


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width)


def other_code_text(answer: CodeAnswer, *, style: Style = plain) -> str:
    """The first step of each member that another version takes otherwise."""
    if answer.verdict == "same":
        return style(f"{answer.steps:,} steps compared: all are the same there", "good")
    told = f"{answer.steps:,} steps compared: {answer.count:,} are others there"
    lines = [style(told, "bad")]
    for one in answer.differences:
        lines += [
            "",
            style(
                f"{one.member}: first at record {one.record}, "
                f"{clock_text(one.moment)}, {one.actor} on {one.heard}",
                "heading",
            ),
        ]
        for change in changes(one.here, one.there):
            name = change.path or "step"
            if change.recorded not in (NOT_THERE, None):
                lines.append(style(f"  - {name}: {_short(change.recorded)}", "bad"))
            if change.replayed not in (NOT_THERE, None):
                lines.append(style(f"  + {name}: {_short(change.replayed)}", "good"))
    return "\n".join(lines)
