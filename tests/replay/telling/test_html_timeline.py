"""The timeline of a page in a real browser: keys, pointers, arrows, and where things are drawn."""

import re
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import pytest
from selenium.webdriver.common.keys import Keys

from regnal.replay.telling.html.points import Point, points_of
from regnal.replay.telling.html.rows import Window, window_of
from tests.replay.telling.conftest import Opener
from tests.replay.telling.stories import (
    demo_story,
    with_many_members,
    without_a_successor,
)
from tests.servers.chromium import Browser

pytestmark = pytest.mark.server


def in_sight(browser: Browser) -> tuple[float, float]:
    """Seconds since the outage began, as the address has them."""
    browser.click("[data-does=copy]")
    found = re.search(r"t=([-\d.]+),([-\d.]+)", browser.run("return location.hash"))
    if found is None:
        window = window_of_demo()
        return window.since - window.zero, window.until - window.zero
    return float(found[1]), float(found[2])


def row_of(browser: Browser, point: Point) -> str:
    """Selector of the row in which it is a mark."""
    number = browser.run(
        "const data = JSON.parse(document.getElementById('report').textContent);"
        "return data.points.find((point) => point.at(-1) === arguments[0])[1]",
        point.id,
    )
    return f"[data-row='{number}']"


def window_of_demo() -> Window:
    return window_of(demo_story(), points_of(demo_story()))


def test_keys_zoom_and_move_what_is_in_sight(demo: Browser) -> None:
    whole = in_sight(demo)
    demo.focus("#chart")
    demo.press("+")
    closer = in_sight(demo)
    assert closer[1] - closer[0] == pytest.approx((whole[1] - whole[0]) / 2, rel=1e-3)
    demo.press(Keys.ARROW_RIGHT)
    later = in_sight(demo)
    assert later[0] > closer[0]
    assert later[1] - later[0] == pytest.approx(closer[1] - closer[0], rel=1e-3)
    demo.press("-")
    demo.press("-")
    assert in_sight(demo) == pytest.approx(whole)
    demo.press("+", "+", "0")
    assert in_sight(demo) == pytest.approx(whole)


def test_the_wheel_zooms_where_the_pointer_is(demo: Browser) -> None:
    whole = in_sight(demo)
    demo.run(
        """
        const chart = document.getElementById("chart");
        const box = chart.querySelector(".ticks").getBoundingClientRect();
        chart.dispatchEvent(new WheelEvent("wheel", {
            deltaY: -300, ctrlKey: true, clientX: box.left + 1, clientY: box.top + 200,
            bubbles: true, cancelable: true,
        }));
        """
    )
    closer = in_sight(demo)
    assert closer[0] == pytest.approx(whole[0], abs=0.01)
    assert closer[1] < whole[1]


def test_the_pointer_drags_the_timeline(demo: Browser) -> None:
    demo.focus("#chart")
    demo.press("+")
    before = in_sight(demo)
    track = demo.box(".ticks")
    x, y = track["left"] + track["width"] / 2, track["bottom"] + 25
    demo.run("document.getElementById('chart').scrollIntoView()")
    y = demo.box(".ticks")["bottom"] + 12
    for kind, at in (
        ("mousePressed", x),
        ("mouseMoved", x - 100),
        ("mouseReleased", x - 100),
    ):
        demo.command(
            "Input.dispatchMouseEvent",
            type=kind,
            x=at,
            y=y,
            button="left",
            buttons=1,
            clickCount=1,
        )
    after = in_sight(demo)
    moved = 100 / track["width"] * (before[1] - before[0])
    assert after[0] - before[0] == pytest.approx(moved, rel=0.05)


def test_two_fingers_come_closer(demo: Browser) -> None:
    before = in_sight(demo)
    demo.run("document.getElementById('chart').scrollIntoView()")
    track = demo.box(".ticks")
    y, middle = track["bottom"] + 12, track["left"] + track["width"] / 2

    def touch(kind: str, apart: float) -> None:
        fingers = [
            {"x": middle + side * apart, "y": y, "id": number}
            for number, side in enumerate((-1, 1))
        ]
        demo.command(
            "Input.dispatchTouchEvent", type=kind, touchPoints=fingers if apart else []
        )

    touch("touchStart", 60)
    touch("touchMove", 120)
    touch("touchEnd", 0)
    after = in_sight(demo)
    assert after[1] - after[0] == pytest.approx((before[1] - before[0]) / 2, rel=0.1)


def test_enter_opens_the_facts_of_an_event_and_escape_closes_them(
    demo: Browser,
) -> None:
    demo.focus("#chart")
    demo.press("j", "j", Keys.ENTER)
    second = points_of(demo_story())[1]
    assert demo.is_shown("#dock .facts")
    assert second.text in demo.text("#opened")
    assert second.what in demo.text("#dock .body")
    assert f"--after {second.at.record - 1} -n 1" in demo.text("#dock .command")
    assert demo.run("return document.activeElement.id") == "opened"
    demo.press("k")
    assert points_of(demo_story())[0].text in demo.text("#opened")
    demo.press(Keys.ESCAPE)
    assert not demo.is_shown("#dock")
    assert demo.run("return document.activeElement.id") == "chart"


def test_tab_goes_through_the_list_and_enter_opens_there_too(demo: Browser) -> None:
    demo.focus("#e0 summary")
    demo.press(Keys.TAB)
    assert demo.run("return document.activeElement.closest('li').id") == "e1"
    assert demo.count("#e1.selected") == 1
    demo.press(Keys.ENTER)
    assert demo.is_shown("#e1 .facts")
    assert demo.count(".over .ring") == 1


def test_a_mark_is_opened_by_a_click(demo: Browser) -> None:
    point = next(one for one in points_of(demo_story()) if one.part == "process")
    selector = row_of(demo, point)
    demo.run(
        "document.querySelector(arguments[0]).scrollIntoView({ block: 'center' })",
        selector,
    )
    box = demo.box(f"{selector} .track")
    x = box["left"] + box["width"] * window_of_demo().share(point.moment) / 100
    for kind in ("mousePressed", "mouseReleased"):
        demo.command(
            "Input.dispatchMouseEvent",
            type=kind,
            x=x,
            y=box["top"] + 10,
            button="left",
            clickCount=1,
        )
    assert point.text in demo.text("#opened")


def test_arrows_lead_along_the_chain_and_to_what_is_selected(demo: Browser) -> None:
    points = points_of(demo_story())
    links = sorted((one.link, one) for one in points if one.link is not None)
    chain = [one for _, one in links]
    demo.drawn()
    # Within a row, what is less than a mark apart needs no arrow.
    between = [pair for pair in pairwise(chain) if pair[0].part != pair[1].part]
    assert demo.count(".over .of-chain") == len(between) > 3

    path = demo.run(
        "return [...document.querySelectorAll('.of-chain')].at(-1).getAttribute('d')"
    )
    x, y = (float(number) for number in path.split()[-2:])
    plot, row = demo.box(".ticks"), demo.box(row_of(demo, chain[-1]))
    share = window_of_demo().share(chain[-1].moment) / 100
    assert x == pytest.approx(share * plot["width"], abs=10)
    assert y == pytest.approx(row["top"] + 10 - demo.box("#chart")["top"], abs=2)

    demo.press("c")
    demo.drawn()
    assert demo.count(".over .of-chain") == 0
    selected = next(one for one in points if one.cause is not None and one.effects)
    demo.run("location.hash = arguments[0]", f"#e={quote(selected.id, safe='')}")
    demo.wait("arrows", lambda: demo.count(".over .of-effect") == len(selected.effects))
    assert demo.count(".over .of-cause") >= 1


def test_the_outage_is_shaded_where_it_was(demo: Browser) -> None:
    story, window = demo_story(), window_of_demo()
    assert story.outage is not None
    assert story.outage.until is not None
    for fragment, since, until in (
        ("", window.since, window.until),
        ("#t=-1.5,20", window.zero - 1.5, window.zero + 20),
    ):
        demo.run("location.hash = arguments[0]", fragment)
        demo.drawn()
        plot, shading = demo.box(".ticks"), demo.box(".under .no-writes")
        for edge, moment in (
            ("left", story.outage.since),
            ("right", story.outage.until),
        ):
            share = (moment - since) / (until - since)
            expected = plot["left"] + share * plot["width"]
            assert shading[edge] == pytest.approx(expected, abs=1)
        chart = demo.box("#chart")
        assert shading["bottom"] >= chart["bottom"] - 1, "it covers all lanes"


def test_an_outage_that_did_not_end_is_shaded_to_the_edge(opened: Opener) -> None:
    browser = opened(without_a_successor())
    assert browser.box(".under .no-writes")["right"] >= browser.box(".ticks")["right"]


def test_a_link_leads_to_a_moment_and_an_event(browser: Browser, pages: Path) -> None:
    point = next(one for one in points_of(demo_story()) if one.link == 3)
    browser.open(pages / "demo.html", f"#t=16.5,17.5&e={quote(point.id, safe='')}")
    browser.drawn()
    assert in_sight(browser) == (16.5, 17.5)
    assert browser.count(".events .selected") == 1
    assert point.text in browser.text(".events .selected")


NONSENSE = (
    "#t=1",
    "#t=a,b&e=",
    "#t=9,1",
    "#e=%22%3E%3Cimg%3E",
    "#t=1e999,2",
    "#e99999",
    "#é",
)


def test_a_link_that_makes_no_sense_shows_everything(
    demo: Browser, pages: Path
) -> None:
    demo.open(pages / "demo.html", NONSENSE[0])
    for fragment in NONSENSE:
        demo.run("location.hash = arguments[0]", fragment)
        demo.drawn()
        assert demo.count(".live .bar") > 20
        assert demo.count(".sight, .ring, img") == 0


def test_the_search_leaves_what_has_all_the_words(demo: Browser) -> None:
    expected = [one for one in points_of(demo_story()) if one.what == "peers_probed"]
    demo.focus("#search")
    demo.press("peers_probed pg2")
    demo.drawn()
    among = [one for one in expected if "pg2" in f"{one.member} {one.facts} {one.text}"]
    assert demo.count(".events li[id]:not([hidden])") == len(among)
    assert demo.text("#found").startswith(f"{len(among)} of ")
    assert demo.count(".live .faded") > 0


def test_a_member_can_be_folded(demo: Browser) -> None:
    rows = "return [...document.querySelectorAll('.row')].filter((row) => row.checkVisibility()).length"
    before = demo.run(rows)
    demo.click(".fold")
    demo.drawn()
    assert demo.run(rows) < before - 5
    assert demo.run("return document.querySelector('.fold').ariaExpanded") == "false"


def test_of_many_members_those_that_never_led_are_folded(opened: Opener) -> None:
    browser = opened(with_many_members(7))
    assert browser.count(".group") == 7
    assert browser.count(".group.folded") == 5
    assert browser.count(".group.folded .row.kept") == 5
    last = next(
        one for one in reversed(points_of(with_many_members(7))) if one.member == "pg7"
    )
    browser.run("location.hash = arguments[0]", f"#e={quote(last.id, safe='')}")
    browser.wait("its member", lambda: browser.count(".group.folded") == 4)
    assert browser.console() == []
