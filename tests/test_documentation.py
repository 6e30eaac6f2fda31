"""The pages point at what exists, and the behaviours that tests name are in the list."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")))
LINK = re.compile(r"\[[^\]]+\]\((?!https?://)([^)#]+)(?:#[^)]*)?\)")
ROW = re.compile(r"^\| ((?:P-)?[A-Z0-9]+(?:-[A-Z0-9]+)?)-(\d{2}) \|", re.M)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_no_behaviour_has_two_rows() -> None:
    rows = behaviours()
    assert len(rows) > 600
    assert len(rows) == len(set(rows))


def test_every_behaviour_that_a_test_names_is_listed() -> None:
    rows = behaviours()
    areas = {row.rpartition("-")[0] for row in rows}
    alternatives = "|".join(sorted(map(re.escape, areas), key=len, reverse=True))
    named = re.compile(rf"(?<![A-Z-])(?:{alternatives})-\d{{2}}(?!\d)")
    unknown = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for name in named.findall(path.read_text(encoding="utf-8"))
        if name not in rows
    ]
    assert unknown == []


def behaviours() -> tuple[str, ...]:
    text = (ROOT / "docs" / "behaviours.md").read_text(encoding="utf-8")
    return tuple(f"{area}-{number}" for area, number in ROW.findall(text))
