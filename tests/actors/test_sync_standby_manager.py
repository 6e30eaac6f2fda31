"""The manager of synchronous standbys: who must acknowledge, and who may follow."""

from typing import Any

import pytest

from regnal.actors.sync_standby_manager import SYNC_STANDBY_MANAGER
from regnal.messages.postgres import (
    ObservePostgres,
    SetSynchronousStandbys,
)
from regnal.messages.store import WriteSync
from regnal.messages.timers import SetTimer, TimerFired
from tests.actors.builders import (
    acquired,
    begun,
    configured,
    member,
    phase,
    primary,
    seen,
    sender,
    tags,
)
from tests.actors.sync_stories import (
    MEMBERS,
    ON,
    STRICT,
    TWO,
    acts,
    changes,
    in_force,
    key,
    leading,
    sets,
    streams,
    writes,
    written,
)


def test_the_key_is_created_even_if_nobody_streams() -> None:
    """P-SYNC-07, P-SYNC-18."""
    told = leading()
    assert acts(told) == (
        WriteSync(
            leader="pg1", standbys=(), quorum=0, if_revision=None, deadline=110.0
        ),
    )
    assert told.step.rule == "claim_the_sync_key"
    assert told.hear(written(), streams()).said == ()


def test_a_standby_goes_into_postgres_before_it_goes_into_the_key() -> None:
    """SYNC-01, SYNC-02, P-SYNC-05."""
    told = leading("pg2", sync=key())
    assert acts(told) == (SetSynchronousStandbys(value="pg2", timeout=10),)
    told = told.hear(in_force("pg2", lsn=1500))
    assert writes(told) is None
    assert writes(told.hear(streams("pg2", value="pg2", lsn=1499))) is None
    told = told.hear(streams("pg2", value="pg2", lsn=1500))
    assert writes(told) == ("pg2",)
    assert told.hear(written(), streams("pg2", value="pg2")).said == ()


def test_it_must_be_synchronous_by_postgresqls_own_word() -> None:
    """P-SYNC-05."""
    told = leading("pg2", sync=key()).hear(in_force("pg2"))
    told = told.hear(
        primary(senders=(sender("pg2", 2000),), synchronous_standby_names="pg2")
    )
    assert writes(told) is None


def test_nobody_waits_for_the_next_beat_to_see_that_it_has_caught_up() -> None:
    told = leading("pg2", sync=key()).hear(in_force("pg2", lsn=1500))
    look = SetTimer(name="sync_standby_manager:look", at=100.5)
    assert acts(told) == (ObservePostgres(), look)
    told = told.hear(streams("pg2", value="pg2", lsn=1499))
    told = told.hear(
        TimerFired(name="sync_standby_manager:look", due_at=101.0), at=101.0
    )
    assert told.of(ObservePostgres) == (ObservePostgres(),)


def test_a_member_that_has_started_is_looked_for_at_once() -> None:
    """SYNC-01: nobody waits for the beat to see that it streams."""
    starting = member("pg2", state="starting")
    told = leading(sync=key()).hear(seen("pg1", starting, sync=key()))
    assert acts(told) == ()
    told = told.hear(seen("pg1", "pg2", sync=key()))
    look = SetTimer(name="sync_standby_manager:look", at=100.5)
    assert acts(told) == (ObservePostgres(), look)
    fired = TimerFired(name="sync_standby_manager:look", due_at=0)
    assert len(told.hear(fired, at=110.0).of(ObservePostgres)) == 1
    assert told.hear(fired, at=116.0).said == ()
    assert sets(told.hear(streams("pg2"))) == "pg2"


def test_a_member_that_streams_from_another_is_not_looked_for() -> None:
    cascading = member("pg2", tags=tags(replicatefrom="pg3"))
    told = leading(sync=key()).hear(seen("pg1", sync=key()))
    assert told.hear(seen("pg1", cascading, sync=key())).said == ()


def test_a_lost_standby_leaves_the_key_before_it_leaves_postgres() -> None:
    """SYNC-01, SYNC-02: then the primary works alone."""
    told = leading("pg2", sync=key("pg2"), value="pg2").hear(streams(value="pg2"))
    assert writes(told) == ()
    assert told.of(WriteSync)[0].if_revision == 1
    assert told.hear(streams(value="pg2")).said == ()
    told = told.hear(written())
    assert sets(told) == ""
    assert told.hear(in_force(""), streams()).said == ()


def test_strict_mode_waits_for_whoever_comes() -> None:
    """SYNC-03, SYNC-05."""
    told = leading("pg2", sync=key("pg2"), value="pg2", settings=STRICT)
    told = told.hear(streams(value="pg2"), written())
    assert sets(told) == "*"
    told = told.hear(in_force("*"), primary(synchronous_standby_names="*"))
    assert acts(told) == ()
    potential = sender("pg3", sync_state="potential")
    told = told.hear(primary(senders=(potential,), synchronous_standby_names="*"))
    assert sets(told) == "pg3"


def test_a_lost_standby_is_replaced_at_once() -> None:
    told = leading("pg2", "pg3", sync=key("pg2"), value="pg2")
    assert acts(told) == ()
    told = told.hear(streams("pg3", value="pg2"))
    assert writes(told) == ()
    told = told.hear(written())
    assert sets(told) == "pg3"


def test_a_standby_that_leaves_gracefully_is_replaced_without_a_gap() -> None:
    """SYNC-13, P-SYNC-04: it stays until the other one is in the key."""
    told = leading("pg2", "pg3", sync=key("pg2"), value="pg2")
    leaving = member("pg2", tags=tags(nosync=True, sync_priority=0))
    told = told.hear(seen("pg1", leaving, "pg3", sync=key("pg2")))
    assert sets(told) == "2 (pg2,pg3)"
    told = told.hear(in_force("2 (pg2,pg3)"))
    both = streams("pg2", "pg3", value="2 (pg2,pg3)")
    told = told.hear(both)
    assert writes(told) == ("pg3",)
    told = told.hear(written())
    assert sets(told) == "pg3"
    assert told.hear(in_force("pg3"), streams("pg2", "pg3", value="pg3")).said == ()


def test_several_synchronous_standbys() -> None:
    """SYNC-06: reduced to the number of those that are there."""
    told = leading("pg2", "pg3", sync=key(), settings=TWO)
    assert sets(told) == "2 (pg2,pg3)"
    assert sets(leading("pg3", sync=key(), settings=TWO)) == "pg3"
    told = leading(
        "pg2", "pg3", sync=key("pg2", "pg3"), value="2 (pg2,pg3)", settings=TWO
    )
    assert acts(told) == ()
    told = told.hear(streams("pg3", value="2 (pg2,pg3)"))
    assert writes(told) == ("pg3",)
    assert sets(told.hear(written())) == "pg3"


@pytest.mark.parametrize(
    ("others", "chosen"),
    [
        pytest.param([member("pg2", tags=tags(nosync=True))], "pg3", id="SYNC-12"),
        pytest.param(
            [member("pg2", tags=tags(sync_priority=0))], "pg3", id="P-SYNC-04: none"
        ),
        pytest.param(
            [member("pg3", tags=tags(sync_priority=5))], "pg3", id="P-SYNC-04: more"
        ),
        pytest.param([member("pg2", tags=tags(nostream=True))], "pg3", id="P-SLOT-21"),
        pytest.param(
            [member("pg2", tags=tags(nofailover=True))], "pg3", id="P-SYNC-03"
        ),
        pytest.param(
            [member("pg3", tags=tags(failover_priority=2))], "pg3", id="P-SYNC-15"
        ),
        pytest.param([], "pg2", id="by name among equals"),
    ],
)
def test_who_is_chosen(others: list[Any], chosen: str) -> None:
    names = {m.name for m in others}
    members = [*others, *(n for n in MEMBERS if n not in names)]
    told = leading(sync=key()).hear(seen(*members, sync=key()), streams("pg2", "pg3"))
    assert sets(told) == chosen


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(sender("pg2", state="catchup"), id="still catching up"),
        pytest.param(sender("pg2", write_lsn=None), id="SYNC-08: write"),
        pytest.param(sender("pg2", flush_lsn=None), id="SYNC-08: flush"),
        pytest.param(sender("pg2", replay_lsn=None), id="SYNC-08: replay"),
        pytest.param(sender("pg1"), id="P-SYNC-10: our own name"),
        pytest.param(sender("PG1"), id="P-SYNC-10: in any case"),
        pytest.param(sender("pg_basebackup"), id="no member"),
    ],
)
def test_who_is_no_standby(row: Any) -> None:
    told = leading(sync=key()).hear(primary(senders=(row,)))
    assert acts(told) == ()


def test_names_are_compared_without_regard_to_case() -> None:
    """SYNC-10, P-SYNC-13."""
    told = begun(
        SYNC_STANDBY_MANAGER,
        ON,
        seen("pg1", "Any", sync=key()),
        phase("primary"),
        acquired(),
        primary(senders=(sender("any"),)),
    )
    assert sets(told) == '"Any"'
    reported = sender("ANY", sync_state="sync")
    told = told.hear(
        in_force('"Any"'),
        primary(senders=(reported,), synchronous_standby_names='"Any"'),
    )
    assert writes(told) == ("Any",)


def test_a_standby_that_lags_is_replaced() -> None:
    """SYNC-07."""
    lagging = (sender("pg2", 500, sync_state="sync"), sender("pg3", 1000))
    limited = configured(synchronous_mode="on", maximum_lag_on_syncnode=100)
    told = leading("pg2", "pg3", sync=key("pg2"), value="pg2", settings=limited)
    told = told.hear(primary(senders=lagging, synchronous_standby_names="pg2"))
    assert sets(told) == "2 (pg2,pg3)"
    alone = (sender("pg2", 500, sync_state="sync"),)
    told = leading("pg2", sync=key("pg2"), value="pg2", settings=limited)
    told = told.hear(primary(senders=alone, synchronous_standby_names="pg2"))
    assert writes(told) == ()
    # The default is no limit.
    told = leading("pg2", sync=key("pg2"), value="pg2")
    told = told.hear(primary(senders=alone, synchronous_standby_names="pg2"))
    assert changes(told) == ()


def test_before_9_6_there_is_one_name_and_no_count() -> None:
    """P-SYNC-16."""
    old = {"server_version": 90524}
    told = begun(
        SYNC_STANDBY_MANAGER,
        TWO,
        seen(*MEMBERS, sync=key("pg2")),
        phase("primary"),
        acquired(),
        streams("pg3", "pg2", value="pg2", **old),
    )
    assert acts(told) == ()
    leaving = member("pg2", tags=tags(nosync=True))
    told = told.hear(seen("pg1", leaving, "pg3", sync=key("pg2")))
    assert writes(told) == ()
    assert sets(told.hear(written())) == "pg3"
