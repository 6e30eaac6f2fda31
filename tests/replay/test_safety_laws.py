"""The laws that simulator and model checker share: what breaks them, and what does not."""

import pytest

from regnal.messages.cluster import SyncState
from regnal.replay.safety_laws import (
    law_of_electors,
    law_of_lag,
    law_of_letting_go,
    law_of_promotion,
    law_of_start,
)


def key(leader: str | None, *standbys: str, quorum: int = 0) -> SyncState:
    return SyncState(leader=leader, standbys=standbys, quorum=quorum, revision=1)


@pytest.mark.parametrize(
    ("leads", "sync", "law"),
    [
        pytest.param(False, None, "without the leader lock", id="no lock"),
        pytest.param(True, None, None, id="asynchronous"),
        pytest.param(True, key(None), None, id="a key without a leader"),
        pytest.param(True, key("a", "c"), "does not name it", id="outside the key"),
        pytest.param(True, key("a", "b"), "lets others lead", id="not claimed"),
        pytest.param(True, key("b"), None, id="claimed"),
    ],
)
def test_promotion(leads: bool, sync: SyncState | None, law: str | None) -> None:
    """Laws 3 and 4."""
    broken = law_of_promotion("b", leads=leads, sync=sync)
    assert (broken is None) if law is None else (broken is not None and law in broken)


def test_lag_is_counted_from_what_was_published() -> None:
    """Law 3."""
    assert law_of_lag("b", published=300, position=200, limit=100) is None
    broken = law_of_lag("b", published=301, position=200, limit=100)
    assert broken == "law 3: b is promoted though it lags by 101 bytes"


def test_the_lock_is_needed_to_start_and_kept_while_writes_are_taken() -> None:
    """Law 1."""
    assert law_of_start("a", leads=True) is None
    assert law_of_start("a", leads=False) is not None
    assert law_of_letting_go("a", takes_writes=False) is None
    assert law_of_letting_go("a", takes_writes=True) is not None


@pytest.mark.parametrize(
    ("sync", "named", "count", "lacking", "law"),
    [
        pytest.param(key("a"), (), 0, "", None, id="the key names nobody"),
        pytest.param(key("a", "B"), ("b",), 1, "", None, id="the same, whatever case"),
        pytest.param(key("a", "b"), (), 0, "", "protect", id="nobody is waited for"),
        pytest.param(key("a", "b"), ("c",), 1, "", "protect", id="another is"),
        pytest.param(key("a", "b"), ("b",), 1, "b", "lack", id="it lacks a row"),
        pytest.param(
            key("a", "b", "c", quorum=1), ("b", "c"), 1, "c", None, id="one of two may"
        ),
        pytest.param(
            key("a", "b", "c", quorum=1), ("b", "c"), 1, "bc", "lack", id="not both"
        ),
    ],
)
def test_electors(
    sync: SyncState, named: tuple[str, ...], count: int, lacking: str, law: str | None
) -> None:
    """Law 4: P-QUORUM-02."""
    broken = law_of_electors(
        sync, ",".join(named), named, count, lambda name: name not in lacking
    )
    assert (broken is None) if law is None else (broken is not None and law in broken)
