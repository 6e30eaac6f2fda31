"""What only a script can use: hidden until there is one, and never printed."""

from regnal.replay.telling.html.markup import Markup, tag

KEYS = (
    ("+  -", "closer, further away"),
    ("←  →", "earlier, later; with Shift the event before, the next one"),
    ("j  k", "the next event, the one before"),
    ("Home  End", "the first event, the last"),
    ("0", "all of it"),
    ("o", "the outage"),
    ("Enter", "open the event"),
    ("Esc", "close it; let go of it"),
    ("c", "arrows of the causal chain, on or off"),
    ("/", "search the events"),
    ("?", "these keys"),
)

POINTER = (
    "Drag to move. Ctrl and the wheel, or two fingers, to come closer; the wheel alone does "
    "it once the timeline was clicked. Double-click to come closer to a place. In the strip "
    "above, drag the window or draw a new one."
)


def page_controls() -> Markup:
    """Of the page as a whole."""
    return tag(
        "div",
        _button("zone", "UTC", "Show times in UTC, or as this computer has them"),
        _button("theme", "Auto", "Light, dark, or as the system has it"),
        _button("copy", "Copy link", "Copy a link to this moment of the timeline"),
        _button("help", "?", "The keys"),
        class_="controls",
        hidden=True,
    )


def timeline_controls() -> Markup:
    return tag(
        "div",
        tag(
            "div",
            _button("closer", "+", "Closer"),
            _button("further", "\N{MINUS SIGN}", "Further away"),
            _button("all", "All", "All of it"),
            _button("outage", "Outage", "The outage"),
            role="group",
            aria_label="Zoom",
        ),
        tag(
            "div",
            _button("before", "◂", "The event before"),
            _button("next", "▸", "The next event"),
            role="group",
            aria_label="Events",
        ),
        tag("div", _button("chain", "Causal chain", "Arrows of the causal chain")),
        tag("p", id="visible", class_="visible"),
        class_="controls toolbar",
        hidden=True,
    )


def overview() -> Markup:
    """The strip that shows which part of the whole is in sight."""
    return tag(
        "div",
        tag("span", "overview", class_="label"),
        tag("svg", id="overview", aria_hidden="true"),
        class_="overview",
        hidden=True,
    )


def search(count: int) -> Markup:
    return tag(
        "div",
        tag("label", "Search", for_="search"),
        tag(
            "input",
            id="search",
            type="search",
            autocomplete="off",
            spellcheck="false",
            placeholder="words, a member, a rule, a value",
        ),
        tag(
            "label",
            tag("input", id="decisions", type="checkbox"),
            " decisions only",
        ),
        tag("span", f"{count} events", id="found", role="status"),
        class_="controls search",
        hidden=True,
    )


def dock() -> Markup:
    """Where an event that was opened in the timeline is shown."""
    return tag(
        "aside",
        tag(
            "div",
            tag("h2", tabindex=-1, id="opened", class_="shown"),
            tag(
                "div",
                _button("before", "◂", "The event before"),
                _button("next", "▸", "The next event"),
                _button("close", "Close", "Close (Esc)"),
                class_="controls",
            ),
            class_="title",
        ),
        tag("div", class_="grounds-of-it"),
        id="dock",
        aria_labelledby="opened",
        hidden=True,
    )


def keys() -> Markup:
    return tag(
        "dialog",
        tag("h2", "Keys"),
        tag(
            "table",
            tag(
                "tbody",
                (
                    tag(
                        "tr",
                        tag(
                            "th",
                            (tag("kbd", one) for one in pressed.split("  ")),
                            scope="row",
                        ),
                        tag("td", does),
                    )
                    for pressed, does in KEYS
                ),
            ),
        ),
        tag("p", POINTER),
        tag("form", tag("button", "Close"), method="dialog"),
        id="keys",
        aria_label="Keys",
    )


def _button(does: str, text: str, title: str) -> Markup:
    return tag(
        "button",
        text,
        type="button",
        data_does=does,
        title=title,
        aria_label=title if len(text) == 1 else None,
    )
