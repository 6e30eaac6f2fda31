"""Chromium, without a window: a real browser for the pages that we write."""

import base64
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains

DEADLINE = 20.0
"""Seconds; for what a page does by itself, on a busy machine."""

QUIET = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
"""Nothing but what the tests ask for."""


def why_no_browser() -> str | None:
    """None: there is one."""
    missing = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    if missing:
        return f"needs {' and '.join(missing)} (Debian: apt-get install chromium chromium-driver)"
    return None


class Browser:
    """One tab, steered over the DevTools protocol."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, path: Path, fragment: str = "") -> None:
        """Anew, whatever was there before."""
        self.driver.get("about:blank")
        self.console()
        self.requests()
        self.driver.get(f"{path.as_uri()}{fragment}")

    def command(self, name: str, **parameters: Any) -> Any:
        return self.driver.execute_cdp_cmd(name, parameters)

    def run(self, script: str, *arguments: Any) -> Any:
        """What the script returns, run in the page."""
        return self.driver.execute_script(script, *arguments)

    def text(self, selector: str) -> str:
        return str(
            self.run(
                "return document.querySelector(arguments[0]).textContent", selector
            )
        )

    def count(self, selector: str) -> int:
        return int(
            self.run("return document.querySelectorAll(arguments[0]).length", selector)
        )

    def box(self, selector: str) -> dict[str, float]:
        found: dict[str, float] = self.run(
            "return document.querySelector(arguments[0]).getBoundingClientRect().toJSON()",
            selector,
        )
        return found

    def is_shown(self, selector: str) -> bool:
        return bool(
            self.run(
                "const one = document.querySelector(arguments[0]);"
                "return one.checkVisibility() && one.getClientRects().length > 0",
                selector,
            )
        )

    def focus(self, selector: str) -> None:
        self.run("document.querySelector(arguments[0]).focus()", selector)

    def press(self, *keys: str) -> None:
        ActionChains(self.driver, duration=0).send_keys(*keys).perform()

    def click(self, selector: str) -> None:
        self.run("document.querySelector(arguments[0]).click()", selector)

    def wait(self, what: str, condition: Callable[[], Any]) -> Any:
        """What `condition` returns as soon as it is true.  Raises AssertionError."""
        deadline = time.monotonic() + DEADLINE
        while True:
            found = condition()
            if found:
                return found
            assert time.monotonic() < deadline, f"in vain: {what}"
            self.run("return 0")  # a round trip: the page goes on meanwhile

    def drawn(self) -> None:
        """Waits until the page has drawn what it planned to."""
        self.driver.execute_async_script(
            "const done = arguments[0];"
            "requestAnimationFrame(() => requestAnimationFrame(() => done()))"
        )

    def console(self) -> list[str]:
        """What was complained about, since this was last asked; of the policy, too."""
        return [str(entry["message"]) for entry in self._log("browser")]

    def requests(self) -> list[str]:
        """Addresses that were asked for, since this was last asked."""
        messages = [
            json.loads(entry["message"])["message"]
            for entry in self._log("performance")
        ]
        return [
            str(one["params"]["request"]["url"])
            for one in messages
            if one["method"] == "Network.requestWillBeSent"
        ]

    def _log(self, kind: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]  # selenium's
        return entries

    def size(self, width: int, height: int) -> None:
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def media(self, kind: str = "", *, scheme: str = "light") -> None:
        """What the page believes of its medium; without a kind it is what it is.

        Nothing moves, so that nobody waits.
        """
        self.command(
            "Emulation.setEmulatedMedia",
            media=kind,
            features=[
                {"name": "prefers-color-scheme", "value": scheme},
                {"name": "prefers-reduced-motion", "value": "reduce"},
            ],
        )

    def printed(self) -> bytes:
        """As PDF."""
        answer = self.command(
            "Page.printToPDF", printBackground=True, preferCSSPageSize=True
        )
        return base64.b64decode(answer["data"])

    def spoken(self) -> list[tuple[str, str]]:
        """Role and name of all that somebody hears who does not see; works without scripts."""
        nodes = self.command("Accessibility.getFullAXTree")["nodes"]
        return [
            (str(node["role"]["value"]), str(node.get("name", {}).get("value", "")))
            for node in nodes
            if not node.get("ignored")
        ]


def pages_of(pdf: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf))


@contextmanager
def chromium(directory: Path) -> Iterator[Browser]:
    """With a new, empty profile in `directory`."""
    options = ChromeOptions()
    for argument in (*QUIET, f"--user-data-dir={directory}"):
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # root has none to offer
    options.set_capability(
        "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
    )
    driver = Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        browser = Browser(driver)
        browser.size(1280, 900)
        browser.media()
        yield browser
    finally:
        driver.quit()
