"""Markup: HTML that is safe because of how it is made.

A text becomes markup in one place only, `tag`, and there it is escaped.  Everything in a
journal may have been written by somebody who wishes the reader ill.
"""

import re
from collections.abc import Iterable
from html import escape
from typing import TypeAlias


class Markup(str):
    """HTML; made by `tag`, or written in our own source."""

    __slots__ = ()


Content: TypeAlias = str | Markup | Iterable["Content"]
"""What stands in an element: texts are escaped, markup is not."""

Attribute: TypeAlias = str | int | float | bool | None
"""None and False: it is left out."""

VOID = frozenset({"br", "input", "meta"})
"""Elements without an end."""

_UNSEEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
    "\ud800-\udfff\ufffe\uffff"
)
"""Characters that are not seen, turn the direction of the text around them, or cannot be
written as UTF-8."""

UNSEEN = re.compile(f"[{_UNSEEN}]")

UNSAFE = re.compile(f"[&<>\"'{_UNSEEN}]")


def tag(name: str, /, *content: Content, **attributes: Attribute) -> Markup:
    """The element `name`; `class_` and `aria_label` become `class` and `aria-label`."""
    inside = "".join(map(_markup, content))
    start = f"<{name}{''.join(_attributes(attributes))}>"
    return Markup(start if name in VOID else f"{start}{inside}</{name}>")


def join(*content: Content) -> Markup:
    """One after the other."""
    return Markup("".join(map(_markup, content)))


def readable(text: str) -> str:
    """With what cannot be seen shown by its number, so that it deceives nobody."""
    return UNSEEN.sub(_number, text)


def _number(found: re.Match[str]) -> str:
    return f"⟨U+{ord(found[0]):04X}⟩"


def _harmless(found: re.Match[str]) -> str:
    return escape(found[0]) if found[0] in "&<>\"'" else _number(found)


def _markup(content: Content) -> str:
    if isinstance(content, Markup):
        return content
    if isinstance(content, str):
        return UNSAFE.sub(_harmless, content)
    return "".join(map(_markup, content))


def _attributes(attributes: dict[str, Attribute]) -> Iterable[str]:
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        written = name.rstrip("_").replace("_", "-")
        if value is True:
            yield f" {written}"
        else:
            text = f"{value:.7g}" if isinstance(value, float) else str(value)
            yield f' {written}="{UNSAFE.sub(_harmless, text)}"'
