"""Journals of all ages replay for ever, but for what was changed with intent.

A new journal is a directory `tests/journals/NAME/MEMBER`; what differs there, and shall,
stands in `changed.yaml` beside them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from regnal.actors.cast import DECIDERS
from regnal.replay.telling.differences import difference_text
from regnal.replay.verify import verify_journal

MUSEUM = Path(__file__).parents[1] / "journals"

JOURNALS = sorted(
    str(path.relative_to(MUSEUM)) for path in MUSEUM.glob("*/*") if path.is_dir()
)

CHANGES: list[dict[str, Any]] = yaml.safe_load((MUSEUM / "changed.yaml").read_text())

FORGOTTEN = ("the state differs in watchdog_failed",)
"""What actors do not remember any more: snapshots with it are not read."""

Place = tuple[str, int]
"""Actor and record."""


def listed(journal: str) -> Mapping[Place, str | None]:
    """The rule that the journal has at each place where a difference is wanted."""
    return {
        (change["actor"], record): rule
        for change in CHANGES
        for record, rule in change.get("records", {}).get(journal, {}).items()
    }


def deviates_at(journal: str) -> int | None:
    """The first record from which on nothing is compared."""
    starts = [c["from"][journal] for c in CHANGES if journal in c.get("from", {})]
    return min(starts, default=None)


@pytest.mark.parametrize("journal", JOURNALS)
def test_it_replays_to_the_same_but_for_what_was_changed_with_intent(
    journal: str,
) -> None:
    result = verify_journal(MUSEUM / journal, DECIDERS)
    assert result.steps > 200
    assert all(any(gone in t for gone in FORGOTTEN) for t in result.troubles)
    wanted, end = listed(journal), deviates_at(journal)
    differences = [d for d in result.differences if end is None or d.record < end]
    found = {(one.actor, one.record): one.rule for one in differences}
    others = [d for d in differences if (d.actor, d.record) not in wanted]
    if others:
        text = difference_text(others)
        pytest.fail(
            f"{journal} replays otherwise; if that is wanted, say why in "
            f"tests/journals/changed.yaml:\n\n{text}",
            pytrace=False,
        )
    assert found == wanted, "a difference that is listed is none any more"
    assert end is None or any(d.record == end for d in result.differences)


def test_every_change_says_why_and_is_of_a_journal_that_is_here() -> None:
    for change in CHANGES:
        assert len(change["why"]) > 40
        assert {*change.get("records", {}), *change.get("from", {})} <= set(JOURNALS)
        assert change["actor"] in {decider.name for decider in DECIDERS}
