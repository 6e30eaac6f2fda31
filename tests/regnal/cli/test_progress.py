"""Progress is for a person at a terminal, and leaves nothing behind."""

import io
import time

import pytest

from regnal.cli import progress
from regnal.cli.progress import line_of, progress_shown


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_a_line_is_drawn_and_cleared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "REDRAWN_EVERY", 0.0)
    shown = Terminal()
    with progress_shown(shown) as told:
        told("packing pg1", 0, 4_194_304)
        told("packing pg1", 2_097_152, 4_194_304)
        told("checking pg1", 1_048_576, None)
    drawn = shown.getvalue().split("\r\x1b[K")
    assert drawn == [
        "",
        f"packing pg1  [{'-' * 30}]    0%  0 MiB",
        f"packing pg1  [{'#' * 15}{'-' * 15}]   50%  2 MiB",
        "checking pg1  1 MiB",
        "",
    ]


def test_it_is_not_drawn_more_often_than_anybody_can_see() -> None:
    shown = Terminal()
    begun = time.monotonic()
    with progress_shown(shown) as told:
        for number in range(10_000):
            told("reading", number, 10_000)
    spans = (time.monotonic() - begun) / progress.REDRAWN_EVERY
    assert shown.getvalue().count("reading") <= spans + 1


def test_elsewhere_nothing_is_written() -> None:
    shown = io.StringIO()
    with progress_shown(shown) as told:
        told("reading", 1, 2)
    assert shown.getvalue() == ""


def test_when_it_fails_the_line_is_cleared_first() -> None:
    shown = Terminal()

    def fail() -> None:
        with progress_shown(shown) as told:
            told("reading", 1, 2)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert shown.getvalue().endswith("\r\x1b[K")


def test_more_than_all_is_all() -> None:
    """A live journal grows while it is read."""
    assert "[" + "#" * 30 + "]  100%" in line_of("reading", 3, 2)
