"""The head of the page: the verdict, the figures, and where the time went."""

from collections.abc import Iterable

from regnal.replay.explaining.causes import CAUSES
from regnal.replay.explaining.losses import size_text
from regnal.replay.explaining.story import Author, Loss, Outage, Phase, Story
from regnal.replay.telling.html.markup import Content, Markup, join, tag
from regnal.replay.telling.html.values import clock, span_text
from regnal.replay.telling.outline import KINDS, author_text

CERTAINTIES = {
    "measured": "",
    "at_most": "at most ",
    "at_least": "at least ",
    "unknown": "",
}


def head(story: Story) -> Markup:
    first, semicolon, rest = story.verdict.sentence.partition("; ")
    return tag(
        "header",
        tag(
            "p",
            tag("span", KINDS.get(story.kind, story.kind), class_="kind"),
            " in cluster ",
            tag("b", story.scope),
            ", ",
            clock(story.began, with_date=True),
            " ",
            tag("span", "UTC", class_="zone"),
            class_="when",
        ),
        tag(
            "h1",
            tag("strong", first),
            (
                tag("span", semicolon, class_="unseen"),
                tag("span", f"{rest}.", class_="rest"),
            )
            if rest
            else "",
        ),
        tag("p", _cause(story), class_="cause"),
        tag("dl", _figures(story), class_="figures"),
        class_=f"head {story.weight}",
    )


def phases(story: Story) -> Markup:
    """A bar in proportion, and what each part of it was spent on."""
    whole = sum(phase.seconds for phase in story.phases) or 1.0
    left = 0.0
    parts = []
    for number, phase in enumerate(story.phases):
        width = phase.seconds / whole * 100
        parts.append(_stretch(phase, number, left, width))
        left += width
    return join(
        tag("svg", parts, class_="proportion", aria_hidden="true"),
        tag(
            "table",
            tag(
                "tbody",
                (
                    _phase(phase, number, whole)
                    for number, phase in enumerate(story.phases)
                ),
            ),
            class_="durations",
        ),
    )


def _cause(story: Story) -> Iterable[Content]:
    verdict = story.verdict
    yield "cause "
    yield _code(verdict.cause)
    if verdict.root != verdict.cause:
        yield " after "
        yield _code(verdict.root)
    if verdict.hindrances:
        yield ", hindered by "
        yield [join(_code(one), " ") for one in verdict.hindrances]


def _code(cause: str) -> Markup:
    known = CAUSES.get(cause)
    title = f"shown by: {known.proof}" if known is not None else None
    return tag("code", cause, title=title)


def _figures(story: Story) -> Iterable[Markup]:
    if story.outage is not None:
        yield _outage(story.outage)
    else:
        yield _figure("no writes for", "0 s", "writing went on")
    if story.loss is not None:
        yield _loss(story.loss)
    yield _leader(story)
    yield _author(story.author)


def _author(author: Author | None) -> Markup:
    if author is None:
        about = "no request is in the journals"
        return _figure("asked for by", "nobody", about, is_text=True)
    who = author.username or author.address
    if who is None:
        return _figure("asked for by", author_text(author), author.what, is_text=True)
    return _figure("asked for by", who, author_text(author), is_text=True)


def _figure(
    name: str, value: Content, about: Content, *, is_text: bool = False
) -> Markup:
    return tag(
        "div",
        tag("dt", name),
        tag("dd", value, class_="value words" if is_text else "value"),
        tag("dd", about, class_="about"),
    )


def _outage(outage: Outage) -> Markup:
    end: Content = (
        "the end of the journals" if outage.until is None else clock(outage.until)
    )
    certainty = CERTAINTIES[outage.certainty]
    if outage.until is None:
        certainty = CERTAINTIES["at_least"]
    return _figure(
        f"no writes for {certainty}".rstrip(),
        _with_units(span_text(outage.seconds)),
        (clock(outage.since), " to ", end),
    )


def _loss(loss: Loss) -> Markup:
    if loss.wal_bytes is None:
        return _figure("lost", "not known", loss.sentence, is_text=True)
    name = f"WAL lost {CERTAINTIES[loss.certainty]}".rstrip()
    return _figure(name, _with_units(size_text(loss.wal_bytes)), _transactions(loss))


def _transactions(loss: Loss) -> str:
    if loss.transactions is None:
        if loss.wal_bytes == 0:
            return "the former leader had no record more than the new one"
        return "how many transactions were in it is not known"
    told = "" if loss.acknowledged is None else f", {loss.acknowledged} acknowledged"
    return f"{loss.transactions} transactions{told}"


def _leader(story: Story) -> Markup:
    if story.outage is None:
        about = "nobody led" if story.leader is None else f"{story.leader} led"
        return _figure("it befell", story.former, about, is_text=True)
    about = "" if story.timeline is None else f"on timeline {story.timeline}"
    if story.leader is None:
        value: Content = (story.former, " → ", tag("small", "nobody"))
    elif story.leader == story.former:
        value = story.former
        about = f"leads before and after {about}".rstrip()
    else:
        value = (story.former, " → ", story.leader)
    return _figure("leader", value, about, is_text=True)


def _stretch(phase: Phase, number: int, left: float, width: float) -> Markup:
    return tag(
        "rect",
        tag("title", f"{_name(phase)}: {span_text(phase.seconds)}"),
        class_=f"phase phase-{number}",
        x=f"{left:.3f}%",
        width=f"{width:.3f}%",
        height="100%",
    )


def _phase(phase: Phase, number: int, whole: float) -> Markup:
    return tag(
        "tr",
        tag(
            "th",
            tag("svg", _swatch(number), class_="swatch", aria_hidden="true"),
            " ",
            tag("span", _name(phase), data_phase=number),
            scope="row",
        ),
        tag("td", span_text(phase.seconds), class_="number"),
        tag("td", f"{phase.seconds / whole:.1%}", class_="number share"),
        tag("td", phase.what),
    )


def _swatch(number: int) -> Markup:
    return tag("rect", class_=f"phase phase-{number}", width="100%", height="100%")


def _name(phase: Phase) -> str:
    return phase.code.replace("_", " ")


def _with_units(text: str) -> Content:
    """Figures large, units small."""
    return [
        part if part[:1].isdigit() else tag("small", f" {part} ")
        for part in text.split()
    ]
