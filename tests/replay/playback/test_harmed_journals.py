"""Whatever befalls a journal: replaying never fails, and calls no damage a difference."""

import contextlib
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from regnal.actors.cast import DECIDERS
from regnal.replay.rebuild import NoSuchMoment, When, rebuild
from regnal.replay.slicing import slice_journal
from regnal.replay.telling.differences import verification_text
from regnal.replay.telling.states import rebuilt_text
from regnal.replay.verify import Verification, verify_journal
from tests.journal.damaging import (
    MUSEUM,
    Contents,
    Harm,
    contents_of,
    cuts,
    flips,
    forgeries,
    several,
    write,
)

SHORT = Contents(
    (name, b"".join(content.splitlines(keepends=True)[:120]))
    for name, content in contents_of(MUSEUM / "pg3").items()
)
"""The beginning of a life, which replays to the same."""

SOMETIMES = settings(max_examples=12, deadline=None)


def verified(contents: Contents) -> Verification:
    with tempfile.TemporaryDirectory() as name:
        return verify_journal(write(contents, Path(name) / "j"), DECIDERS)


def test_unharmed_it_replays_to_the_same() -> None:
    result = verified(SHORT)
    assert result.is_same
    assert result.steps > 40


@given(harm=st.one_of(flips(SHORT), cuts(SHORT)))
@SOMETIMES
def test_what_is_cut_or_flipped_anywhere_is_no_difference(harm: Harm) -> None:
    result = verified(harm.contents)
    assert result.is_same, str(result.differences[0])
    if harm.is_seen:
        assert result.troubles


@given(
    harm=st.one_of(several(SHORT), forgeries(SHORT)),
    when=st.none() | st.integers(1, 130) | st.just("2026-11-28T06:42:41"),
)
@SOMETIMES
def test_nothing_that_befalls_a_journal_makes_replay_fail(
    harm: Harm, when: When
) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = write(harm.contents, Path(name) / "j")
        result = verify_journal(directory, DECIDERS)
        assert verification_text(result)
        with contextlib.suppress(NoSuchMoment):
            assert rebuilt_text(rebuild(directory, DECIDERS, when))
        slice_journal(directory, range(50, 60), Path(name) / "slice", DECIDERS)
