"""The parts of the embedded Raft that need no network."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.bridges.dcs import raft_pickle
from regnal.bridges.dcs.contract import StoreMisconfigured
from regnal.bridges.dcs.raft_entries import LogEntry, without_repetition
from regnal.bridges.dcs.raft_map import Condition, RaftMap
from regnal.bridges.dcs.raft_settings import raft_settings

TTL = 30.0


class Turned:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def map_at(clock: Callable[[], float], changes: list[str] | None = None) -> RaftMap:
    noted = changes if changes is not None else []
    return RaftMap(clock, lambda: noted.append("changed"))


def take(state: RaftMap, owner: str, ttl: float | None = TTL) -> bool:
    change = ("set", "/leader", owner, ttl, owner)
    return state.transact([("/leader", "value_or_absent", owner)], [change], 0.0)[0]


def test_a_transaction_is_made_whole_or_not_at_all() -> None:
    state = map_at(Turned())
    changes = [("set", "/a", "1", None, "n1"), ("set", "/b", "2", None, "n1")]
    held, facts = state.transact([("/a", "value", "0")], changes, 0.0)
    assert (held, facts, state.entries) == (False, {"/a": None}, {})
    held, facts = state.transact([("/a", "absent", None)], changes, 0.0)
    assert held
    assert facts == {"/a": ("1", 1, "n1"), "/b": ("2", 1, "n1")}


@pytest.mark.parametrize(
    ("test", "operand", "holds"),
    [
        ("absent", None, False),
        ("value", "1", True),
        ("value", "2", False),
        ("value_or_absent", "1", True),
        ("index", 1, True),
        ("index", 2, False),
        ("index", "1", False),
        ("owner", "n1", True),
        ("owner", "n2", False),
        ("lease", 1, True),
        ("of_a_newer_version", None, False),
    ],
)
def test_conditions(test: str, operand: Any, holds: bool) -> None:
    state = map_at(Turned())
    state.transact([], [("set", "/a", "1", None, "n1")], 0.0)
    assert state.transact([("/a", test, operand)], [], 0.0)[0] is holds


def test_unknown_changes_of_newer_nodes_are_passed_over() -> None:
    state = map_at(Turned())
    assert state.transact([], [("rename", "/a", "/b")], 0.0) == (True, {"/a": None})


def test_a_lease_ends_by_this_nodes_clock_and_only_if_not_prolonged() -> None:
    """DCS-RAFT-01: no wall clock is compared."""
    clock = Turned()
    state = map_at(clock)
    take(state, "n1")
    clock.now += TTL - 1
    assert state.ended_leases() == ()
    take(state, "n1")
    clock.now += TTL
    ((path, lease),) = state.ended_leases()

    take(state, "n1")  # comes first in the log
    assert not state.transact([(path, "lease", lease)], [("delete", path)], 0.0)[0]
    assert state.ended_leases() == ()

    clock.now += TTL
    ((path, lease),) = state.ended_leases()
    assert state.transact([(path, "lease", lease)], [("delete", path)], 0.0)[0]
    assert take(state, "n2")


def test_prolonging_is_no_visible_change() -> None:
    noted: list[str] = []
    state = map_at(Turned(), noted)
    take(state, "n1")
    index = state.entries["/leader"].index
    take(state, "n1")
    assert (noted, state.entries["/leader"].index) == (["changed"], index)


def test_a_node_that_loads_a_dump_waits_a_whole_ttl() -> None:
    """It cannot know when the lease was prolonged; later is safe."""
    old = map_at(Turned())
    take(old, "n1")
    old.transact([], [("set", "/config", "{}", None, "n1")], 0.0)

    clock = Turned()
    clock.now = 5.0
    new = map_at(clock)
    new.load(old.dump())
    assert new.entries == old.entries
    clock.now += TTL - 0.1
    assert new.ended_leases() == ()
    clock.now += 0.1
    assert [path for path, _ in new.ended_leases()] == ["/leader"]


def test_a_dump_that_tells_nothing_new_does_not_prolong() -> None:
    clock = Turned()
    state = map_at(clock)
    take(state, "n1")
    clock.now += TTL
    state.load(state.dump())
    assert len(state.ended_leases()) == 1


def test_a_prefix_is_deleted_with_its_leases() -> None:
    state = map_at(Turned())
    for path in ("/service/a/x", "/service/a/y", "/service/ab/x"):
        state.transact([], [("set", path, "1", TTL, "n1")], 0.0)
    state.transact([], [("delete_below", "/service/a/")], 0.0)
    assert list(state.entries) == ["/service/ab/x"]
    assert state.ended_leases() == ()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["n1", "n2", "n3"]),
            st.sampled_from(["take", "release", "wait", "end"]),
        )
    )
)
def test_two_nodes_that_apply_the_same_are_the_same(
    steps: list[tuple[str, str]],
) -> None:
    clock, other_clock = Turned(), Turned()
    other_clock.now = 77.0
    one, other = map_at(clock), map_at(other_clock)
    for owner, step in steps:
        match step:
            case "wait":
                clock.now += TTL / 2
            case "take":
                assert take(one, owner) == take(other, owner)
            case "release":
                for state in (one, other):
                    condition = ("/leader", "value", owner)
                    state.transact([condition], [("delete", "/leader")], 0.0)
            case _:
                for path, lease in one.ended_leases():
                    for state in (one, other):
                        at_end: Condition = (path, "lease", lease)
                        state.transact([at_end], [("delete", path)], 0.0)
    assert one.dump() == other.dump()


class Evil:
    def __reduce__(self) -> Any:
        return (os.system, ("touch /tmp/regnal-evil",))


def test_a_pickle_of_a_stranger_runs_no_code() -> None:
    """SEC-03"""
    for protocol in range(6):
        with pytest.raises(pickle.UnpicklingError, match="system"):
            raft_pickle.loads(pickle.dumps(Evil(), protocol))
    assert not Path("/tmp/regnal-evil").exists()


def test_what_the_protocol_needs_passes() -> None:
    from_peer = {
        "type": "append_entries",
        "entries": [(b"\x00\xff", 3, 1), (b"", 4, 1)],
        "nodes": {"a", "b"},
        "answer": (True, {"/a": ("1", 2, "n1"), "/b": None}),
        "at": 1.5,
    }
    assert raft_pickle.loads(pickle.dumps(from_peer, 2)) == from_peer


def log_of(*terms: int, first: int = 1) -> list[LogEntry]:
    return [(b"c", first + place, term) for place, term in enumerate(terms)]


@pytest.mark.parametrize(
    ("log", "previous", "sent", "then_previous", "then_sent"),
    [
        pytest.param(log_of(1, 1), 2, log_of(2, first=3), 2, [3], id="new"),
        pytest.param(log_of(1, 1), 2, [], 2, [], id="heartbeat"),
        pytest.param(log_of(1, 1, 2), 2, log_of(2, first=3), 3, [], id="again"),
        pytest.param(
            log_of(1, 1, 2), 2, log_of(2, 2, first=3), 3, [4], id="half again"
        ),
        pytest.param(
            log_of(1, 2, 2, 2), 2, log_of(2, first=3), 4, [], id="beyond, same term"
        ),
        pytest.param(log_of(1, 1, 1), 2, log_of(2, first=3), 2, [3], id="conflict"),
        pytest.param(
            log_of(1, 1, 1, 1), 2, log_of(1, 2, first=3), 3, [4], id="later conflict"
        ),
        pytest.param(log_of(1, 1, 1), 2, [], 2, [], id="beyond, older term"),
        pytest.param(log_of(1, first=5), 2, log_of(1, first=3), 2, [3], id="compacted"),
        pytest.param(log_of(2, 2), 1, log_of(2, first=2), 1, [2], id="other past"),
    ],
)
def test_entries_that_are_there_are_not_taken_out_of_the_log(
    log: list[LogEntry],
    previous: int,
    sent: list[LogEntry],
    then_previous: int,
    then_sent: list[int],
) -> None:
    """Raft's rule: delete only what conflicts.  The sender leads term 2; its entry
    before what it sends has the term 1, or 2 where the log says so."""
    before = next((entry[2] for entry in log if entry[1] == previous), 1)
    term_before = 1 if log == log_of(2, 2) else before
    message = {
        "type": "append_entries",
        "term": 2,
        "prevLogIdx": previous,
        "prevLogTerm": term_before,
        "entries": sent,
    }
    then = without_repetition(log, message)
    assert then["prevLogIdx"] == then_previous
    assert [entry[1] for entry in then["entries"]] == then_sent


def test_settings_of_a_voter(tmp_path: Path) -> None:
    """DCS-RAFT-02"""
    settings = raft_settings(
        {
            "self_addr": "10.0.0.1:2222",
            "bind_addr": "0.0.0.0:2222",
            "partner_addrs": "10.0.0.2:2222, 10.0.0.1:2222 ,[::1]:2222",
            "data_dir": str(tmp_path / "deep" / "raft"),
            "password": 1234,
        },
        observer=False,
    )
    assert settings.self_addr == "10.0.0.1:2222"
    assert settings.partner_addrs == ("10.0.0.2:2222", "::1:2222")
    assert settings.journal_file == tmp_path / "deep" / "raft" / "10.0.0.1:2222.journal"
    assert (tmp_path / "deep" / "raft").is_dir()
    assert settings.password == "1234"
    assert "1234" not in repr(settings)


def test_settings_of_an_observer(tmp_path: Path) -> None:
    """DCS-RAFT-06: to ctl the daemon's address is one more partner."""
    options = {
        "self_addr": "10.0.0.1:2222",
        "partner_addrs": ["10.0.0.2:2222"],
        "data_dir": str(tmp_path / "raft"),
    }
    settings = raft_settings(options, observer=True)
    assert settings.self_addr is None
    assert settings.partner_addrs == ("10.0.0.1:2222", "10.0.0.2:2222")
    assert not (tmp_path / "raft").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param({}, "self_addr nor partner_addrs", id="nothing"),
        pytest.param({"self_addr": "host"}, "raft.self_addr: 'host'", id="no port"),
        pytest.param({"self_addr": "h:99999"}, "raft.self_addr", id="no such port"),
        pytest.param(
            {"self_addr": "h:1", "partner_addrs": 3}, "raft.partner_addrs", id="no list"
        ),
        pytest.param(
            {"self_addr": "h:1", "partner_addrs": ["h2"]},
            "raft.partner_addrs: 'h2'",
            id="partner without port",
        ),
        pytest.param(
            {"self_addr": "h:1", "min_timeout": "soon"}, "raft.min_timeout", id="text"
        ),
        pytest.param(
            {"self_addr": "h:1", "min_timeout": 0.2},
            "raft.append_entries_period",
            id="too few heartbeats",
        ),
        pytest.param(
            {"self_addr": "h:1", "max_timeout": 0.5}, "raft.max_timeout", id="order"
        ),
        pytest.param(
            {"self_addr": "h:1", "data_dir": "/proc/nowhere"},
            "raft.data_dir: '/proc/nowhere': cannot be created",
            id="no place",
        ),
        pytest.param(
            {"self_addr": "h:1", "data_dir": "/dev/null"}, "raft.data_dir", id="a file"
        ),
    ],
)
def test_wrong_settings_are_named(options: dict[str, Any], says: str) -> None:
    """DCS-RAFT-05"""
    with pytest.raises(StoreMisconfigured) as problem:
        raft_settings({"data_dir": "/tmp", **options}, observer=False)
    assert says in str(problem.value)
