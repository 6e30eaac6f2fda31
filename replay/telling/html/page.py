"""A story as a page: one file, without any other.

    head        verdict, figures, phases, what the verdict rests on
    timeline    chart.py draws it; the scripts make it zoomable
    events      all of them, each with its facts
    account     the sections of the outline

The page obeys a policy that lets the browser run this one script and nothing else, and
fetch nothing at all: even if a text slipped through unescaped it could do no harm.
"""

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

from regnal.replay.explaining.story import Story
from regnal.replay.telling.html.account import Account, section_id
from regnal.replay.telling.html.chart import chart
from regnal.replay.telling.html.controls import (
    dock,
    keys,
    overview,
    page_controls,
    search,
    timeline_controls,
)
from regnal.replay.telling.html.data import report_data
from regnal.replay.telling.html.events import events_list
from regnal.replay.telling.html.head import head, phases
from regnal.replay.telling.html.legend import PATTERNS, legend
from regnal.replay.telling.html.markup import Markup, join, tag
from regnal.replay.telling.html.rows import Picture, picture_of
from regnal.replay.telling.outline import Outline, Section, outline

STYLES = ("page.css", "timeline.css", "print.css")
SCRIPTS = (
    "clock.js",
    "report.js",
    "view.js",
    "drawing.js",
    "arrows.js",
    "events.js",
    "page.js",
    "timeline.js",
)
"""One module, in this order: what is needed first comes first."""

IN_THE_HEAD = ("verdict", "phases")
"""Sections that are not told once more below the timeline."""


def story_html(story: Story, *, is_full: bool = False) -> str:
    """The whole document."""
    picture = picture_of(story)
    told = outline(story, is_full=is_full)
    style = Markup("\n".join(map(_source, STYLES)))
    script = Markup("\n".join(map(_source, SCRIPTS)))
    document = tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag(
                "meta",
                http_equiv="Content-Security-Policy",
                content=_policy(style, script),
            ),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("meta", name="referrer", content="no-referrer"),
            tag("meta", name="generator", content="Regnal"),
            tag("title", f"{told.title}, cluster {story.scope}"),
            tag("style", style),
        ),
        tag(
            "body",
            tag("a", "Skip to the timeline", href="#timeline", class_="skip"),
            PATTERNS,
            _bar(story, told),
            tag("main", _main(story, told, picture)),
            dock(),
            keys(),
            tag(
                "script",
                report_data(story, picture),
                type="application/json",
                id="report",
            ),
            tag("script", script, type="module"),
        ),
        lang="en",
    )
    return f"<!DOCTYPE html>\n{document}\n"


def _main(story: Story, told: Outline, picture: Picture) -> Markup:
    account = Account(picture)
    sections = list(enumerate(told.sections))
    grounds = [
        _phases(story, one) if one.code == "phases" else account.section(one, number)
        for number, one in sections
        if one.code in IN_THE_HEAD
    ]
    return join(
        head(story),
        tag("div", grounds, class_="grounds"),
        _timeline(picture),
        _events(picture),
        (
            account.section(one, number)
            for number, one in sections
            if one.code not in IN_THE_HEAD
        ),
        _foot(story),
    )


def _foot(story: Story) -> Markup:
    """What ran where, and by which names the incident goes."""
    running: dict[str, list[str]] = {}
    for member in story.members:
        versions = ", ".join(f"{name} {one}" for name, one in member.versions.items())
        running.setdefault(versions or "versions not known", []).append(member.member)
    return tag(
        "footer",
        (
            tag("p", f"{', '.join(members)}: {versions}")
            for versions, members in running.items()
        ),
        tag("p", f"Also named {', '.join(story.aliases)}.") if story.aliases else "",
        class_="foot",
    )


def _bar(story: Story, told: Outline) -> Markup:
    """Which incident, where to go, and the controls of the page."""
    places = [("timeline", "Timeline"), ("all-events", "Events")] + [
        (section_id(one, number), one.title.partition(",")[0])
        for number, one in enumerate(told.sections)
        if one.code not in (*IN_THE_HEAD, "view")
    ]
    return tag(
        "nav",
        tag(
            "span", tag("b", story.name), " ", tag("span", story.scope), class_="which"
        ),
        tag(
            "ul",
            (tag("li", tag("a", name, href=f"#{place}")) for place, name in places),
        ),
        page_controls(),
        class_="top",
        aria_label="Page",
    )


def _phases(story: Story, section: Section) -> Markup:
    return tag(
        "section",
        tag("h2", section.title),
        phases(story),
        class_="account phases",
        id="phases",
    )


def _timeline(picture: Picture) -> Markup:
    return tag(
        "section",
        tag("h2", "Timeline"),
        timeline_controls(),
        tag(
            "div",
            overview(),
            chart(picture),
            class_="picture",
        ),
        legend(),
        class_="timeline",
        id="timeline",
    )


def _events(picture: Picture) -> Markup:
    return tag(
        "section",
        tag("h2", "All events"),
        search(len(picture.points)),
        events_list(picture),
        class_="all-events",
        id="all-events",
    )


def _policy(style: str, script: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _source(name: str) -> str:
    return (files("regnal.replay.telling.html") / name).read_text(encoding="utf-8")
