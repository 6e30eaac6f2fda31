"""Synchronous standbys that are silent: replaced soon, let go in the end."""

from regnal.actors.sync_state import SyncManager
from regnal.messages.base import Message
from regnal.messages.postgres import ObservePostgres
from regnal.messages.timers import SetTimer, TimerFired
from tests.actors.builders import Told, member, primary, seen, sender, tags
from tests.actors.sync_stories import (
    STRICT,
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

LOOK = SetTimer(name="sync_standby_manager:look", at=100.5)
LOOKED = TimerFired(name="sync_standby_manager:look", due_at=0)


def behind(*names: str, by: int = 100, value: str = "pg2", lsn: int = 1000) -> Message:
    """`names` stream, and owe the primary a confirmation of `by` bytes."""
    return streams(*names, value=value, lsn=lsn, write_lsn=lsn + by)


def observed_at(
    told: Told[SyncManager], message: Message, *moments: float
) -> Told[SyncManager]:
    for moment in moments:
        told = told.hear(message, at=moment)
    return told


def test_a_standby_that_confirms_nothing_is_let_go() -> None:
    """SYNC-01, SYNC-02: its connection looks alive for a minute, and nobody could
    commit until then.  The key first, as ever."""
    told = leading("pg2", sync=key("pg2"), value="pg2").hear(behind("pg2"))
    told = observed_at(told, behind("pg2"), 105.0, 109.9)
    assert changes(told) == ()
    told = observed_at(told, behind("pg2"), 110.0)
    assert writes(told) == ()
    assert sets(told.hear(written())) == ""


def one_silent(value: str = "pg2", *synchronous: str) -> Message:
    """pg2 owes a confirmation, pg3 has everything."""
    names = synchronous or ("pg2",)
    return primary(
        senders=tuple(
            sender(name, lsn, sync_state="sync" if name in names else "async")
            for name, lsn in (("pg2", 900), ("pg3", 1000))
        ),
        synchronous_standby_names=value,
    )


def test_a_silent_standby_gives_its_place_to_one_that_confirms() -> None:
    """SYNC-13: at no moment is there nobody who may take over."""
    told = leading("pg2", "pg3", sync=key("pg2"), value="pg2")
    told = observed_at(told, one_silent(), 100.0, 100.5)
    assert sets(told) is None
    told = observed_at(told, one_silent(), 101.0)
    assert sets(told) == "2 (pg2,pg3)"
    told = told.hear(in_force("2 (pg2,pg3)"))
    told = told.hear(one_silent("2 (pg2,pg3)", "pg2", "pg3"), at=101.1)
    assert writes(told) == ("pg3",)
    assert sets(told.hear(written())) == "pg3"


def test_a_silent_standby_is_not_replaced_by_one_that_may_not_lead() -> None:
    """P-SYNC-03."""
    told = leading("pg2", sync=key("pg2"), value="pg2")
    unable = member("pg3", tags=tags(nofailover=True))
    told = told.hear(seen("pg1", "pg2", unable, sync=key("pg2")))
    told = observed_at(told, one_silent(), 100.0, 102.0, 104.0)
    assert sets(told) is None


def test_who_replaced_a_silent_standby_stays() -> None:
    told = leading("pg2", "pg3", sync=key("pg3"), value="pg3")
    told = observed_at(told, streams("pg2", "pg3", value="pg3", lsn=2000), 110.0)
    assert acts(told) == ()


def test_a_standby_that_owes_is_looked_at_again_soon() -> None:
    told = leading("pg2", sync=key("pg2"), value="pg2")
    told = told.hear(behind("pg2"))
    assert acts(told) == (LOOK,)
    told = told.hear(LOOKED, at=100.5)
    assert acts(told) == (ObservePostgres(),)
    told = told.hear(behind("pg2"))
    assert told.of(SetTimer)[0].at == 101.0


def test_a_standby_that_is_only_behind_is_looked_at_twice_a_beat() -> None:
    told = leading("pg2", sync=key("pg2"), value="pg2")
    told = told.hear(behind("pg2", lsn=1000)).hear(LOOKED, at=100.5)
    told = told.hear(behind("pg2", lsn=2000))
    assert acts(told) == ()
    assert told.hear(LOOKED).said == ()
    told = told.hear(behind("pg2", lsn=3000), at=110.0)
    assert told.of(SetTimer)[0].at == 110.5


def test_a_standby_that_owes_and_is_not_synchronous_is_left_alone() -> None:
    told = leading("pg2", "pg3", sync=key("pg3"), value="pg3")
    assert acts(told.hear(one_silent("pg3", "pg3"))) == ()


def test_a_standby_that_confirms_something_is_only_behind() -> None:
    told = leading("pg2", sync=key("pg2"), value="pg2")
    for moment in range(100, 160, 5):
        told = told.hear(behind("pg2", lsn=1000 + moment), at=float(moment))
        assert changes(told) == ()
    told = observed_at(told, streams("pg2", value="pg2", lsn=1155), 165.0, 300.0)
    assert acts(told) == ()


def test_what_nobody_saw_is_not_held_against_a_standby() -> None:
    """We did not run for a while, and neither may it have had a chance."""
    told = leading("pg2", sync=key("pg2"), value="pg2")
    told = observed_at(told, behind("pg2"), 100.0, 130.0)
    assert changes(told) == ()


def test_strict_mode_does_not_let_go_of_a_silent_standby_for_nobody() -> None:
    """SYNC-03: commits wait for whoever comes."""
    told = leading("pg2", sync=key("pg2"), value="pg2", settings=STRICT)
    told = observed_at(told, behind("pg2"), 100.0, 105.0, 110.0).hear(written())
    assert sets(told) == "*"


def test_a_silent_standby_that_speaks_again_is_chosen_again() -> None:
    told = leading("pg2", sync=key("pg2"), value="pg2")
    told = observed_at(told, behind("pg2"), 100.0, 105.0, 110.0)
    told = told.hear(written(), in_force(""), behind("pg2", value=""))
    assert sets(told) is None
    assert sets(told.hear(streams("pg2", lsn=1200), at=112.0)) == "pg2"
