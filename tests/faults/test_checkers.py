"""The checkers of histories: each is shown what it is there to find.

A checker that catches nothing proves nothing; one that cries at a good history would
be switched off.
"""

from pathlib import Path
from typing import Any

from tests.faults.checkers import (
    Stretch,
    longest_outage,
    lost,
    overlaps,
    phantoms,
    stale_reads,
    two_primaries,
)
from tests.faults.history import Follower, Operation, Recorder, read


def did(kind: Any, at: float, **fields: Any) -> Operation:
    """An operation that began at `at` and took 10 ms."""
    return Operation(
        **{
            "kind": kind,
            "number": 1,
            "value": None,
            "server": "pg1",
            "timeline": 1,
            "began": at,
            "ended": at + 0.01,
            "result": "acknowledged",
            **fields,
        }
    )


FAILOVER = (
    did("append", 1, number=1),
    did("append", 2, number=2),
    did("append", 3, number=3, result="unknown", ended=8),
    did("append", 4, number=4, result="failed", server="pg2"),
    did("append", 9, number=5, server="pg2", timeline=2),
    did("append", 20, number=6, server="pg1", timeline=3),
)
"""pg1 dies at 3, pg2 takes over at 9, pg1 leads again at 20: nothing is wrong."""


def test_a_row_that_was_acknowledged_and_is_gone_is_lost() -> None:
    assert lost(FAILOVER, frozenset({1, 2, 5, 6})) == ()
    assert lost(FAILOVER, frozenset({1, 5, 6})) == (2,)


def test_a_row_whose_fate_was_unknown_may_be_there_or_not() -> None:
    for present in ({1, 2, 5, 6}, {1, 2, 3, 5, 6}):
        assert lost(FAILOVER, frozenset(present)) == ()
        assert phantoms(FAILOVER, frozenset(present)) == ()


def test_a_row_that_was_refused_must_not_appear() -> None:
    assert phantoms(FAILOVER, frozenset({1, 4})) == (4,)
    assert phantoms(FAILOVER, frozenset({77})) == (77,)


def test_a_failover_and_a_return_are_one_primary_after_the_other() -> None:
    assert two_primaries(FAILOVER) == ()


def test_a_former_primary_that_still_acknowledges_is_found() -> None:
    late = (did("append", 9.5, number=7), did("probe", 10.5))
    (found,) = two_primaries((*FAILOVER, *late))
    assert (found.old, found.new, found.writes) == ("pg1", "pg2", 2)
    assert (found.since, found.until) == (9.01, 10.51)


def test_a_probe_alone_shows_two_primaries() -> None:
    """In synchronous mode nobody acknowledges to the clients of the former primary,
    and it accepts writes all the same."""
    assert two_primaries((*FAILOVER, did("probe", 9.02)))
    assert not two_primaries((*FAILOVER, did("probe", 9.02, result="failed")))


def test_a_write_that_began_before_the_other_ended_proves_nothing() -> None:
    """It may have been done just before."""
    assert not two_primaries((*FAILOVER, did("append", 9.005, number=7, ended=30)))


def test_two_servers_that_write_one_timeline_are_found() -> None:
    both = (did("append", 1), did("append", 2, server="pg2"), did("append", 3))
    (found,) = two_primaries(both)
    assert (found.old, found.new) == ("pg1", "pg2")


def test_a_crash_of_one_server_keeps_its_timeline() -> None:
    assert two_primaries((did("append", 1), did("append", 9))) == ()


REGISTER = (
    did("write", 1, value=10),
    did("read", 2, value=10),
    did("write", 3, value=11, result="unknown", ended=9),
    did("read", 4, value=11),
    did("read", 5, value=10),
    did("write", 12, value=12, server="pg2", timeline=2),
    did("read", 12.005, value=10, server="pg2", timeline=2),
    did("read", 13, value=12, server="pg2", timeline=2),
)
"""What is unknown may be seen and be lost again; a write under way may be missed."""


def test_a_register_that_only_goes_forward_is_fine() -> None:
    assert stale_reads(REGISTER) == ()


def test_a_read_that_misses_an_acknowledged_write_is_found() -> None:
    stale = did("read", 14, value=10)
    (found,) = stale_reads((*REGISTER, stale))
    assert (found.read, found.acknowledged, found.server) == (10, 12, "pg1")


def test_each_register_is_a_matter_of_its_own() -> None:
    other = (did("write", 1, number=2, value=90), did("read", 20, number=2, value=90))
    assert stale_reads((*REGISTER, *other)) == ()
    assert stale_reads((*REGISTER, other[0], did("read", 20, number=2, value=1)))


def test_the_outage_is_the_longest_time_without_an_acknowledgement() -> None:
    gap = longest_outage(FAILOVER, since=2.5, until=15)
    assert gap.since == 9.01
    assert round(gap.seconds, 2) == 11.0  # from 9.01 to 20.01, which is not over at 15
    assert round(longest_outage(FAILOVER, 2.5, 10).seconds, 2) == 11.0
    assert round(longest_outage(FAILOVER[:5], 2.5, 9.5).seconds, 2) == 7.0


def test_writes_that_never_come_back_are_an_outage_to_the_end() -> None:
    assert longest_outage(FAILOVER[:3], since=3, until=60).seconds == 60 - 2.01
    assert longest_outage((), since=3, until=60).seconds == 57


def test_stretches_of_two_servers_at_the_same_time_are_found() -> None:
    one, other = Stretch("pg1", 0, 10), Stretch("pg2", 9, 20)
    assert overlaps((one, Stretch("pg2", 10, 20), Stretch("pg1", 21, 30))) == ()
    assert overlaps((other, one)) == ((one, other),)
    assert overlaps((other, one), tolerance=2) == ()
    assert overlaps((one, Stretch("pg1", 5, 6))) == ()
    assert overlaps((Stretch("pg1", 0, None), other)) == ()


def test_a_history_is_read_as_it_was_written_also_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    follower = Follower(path)
    assert follower.catch_up() == []
    recorder = Recorder(path)
    for one in FAILOVER[:3]:
        recorder.note(one)
    assert follower.catch_up() == list(FAILOVER[:3])
    with path.open("a") as torn:
        torn.write('{"kind":"app')
    assert len(follower.catch_up()) == 3
    with path.open("a") as torn:
        torn.write(path.read_text().splitlines()[0].removeprefix('{"kind":"app') + "\n")
    assert follower.catch_up() == [*FAILOVER[:3], FAILOVER[0]]
    recorder.close()
    assert list(read(path)) == follower.operations
