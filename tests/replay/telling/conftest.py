"""A browser for all tests of the package, and the pages that it opens."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from regnal.replay.explaining.story import Story
from regnal.replay.telling.html.page import story_html
from tests.replay.telling.stories import demo_story
from tests.servers.chromium import Browser, chromium, why_no_browser

Opener: TypeAlias = Callable[[Story], Browser]


@pytest.fixture(scope="package")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    reason = why_no_browser()
    if reason is not None:
        pytest.skip(reason)
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="package")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stories as files."""
    directory = tmp_path_factory.mktemp("pages")
    (directory / "demo.html").write_text(story_html(demo_story()), encoding="utf-8")
    return directory


@pytest.fixture
def demo(browser: Browser, pages: Path) -> Iterator[Browser]:
    """The page of the demo; afterwards nothing may have been complained about."""
    browser.size(1280, 900)
    browser.media()
    browser.open(pages / "demo.html")
    yield browser
    assert browser.console() == []


@pytest.fixture
def opened(browser: Browser, pages: Path) -> Opener:
    """Opens the page of a story."""

    def open_story(story: Story) -> Browser:
        path = pages / "other.html"
        path.write_text(story_html(story), encoding="utf-8")
        browser.size(1280, 900)
        browser.media()
        browser.open(path)
        browser.drawn()
        return browser

    return open_story
