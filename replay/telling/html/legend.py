"""The looks of bars and marks: what they are drawn with, and what they mean."""

from regnal.replay.telling.html.markup import Markup, tag
from regnal.replay.telling.html.tones import MEANINGS

PATTERNS = Markup(
    '<svg class="patterns" width="0" height="0" aria-hidden="true"><defs>'
    '<pattern id="moves" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect class="ground" width="7" height="7"/><rect class="figure" width="3" height="7"/></pattern>'
    '<pattern id="gone" width="6" height="6" patternUnits="userSpaceOnUse">'
    '<path class="figure" d="M0 0L6 6M6 0L0 6"/></pattern>'
    '<pattern id="unknown" width="5" height="5" patternUnits="userSpaceOnUse">'
    '<circle class="figure" cx="2" cy="2" r="1"/></pattern>'
    '<pattern id="no-writes" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)">'
    '<rect class="ground" width="8" height="8"/><rect class="figure" width="1" height="8"/></pattern>'
    '<path id="decision" d="M0-5.5L5.5 0L0 5.5L-5.5 0Z"/><circle id="message" r="3.5"/>'
    '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0L8 4L0 8Z"/></marker>'
    "</defs></svg>"
)
"""What the stylesheet and the script draw with."""


def legend() -> Markup:
    """What the looks mean."""
    looks = (
        *((_bar(f"bar {tone}"), meaning) for tone, meaning in MEANINGS.items()),
        (_bar("bar leads last-known"), "pale: last known, as the daemon was gone"),
        (_mark("decision"), "a decision of an actor"),
        (_mark("message"), "something that happened"),
        (_mark("decision", "chained"), "a link of the causal chain"),
        (_bar("no-writes"), "nobody could write"),
    )
    return tag(
        "ul",
        (tag("li", look, " ", meaning) for look, meaning in looks),
        class_="legend",
    )


def _bar(looks: str) -> Markup:
    return tag(
        "svg",
        tag("rect", class_=looks, width="100%", height="100%"),
        class_="swatch",
        aria_hidden="true",
    )


def _mark(kind: str, *looks: str) -> Markup:
    classes = " ".join(("mark", kind, *looks))
    return tag(
        "svg",
        tag("use", href=f"#{kind}", class_=classes, x="50%", y="50%"),
        class_="swatch bare",
        aria_hidden="true",
    )
