"""A page, read back: what a program sees in it that has no browser."""

from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Element:
    name: str
    attributes: dict[str, str]
    text: str = ""
    """Its own and that of what it holds."""


@dataclass
class Document:
    elements: list[Element] = field(default_factory=list)

    def all(self, name: str, **attributes: str) -> list[Element]:
        """Elements of that name with these attributes; of `class` one has to be among."""
        return [
            one
            for one in self.elements
            if one.name == name
            and all(
                wanted in one.attributes.get(key.rstrip("_"), "").split()
                for key, wanted in attributes.items()
            )
        ]

    def one(self, name: str, **attributes: str) -> Element:
        (found,) = self.all(name, **attributes)
        return found

    @property
    def structure(self) -> Counter[tuple[str, tuple[str, ...]]]:
        """Elements with the names of their attributes: what a text must never change."""
        return Counter(
            (one.name, tuple(sorted(one.attributes))) for one in self.elements
        )


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.document = Document()
        self._open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.document.elements.append(element)
        if tag not in ("br", "input", "meta"):
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.document.elements.append(
            Element(tag, {name: value or "" for name, value in attrs})
        )

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> without a beginning"
        assert self._open.pop().name == tag

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def read(text: str) -> Document:
    """Raises AssertionError where elements do not nest."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert not reader._open
    return reader.document
