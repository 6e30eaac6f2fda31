"""The account: the sections of the outline as markup."""

from collections.abc import Iterable, Mapping

from regnal.replay.explaining.story import Link, Moment
from regnal.replay.telling.html.events import anchor_of, body_of
from regnal.replay.telling.html.markup import Content, Markup, tag
from regnal.replay.telling.html.points import Place, place_of
from regnal.replay.telling.html.rows import Picture
from regnal.replay.telling.html.values import clock, since_zero
from regnal.replay.telling.outline import Section, Table


class Account:
    """Turns sections into markup, and leads from what they tell to the events."""

    def __init__(self, picture: Picture) -> None:
        self._points = picture.points
        self._zero: Moment = picture.window.zero
        self._numbers: Mapping[Place, int] = {
            point.place: number for number, point in enumerate(self._points)
        }

    def section(self, section: Section, number: int) -> Markup:
        return tag(
            "section",
            tag("h2", section.title),
            tag("ul", (tag("li", line) for line in section.lines))
            if section.lines
            else "",
            self._told(section),
            tag("p", section.more, class_="more") if section.more else "",
            class_=f"account {section.code}",
            id=section_id(section, number),
        )

    def _told(self, section: Section) -> Content:
        table = section.table
        if table is None or not table.rows:
            return ""
        if table.links:
            moments = (self._moment(link, section) for link in table.links)
            return tag("ol", moments, class_="moments")
        if section.code == "verdict":
            return tag("dl", _named(table))
        return _table(table)

    def _moment(self, link: Link, section: Section) -> Markup:
        number = self._numbers.get(place_of(link))
        kind = "decision" if link.is_decision else "message"
        line: Content = (
            clock(link.moment),
            " ",
            tag("span", since_zero(link.moment - self._zero), class_="since"),
            " ",
            tag("b", link.member),
            " ",
            tag("span", link.part.replace("_", " "), class_="part"),
            " ",
            tag("span", link.text, class_="text"),
        )
        if number is None:
            return tag("li", tag("div", line, class_="line"), class_=kind)
        show = tag(
            "a",
            "show",
            href=f"#{anchor_of(number)}",
            data_event=number,
            class_="show",
            aria_label=f"show {link.text} in the timeline",
        )
        if section.code != "chain":
            return tag("li", tag("div", line, " ", show, class_="line"), class_=kind)
        return tag(
            "li",
            tag("details", tag("summary", line), body_of(self._points[number]), show),
            class_=kind,
        )


def section_id(section: Section, number: int) -> str:
    """Of several of a kind, each its own."""
    return f"{section.code}-{number}" if section.code == "view" else section.code


def _named(table: Table) -> Iterable[Markup]:
    """Names and what they are; a name that comes again is said once."""
    before = ""
    for name, value in table.rows:
        if name != before:
            yield tag("dt", name)
        before = name
        yield tag("dd", value, class_=name.replace(" ", "-"))


def _table(table: Table) -> Markup:
    rows = (
        tag(
            "tr",
            tag("th", first.strip(), scope="row"),
            (tag("td", cell.strip()) for cell in rest),
        )
        for first, *rest in table.rows
    )
    heading = tag("thead", tag("tr", map(_heading, table.heading)))
    return tag(
        "div",
        tag("table", heading if table.heading else "", tag("tbody", rows)),
        class_="wide",
    )


def _heading(cell: str) -> Markup:
    # A heading that says nothing is none.
    return tag("th", cell, scope="col") if cell else tag("td")
