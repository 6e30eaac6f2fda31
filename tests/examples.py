"""How many examples a property is tried with.

The number stands at the test; a thorough run (`make test-slow`) takes ten times as many.
"""

from hypothesis import settings

USUAL = 50
"""Of a property that names no number, in the quick suite."""

THOROUGH = 10 * USUAL


def examples(count: int) -> settings:
    """Try this property so often, in a thorough run ten times so often.

        @given(...)
        @examples(20)  # each starts a process
        def test_...

    Under the profile that is loaded when the test's module is imported.
    """
    usual = settings.default
    assert usual is not None
    return settings(max_examples=count * usual.max_examples // USUAL)
