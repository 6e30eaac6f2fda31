"""Key and parameter that are not as we left them, and answers that do not come."""

import pytest

from regnal.messages.cluster import (
    KeyRefused,
    KeyUnconfirmed,
    StoreAnswered,
    SyncState,
)
from regnal.messages.postgres import (
    ObservePostgres,
    SynchronousStandbysRefused,
)
from regnal.messages.store import ReadCluster, WriteSync
from regnal.messages.synchronous import StandbyNamesFound
from tests.actors.builders import (
    BEAT,
    seen,
)
from tests.actors.sync_stories import (
    MEMBERS,
    acts,
    key,
    leading,
    sets,
    streams,
    writes,
    written,
)


def test_what_others_set_is_told_with_its_position() -> None:
    """P-SYNC-05: the law counts from there, also when the journal is replayed."""
    told = leading("pg2", sync=key("pg2"), value="pg2", lsn=700)
    assert told.said[0] == StandbyNamesFound(value="pg2", lsn=1000)
    assert told.hear(streams("pg2", value="pg2")).said == ()


@pytest.mark.parametrize(
    ("found", "value", "correction"),
    [
        pytest.param(key("pg2", "pg3"), "pg2", ("pg2",), id="one too many in the key"),
        pytest.param(key("pg2"), "", (), id="nobody acknowledges"),
        pytest.param(key("pg2"), "*", (), id="anybody does"),
        pytest.param(key("pg2"), "1 (pg2,pg3)", (), id="either of two does"),
        pytest.param(key("pg2"), "a b", (), id="not readable"),
    ],
)
def test_where_they_disagree_the_key_is_corrected_first(
    found: SyncState, value: str, correction: tuple[str, ...]
) -> None:
    """P-SYNC-08."""
    told = leading("pg2", "pg3", sync=found, value=value)
    assert writes(told) == correction
    assert told.step.rule == "correct_the_sync_key"


def test_another_value_is_looked_at_twice() -> None:
    """P-SYNC-08: the first may be older than our own change."""
    told = leading("pg2", sync=key("pg2"), value="pg2")
    told = told.hear(streams("pg2", value=""))
    assert acts(told) == (ObservePostgres(),)
    assert told.hear(streams("pg2", value="pg2")).said == ()
    told = told.hear(streams("pg2", value=""))
    assert writes(told) == ()
    assert sets(told.hear(written())) == "pg2"


def test_the_key_of_a_member_that_was_renamed_is_ours_again() -> None:
    """P-SYNC-09."""
    told = leading("pg2", sync=key("pg2", leader="old", at=7), value="pg2")
    assert writes(told) == ()
    assert told.of(WriteSync)[0].if_revision == 7


def test_a_refused_write_makes_us_read() -> None:
    told = leading("pg2", sync=key("pg2"), value="pg2").hear(streams(value="pg2"))
    told = told.hear(KeyRefused(key="sync"))
    assert acts(told) == (ReadCluster(deadline=110.0),)
    assert told.hear(streams(value="pg2")).said == ()
    told = told.hear(seen(*MEMBERS, sync=key("pg2", at=9)))
    assert told.of(WriteSync)[0].if_revision == 9


def test_a_view_from_before_our_write_changes_nothing() -> None:
    told = leading("pg2", sync=key(), value="pg2")
    assert writes(told) == ("pg2",)
    told = told.hear(written(2), seen(*MEMBERS, sync=key(at=1)))
    assert acts(told) == ()
    told = told.hear(seen(*MEMBERS, sync=key("pg2", at=2)))
    assert acts(told) == ()
    # Now that it was seen, another change of it is somebody's.
    told = told.hear(seen(*MEMBERS, sync=None))
    assert writes(told) == ()


def test_an_unanswered_write_counts_as_done_and_as_not_done() -> None:
    told = leading("pg2", sync=key("pg2"), value="pg2").hear(streams(value="pg2"))
    told = told.hear(KeyUnconfirmed(key="sync", error="timeout"), streams(value="pg2"))
    assert acts(told) == ()
    told = told.hear(StoreAnswered())
    assert writes(told) == ()
    assert sets(told.hear(written())) == ""


def test_a_store_that_tells_no_revision_is_waited_for() -> None:
    told = leading("pg2", sync=key("pg2"), value="pg2").hear(streams(value="pg2"))
    told = told.hear(written(None))
    assert acts(told) == ()
    assert sets(told.hear(seen(*MEMBERS, sync=key(at=3)))) == ""


def test_what_postgres_refused_is_tried_again_at_the_next_beat() -> None:
    told = leading("pg2", sync=key())
    told = told.hear(SynchronousStandbysRefused(value="pg2", error="x"))
    assert told.hear(streams("pg2")).said == ()
    assert sets(told.hear(BEAT)) == "pg2"
