"""Quorum commit: voters and acknowledgements overlap."""

from regnal.messages.store import WriteSync
from tests.actors.builders import (
    configured,
    member,
    primary,
    seen,
    sender,
    tags,
)
from tests.actors.sync_stories import (
    ON,
    QUORUM,
    acts,
    in_force,
    key,
    leading,
    sets,
    streams,
    writes,
    written,
)


def test_voters_and_acknowledgements_overlap_from_the_start() -> None:
    """P-QUORUM-01, P-QUORUM-06."""
    told = leading(sync=key(), settings=QUORUM).hear(streams("pg2", "pg3"))
    assert sets(told) == "ANY 1 (pg2,pg3)"
    value = "ANY 1 (pg2,pg3)"
    told = told.hear(in_force(value, lsn=1500), streams("pg2", "pg3", value=value))
    assert acts(told) == ()
    told = told.hear(streams("pg2", "pg3", value=value, lsn=1500))
    assert told.of(WriteSync)[0].standbys == ("pg2", "pg3")
    assert told.of(WriteSync)[0].quorum == 1
    assert told.hear(written(), streams("pg2", "pg3", value=value)).said == ()


def test_a_newcomer_counts_once_it_has_caught_up() -> None:
    """P-QUORUM-06."""
    value = "ANY 1 (pg2)"
    told = leading("pg2", sync=key("pg2"), value=value, settings=QUORUM)
    senders = (sender("pg2", 1000, sync_state="quorum"), sender("pg3", 10))
    told = told.hear(primary(senders=senders, synchronous_standby_names=value))
    assert told.of(WriteSync) == ()
    told = told.hear(streams("pg2", "pg3", value=value, lsn=1000))
    assert told.of(WriteSync)[0].quorum == 1


def test_a_lost_voter_leaves_postgres_first() -> None:
    """P-QUORUM-02."""
    value = "ANY 1 (pg2,pg3)"
    told = leading(
        "pg2", "pg3", sync=key("pg2", "pg3", quorum=1), value=value, settings=QUORUM
    )
    assert acts(told) == ()
    told = told.hear(streams("pg2", value=value))
    assert sets(told) == "ANY 1 (pg2)"
    told = told.hear(in_force("ANY 1 (pg2)"))
    assert told.of(WriteSync)[0].standbys == ("pg2",)
    assert told.of(WriteSync)[0].quorum == 0


def test_members_that_cannot_lead_vote_only_if_they_are_needed() -> None:
    """P-QUORUM-04, P-QUORUM-05."""
    unwilling = member("pg3", tags=tags(nofailover=True))
    told = leading(sync=key(), settings=QUORUM)
    told = told.hear(seen("pg1", "pg2", unwilling, sync=key()), streams("pg2", "pg3"))
    assert sets(told) == "ANY 1 (pg2)"
    two = configured(synchronous_mode="quorum", synchronous_node_count=2)
    told = leading(sync=key(), settings=two)
    told = told.hear(seen("pg1", "pg2", unwilling, sync=key()), streams("pg2", "pg3"))
    assert sets(told) == "ANY 2 (pg2,pg3)"


def test_changing_the_mode_keeps_the_guarantee() -> None:
    """P-QUORUM-09."""
    told = leading("pg2", "pg3", sync=key("pg2"), value="pg2")
    told = told.hear(QUORUM)
    assert told.of(WriteSync)[0].quorum == 1
    told = told.hear(written())
    assert sets(told) == "ANY 1 (pg2,pg3)"
    told = told.hear(
        in_force("ANY 1 (pg2,pg3)"), streams("pg2", "pg3", value="ANY 1 (pg2,pg3)")
    )
    assert acts(told) == ()
    told = told.hear(ON)
    assert sets(told) == "pg2"
    told = told.hear(in_force("pg2"))
    assert (writes(told), told.of(WriteSync)[0].quorum) == (("pg2",), 0)


def test_before_ten_quorum_is_priority() -> None:
    """P-QUORUM-09."""
    told = leading(sync=key(), settings=QUORUM)
    told = told.hear(streams("pg2", "pg3", server_version=90624))
    assert sets(told) == "pg2"
