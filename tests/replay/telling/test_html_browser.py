"""The page of a story in a real browser: what is seen, heard, printed, and never run."""

import logging
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from tests.replay.telling.conftest import Opener
from tests.replay.telling.stories import (
    demo_story,
    hostile,
    with_many_events,
)
from tests.servers.chromium import Browser, pages_of

pytestmark = pytest.mark.server


logger = logging.getLogger(__name__)  # what was measured: pytest --log-level=info -rP

FIRST_RENDER = 15.0
"""Seconds until the page with the most events that there are can be used.  Two to three
were measured on two busy cores without a graphics card."""


def test_it_complains_of_nothing_and_fetches_nothing(
    demo: Browser, pages: Path
) -> None:
    demo.drawn()
    assert demo.requests() == [(pages / "demo.html").as_uri()]
    assert demo.is_shown(".toolbar")
    assert demo.count(".live .bar") > 20
    assert demo.count(".live .mark") > 10
    assert not demo.is_shown(".static")


def test_it_is_dark_at_night_or_when_asked(demo: Browser) -> None:
    script = "return getComputedStyle(document.documentElement).backgroundColor"
    light = demo.run(script)
    demo.media(scheme="dark")
    dark = demo.run(script)
    assert light != dark
    demo.click("[data-does=theme]")
    assert demo.run(script) == light
    demo.click("[data-does=theme]")
    demo.media(scheme="light")
    assert demo.run(script) == dark


def test_times_can_be_those_of_the_computer(demo: Browser) -> None:
    demo.command("Emulation.setTimezoneOverride", timezoneId="Asia/Kolkata")
    try:
        demo.click("[data-does=zone]")
        assert "12:12:45.532 UTC+05:30" in demo.text(".when")
        demo.click("[data-does=zone]")
        assert "06:42:45.532 UTC" in demo.text(".when")
    finally:
        demo.command("Emulation.setTimezoneOverride", timezoneId="")


def test_it_prints_all_of_it_and_no_button(demo: Browser) -> None:
    demo.focus("#chart")
    demo.press("+", "+")
    pdf = demo.printed()
    assert len(pdf) > 50_000
    assert 4 <= pages_of(pdf) <= 8  # fonts differ between machines
    demo.media("print", scheme="dark")
    try:
        assert demo.run("return matchMedia('print').matches")
        for selector in (".controls", ".overview", ".live", "#dock", ".show"):
            assert not demo.is_shown(selector)
        assert demo.is_shown(".static .bar")
        assert demo.count(".chain details:not([open])") == 0
        paper = demo.run(
            "return getComputedStyle(document.documentElement).backgroundColor"
        )
        assert paper == "rgb(255, 255, 255)"
    finally:
        demo.media()


def test_it_is_whole_without_a_script(browser: Browser, pages: Path) -> None:
    browser.command("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(pages / "demo.html")
        spoken = browser.spoken()
    finally:
        browser.command("Emulation.setScriptExecutionDisabled", value=False)
    text = " ".join(name for _, name in spoken)
    story = demo_story()
    assert story.verdict.remedy in text
    for told in (*story.events, *story.chain, *story.candidates):
        assert getattr(told, "text", "") in text
    assert "pg1, role: primary, last known from -2.000 s for 21.24 s" in text
    assert not [name for role, name in spoken if role in ("button", "searchbox")]


def test_all_that_can_be_pressed_has_a_name(demo: Browser) -> None:
    demo.drawn()
    roles = ("application", "button", "checkbox", "link", "searchbox")
    names = [name for role, name in demo.spoken() if role in roles]
    assert len(names) > 20
    assert all(names)


def test_the_keys_are_shown_when_asked_for(demo: Browser) -> None:
    demo.press("?")
    assert demo.is_shown("dialog table")
    demo.press(Keys.ESCAPE)
    assert not demo.is_shown("dialog table")


def test_no_width_makes_it_scroll_sideways(demo: Browser) -> None:
    for width in (360, 768, 3840):
        demo.size(width, 800)
        demo.drawn()
        assert demo.run("return document.documentElement.scrollWidth") <= width
        assert demo.box(".ticks")["width"] > width / 2


ATTACK = (
    "</script><script>window.attacked = 1</script>"
    "\"'><img src=x onerror='window.attacked = 1'><svg onload='window.attacked = 1'>"
    "<!--<script></style><iframe srcdoc='x'></iframe>\u2028\u0000"
)


def test_nothing_in_a_journal_is_run(opened: Opener) -> None:
    browser = opened(hostile(ATTACK))
    browser.focus("#chart")
    browser.press("j", Keys.ENTER)
    browser.click(".moments a[data-event]")
    browser.run(
        "document.querySelectorAll('details').forEach((one) => { one.open = true })"
    )
    browser.drawn()
    assert browser.run("return window.attacked === undefined")
    assert browser.count("img, iframe, svg[onload], [onerror]") == 0
    assert browser.count("script") == 2
    assert browser.is_shown("#dock .facts")
    assert "<img src=x" in browser.text("#opened")
    assert len(browser.requests()) == 1
    assert browser.console() == []


FRAMES = """
const done = arguments[0];
const chart = document.getElementById("chart");
const box = chart.getBoundingClientRect();
const times = [];
let last = performance.now();
function frame(now) {
  times.push(now - last);
  last = now;
  if (times.length > 32) { done(times.slice(2).sort((one, other) => one - other)); return; }
  chart.dispatchEvent(new WheelEvent("wheel", {
    deltaY: times.length < 16 ? -60 : 60, ctrlKey: true, clientX: box.left + 600,
    clientY: box.top + 200, bubbles: true, cancelable: true,
  }));
  requestAnimationFrame(frame);
}
requestAnimationFrame(frame);
"""


def test_the_most_events_that_there_are_can_still_be_used(opened: Opener) -> None:
    browser = opened(with_many_events())
    ready = browser.run("return performance.now()") / 1000
    assert browser.count(".events li[id]") == 4000
    assert ready < FIRST_RENDER
    browser.run("document.getElementById('timeline').scrollIntoView()")
    frames = browser.driver.execute_async_script(FRAMES)
    median, slowest = frames[len(frames) // 2], frames[-1]
    logger.info(
        "Drawn after %.2f s; frames %.0f ms, at most %.0f", ready, median, slowest
    )
    assert slowest < 2_000, "a zoom blocks"
    assert browser.console() == []
