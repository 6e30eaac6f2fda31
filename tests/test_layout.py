"""The layout that docs/layout.md promises: doors, full names, one address for every module."""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("actors", "bridges", "events", "journal", "messages", "replay")
SOURCES = (*ROOMS, "regnal", "tests", "benchmarks")
SUSPICIOUS = re.compile(rf"(?:\bfrom|\bimport|,)[ \t]+(?:\.|(?:{'|'.join(ROOMS)})\b)")


@pytest.mark.parametrize("room", ROOMS)
def test_a_door_leads_to_the_folder_at_the_root(room: str) -> None:
    door = ROOT / "regnal" / room
    assert door.is_symlink()
    # Relative, so that a clone elsewhere still works.
    assert door.readlink() == Path("..") / room
    assert door.resolve() == ROOT / room
    assert (ROOT / room / "__init__.py").is_file()


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "regnal" / "py.typed").is_file()


def test_no_module_was_imported_under_a_bare_name() -> None:
    bare = {name for name in sys.modules if name.partition(".")[0] in ROOMS}
    assert bare == set()


def test_no_source_imports_a_bare_or_relative_name() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in python_files()
        for line, name in imported_names(path)
        if name.startswith(".") or name.partition(".")[0] in ROOMS
    ]
    assert wrong == []


def python_files() -> tuple[Path, ...]:
    """Every source once, by its real path: what lies behind a door is left out."""
    return tuple(
        path
        for folder in SOURCES
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not any(parent.is_symlink() for parent in path.parents)
    )


def imported_names(path: Path) -> tuple[tuple[int, str], ...]:
    """The line and the full name of every import in a file that may have a wrong one; a
    relative one begins with dots."""
    names: list[tuple[int, str]] = []
    text = path.read_text(encoding="utf-8")
    if not SUSPICIOUS.search(text):
        return ()  # to parse hundreds of files takes seconds
    tree = ast.parse(text, filename=str(path))
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                names += [(node.lineno, alias.name) for alias in aliases]
            case ast.ImportFrom(module=module, level=level):
                names.append((node.lineno, "." * level + (module or "")))
            case _:
                pass
    return tuple(names)
