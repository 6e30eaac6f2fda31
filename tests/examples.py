"""How many examples a property is tried with, and how many cases a test.

The number stands at the test; the quick suite takes half as many, since it tries the same
ones every time, a thorough run (`make test-slow`) ten times as many.
"""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import settings

USUAL = 50
"""Of a property that names no number."""

QUICK = USUAL // 2
THOROUGH = 10 * USUAL


def examples(count: int) -> settings:
    """Try this property so often, in a thorough run ten times, in a quick one half so often.

        @given(...)
        @examples(20)  # each starts a process
        def test_...

    Under the profile that is loaded when the test's module is imported.
    """
    usual = settings.default
    assert usual is not None
    return settings(max_examples=max(1, count * usual.max_examples // USUAL))


def usually(cases: Sequence[Any], count: int) -> list[Any]:
    """Cases for `parametrize`: the first `count` in the quick suite, the others only in
    `make test-slow`."""
    return [
        case if number < count else pytest.param(case, marks=pytest.mark.slow)
        for number, case in enumerate(cases)
    ]
