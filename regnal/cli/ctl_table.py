"""Tables of regnalctl: for people with borders, for programs as TSV, JSON or YAML.

The layouts are those that scripts written for patronictl expect.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple
from unicodedata import combining, east_asian_width

import click
import yaml

Format = Literal["pretty", "tsv", "json", "yaml", "yml"]
FORMATS: tuple[Format, ...] = ("pretty", "tsv", "json", "yaml", "yml")

Row = Mapping[str, Any]
"""Key of a column to its value; a key that is absent, or None, is an empty cell."""


class Column(NamedTuple):
    key: str
    """In the rows."""

    heading: str
    """What programs read above it."""

    title: str
    """What people read above it; two columns may have the same."""

    to_the_right: bool = False


def column(
    key: str, *, heading: str = "", title: str = "", to_the_right: bool = False
) -> Column:
    heading = heading or key
    return Column(key, heading, title or heading, to_the_right)


def print_table(
    columns: Sequence[Column],
    rows: Sequence[Row],
    output: Format,
    *,
    title: str | None = None,
    delimiter: str = "\t",
) -> None:
    """Echo the rows in the wanted format; `title` stands in the upper border."""
    text = table_text(columns, rows, output, title=title, delimiter=delimiter)
    click.echo(text)


def table_text(
    columns: Sequence[Column],
    rows: Sequence[Row],
    output: Format,
    *,
    title: str | None = None,
    delimiter: str = "\t",
) -> str:
    match output:
        case "pretty":
            return bordered(columns, rows, title)
        case "tsv":
            return separated(columns, rows, delimiter)
        case "json":
            return json.dumps([_filled(row) for row in rows], default=str)
        case "yaml" | "yml":
            return yaml_text([_filled(row) for row in rows])


def _filled(row: Row) -> dict[str, Any]:
    """Without the empty columns."""
    return {key: value for key, value in row.items() if value is not None}


_UNLIMITED = 1 << 30


def yaml_text(value: Any) -> str:
    """In block style, keys sorted, as `show-config` prints it."""
    return yaml.dump(
        value,
        Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper),
        default_flow_style=False,
        encoding=None,
        allow_unicode=True,
        width=200,
    )


def yaml_flow(value: Any) -> str:
    """On one line: `{clonefrom: true, number: 5}`."""
    return yaml.dump(
        value,
        Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper),
        default_flow_style=True,
        encoding=None,
        allow_unicode=True,
        width=_UNLIMITED,
    ).strip()


def separated(columns: Sequence[Column], rows: Sequence[Row], delimiter: str) -> str:
    """One line a row, titles first; whatever would break a line becomes a blank."""
    lines = [delimiter.join(one.heading for one in columns)]
    lines += [
        delimiter.join(_one_line(row.get(one.key), delimiter) for one in columns)
        for row in rows
    ]
    return "\n".join(lines)


def _one_line(value: Any, delimiter: str) -> str:
    if isinstance(value, Mapping):
        value = yaml_flow(dict(value))
    text = _cell_text(value).replace("\n", ", ")
    return text.replace(delimiter, " ")


def _cell_text(value: Any) -> str:
    return "" if value is None else str(value)


def bordered(columns: Sequence[Column], rows: Sequence[Row], title: str | None) -> str:
    """The table for people.

    As soon as one cell has several lines, a rule stands below every row.
    """
    cells = [[_lines(row.get(one.key)) for one in columns] for row in rows]
    widths = [
        max(
            [_width(one.title)] + [_width(line) for row in cells for line in row[index]]
        )
        for index, one in enumerate(columns)
    ]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    ruled = any(len(cell) > 1 for row in cells for cell in row)
    text = [_titled(rule, title), _line(widths, columns, _titles(columns)), rule]
    for number, row in enumerate(cells):
        text += _row_lines(widths, columns, row)
        if ruled or number == len(cells) - 1:
            text.append(rule)
    if not cells:
        text.append(rule)
    return "\n".join(text)


def _titles(columns: Sequence[Column]) -> list[str]:
    return [one.title for one in columns]


def _titled(rule: str, title: str | None) -> str:
    """The upper border with the title laid over it, cut where the border ends."""
    if title is None:
        return rule
    inner = f" {title} "[: len(rule) - 2]
    return "+" + inner + rule[len(inner) + 1 :]


def _lines(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return yaml_text(dict(value)).strip().splitlines()
    return _cell_text(value).splitlines() or [""]


def _row_lines(
    widths: Sequence[int], columns: Sequence[Column], row: Sequence[Sequence[str]]
) -> list[str]:
    height = max(len(cell) for cell in row)
    return [
        _line(widths, columns, [cell[n] if n < len(cell) else "" for cell in row])
        for n in range(height)
    ]


def _line(
    widths: Sequence[int], columns: Sequence[Column], cells: Sequence[str]
) -> str:
    return (
        "|"
        + "|".join(
            f" {_padded(cell, width, one.to_the_right)} "
            for width, one, cell in zip(widths, columns, cells, strict=True)
        )
        + "|"
    )


def _padded(text: str, width: int, to_the_right: bool) -> str:
    blanks = " " * (width - _width(text))
    return blanks + text if to_the_right else text + blanks


def _width(text: str) -> int:
    """Of the text on a terminal: East Asian characters take two columns."""
    if text.isascii():
        return len(text)
    return sum(
        0 if combining(one) else 2 if east_asian_width(one) in "WF" else 1
        for one in text
    )
