"""Moments as people type them."""

import pytest

from regnal.journal.moments import parse_moment

NOW = 1_795_419_062_114_901  # 2026-11-23T07:31:02.114901Z


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23T07:31:02Z", "2026-11-23T07:31:02.000000Z"),
        ("2026-11-23T08:31:02.5+01:00", "2026-11-23T07:31:02.500000Z"),
        ("2026-11-23 07:31", "2026-11-23T07:31:00.000000Z"),
        ("2026-11-22", "2026-11-22T00:00:00.000000Z"),
        ("07:30", "2026-11-23T07:30:00.000000Z"),
        ("7:30:01.25", "2026-11-23T07:30:01.250000Z"),
        ("10m", "2026-11-23T07:21:02.114901Z"),
        ("90 s", "2026-11-23T07:29:32.114901Z"),
        ("2h", "2026-11-23T05:31:02.114901Z"),
        ("1d", "2026-11-22T07:31:02.114901Z"),
    ],
)
def test_a_moment_is_understood(text: str, moment: str) -> None:
    assert parse_moment(text, NOW) == moment


@pytest.mark.parametrize(
    "text", ["", "soon", "10", "10y", "25:00", "2026-13-01", "99999999d", "-5m", "\0"]
)
def test_what_is_no_moment_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="give one such as"):
        parse_moment(text, NOW)
