"""What every store promises, shown on the real ones (bridges/dcs/contract.py)."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

from regnal.bridges.dcs.clock import boottime
from regnal.bridges.dcs.contract import FailoverDraft, LeaseAnswer, Store, SyncDraft
from regnal.messages.cluster import (
    FailsafeMember,
    HistoryLine,
    LeaderStatus,
    SlotPosition,
)
from tests.bridges.dcs.conftest import OpenStore
from tests.bridges.dcs.watching import Watching

T = TypeVar("T")

TTL = 30.0
SHORT = 1.0
EXPIRY_LIMIT = 1.2
"""Seconds after its end at which a lease must be gone from every store."""

STATUS = LeaderStatus(
    optime=83886408,
    slots=(SlotPosition(name="cdc", lsn=83880000), SlotPosition(name="n1", lsn=1)),
    retain_slots=("n1", "n2"),
)


def soon(seconds: float = 5.0) -> float:
    return boottime() + seconds


def at_once(works: list[Callable[[], T]]) -> list[T]:
    """The results of all `works`, begun at the same moment by as many threads."""
    start = threading.Barrier(len(works))
    results: list[T] = []

    def run(work: Callable[[], T]) -> None:
        start.wait()
        results.append(work())

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def acquire_when_free(store: Store, member: str, ttl: float = TTL) -> LeaseAnswer:
    """Ask again and again; the answer is the first that is granted."""
    end = time.monotonic() + 10
    while True:
        answer = store.acquire_leader(member, ttl, soon())
        if answer.granted:
            return answer
        assert time.monotonic() < end, f"{answer.holder} never lost it"
        time.sleep(0.02)


def test_a_cluster_without_keys_is_empty(member_store: OpenStore) -> None:
    view = member_store("a").read(soon(), consistent=True)
    assert (view.leader, view.members, view.initialize) == (None, (), None)
    assert (view.config, view.sync, view.history) == (None, None, None)
    assert (view.status, view.failsafe, view.failover) == (None, None, None)


def test_one_of_many_gets_the_lease(member_store: OpenStore) -> None:
    """DCS-02, DCS-CONSUL-18"""
    names = [f"m{number}" for number in range(9)]
    stores = [member_store(name) for name in names]

    def acquisition(number: int) -> Callable[[], LeaseAnswer]:
        return lambda: stores[number].acquire_leader(names[number], TTL, soon())

    answers = at_once([acquisition(number) for number in range(len(names))])
    winners = {answer.holder for answer in answers if answer.granted}
    assert len([answer for answer in answers if answer.granted]) == 1
    assert {answer.holder for answer in answers} == winners
    assert stores[0].read(soon()).leader_name in winners


def test_the_holder_may_acquire_again_and_nobody_else(member_store: OpenStore) -> None:
    ours, theirs = member_store("ours"), member_store("theirs")
    assert ours.acquire_leader("ours", TTL, soon()).granted
    assert ours.acquire_leader("ours", TTL, soon()).granted
    refused = theirs.acquire_leader("theirs", TTL, soon())
    assert (refused.granted, refused.holder) == (False, "ours")


def test_a_restarted_holder_gets_the_lease_it_left(member_store: OpenStore) -> None:
    """The key has our name and the session of our former life."""
    assert member_store("ours").acquire_leader("ours", SHORT, soon()).granted
    again = member_store("ours")
    assert again.acquire_leader("ours", TTL, soon()).granted
    time.sleep(SHORT + EXPIRY_LIMIT)  # the former session ends meanwhile
    assert again.renew_leader("ours", TTL, soon()).granted


def test_a_lease_lives_as_long_as_was_promised_and_not_much_longer(
    member_store: OpenStore,
) -> None:
    """DCS-RAFT-01, P-DCS-05: the promise counts from before the request was sent."""
    ours, theirs = member_store("ours"), member_store("theirs")
    assert ours.acquire_leader("ours", SHORT, soon()).granted
    renewed = ours.renew_leader("ours", SHORT, soon())
    assert renewed.granted
    acquire_when_free(theirs, "theirs")
    passed = boottime() - renewed.asked_at
    assert SHORT <= passed < SHORT + EXPIRY_LIMIT


def test_renewing_keeps_the_lease(member_store: OpenStore) -> None:
    ours, theirs = member_store("ours"), member_store("theirs")
    ours.acquire_leader("ours", SHORT, soon())
    end = time.monotonic() + 2 * SHORT
    while time.monotonic() < end:
        assert ours.renew_leader("ours", SHORT, soon()).granted
        assert not theirs.acquire_leader("theirs", SHORT, soon()).granted
        time.sleep(SHORT / 5)


def test_a_lost_lease_is_not_renewed(member_store: OpenStore) -> None:
    ours, theirs = member_store("ours"), member_store("theirs")
    nobody = ours.renew_leader("ours", TTL, soon())
    assert (nobody.granted, nobody.holder) == (False, None)
    ours.acquire_leader("ours", TTL, soon())
    ours.release_leader("ours", None, soon())
    assert not ours.renew_leader("ours", TTL, soon()).granted
    theirs.acquire_leader("theirs", TTL, soon())
    refused = ours.renew_leader("ours", TTL, soon())
    assert (refused.granted, refused.holder) == (False, "theirs")


def test_a_changed_ttl_holds_from_the_next_renewal(member_store: OpenStore) -> None:
    ours, theirs = member_store("ours"), member_store("theirs")
    ours.acquire_leader("ours", TTL, soon())
    ours.touch_member("ours", "{}", TTL, soon())
    assert ours.renew_leader("ours", SHORT, soon()).granted
    acquire_when_free(theirs, "theirs")


def test_releasing_writes_the_position_first(member_store: OpenStore) -> None:
    ours, theirs = member_store("ours"), member_store("theirs")
    ours.acquire_leader("ours", TTL, soon())
    ours.release_leader("ours", STATUS, soon())
    view = theirs.read(soon(), consistent=True)
    assert (view.leader, view.status) == (None, STATUS)


def test_after_another_ttl_the_lock_is_still_ours_to_give(
    member_store: OpenStore,
) -> None:
    ours, theirs = member_store("ours"), member_store("theirs")
    ours.acquire_leader("ours", TTL, soon())
    ours.touch_member("ours", "{}", SHORT, soon())
    ours.release_leader("ours", None, soon())
    assert theirs.acquire_leader("theirs", TTL, soon()).granted
    theirs.touch_member("theirs", "{}", SHORT, soon())
    assert theirs.hand_over_leader("theirs", "ours", STATUS, SHORT, soon()).granted


def test_what_is_not_ours_is_not_released(member_store: OpenStore) -> None:
    ours, theirs = member_store("ours"), member_store("theirs")
    theirs.acquire_leader("theirs", TTL, soon())
    ours.release_leader("ours", STATUS, soon())
    view = ours.read(soon(), consistent=True)
    assert (view.leader_name, view.status) == ("theirs", None)


def test_a_hand_over_names_the_next_leader(member_store: OpenStore) -> None:
    ours, theirs, third = (member_store(name) for name in ("ours", "theirs", "third"))
    ours.acquire_leader("ours", TTL, soon())
    assert ours.hand_over_leader("ours", "theirs", STATUS, TTL, soon()).granted

    view = third.read(soon(), consistent=True)
    assert (view.leader_name, view.status) == ("theirs", STATUS)
    assert not ours.renew_leader("ours", TTL, soon()).granted
    assert not third.acquire_leader("third", TTL, soon()).granted
    assert theirs.acquire_leader("theirs", TTL, soon()).granted
    assert theirs.renew_leader("theirs", TTL, soon()).granted


def test_a_hand_over_that_nobody_takes_expires(member_store: OpenStore) -> None:
    ours, third = member_store("ours"), member_store("third")
    ours.acquire_leader("ours", SHORT, soon())
    handed = ours.hand_over_leader("ours", "absent", STATUS, SHORT, soon())
    acquire_when_free(third, "third")
    assert boottime() - handed.asked_at < SHORT + EXPIRY_LIMIT


def test_only_the_holder_hands_over(member_store: OpenStore) -> None:
    ours, theirs = member_store("ours"), member_store("theirs")
    theirs.acquire_leader("theirs", TTL, soon())
    refused = ours.hand_over_leader("ours", "third", STATUS, TTL, soon())
    assert (refused.granted, refused.holder) == (False, "theirs")
    assert ours.read(soon(), consistent=True).status is None


def test_a_hand_over_is_withdrawn_only_if_it_was_not_taken(
    member_store: OpenStore,
) -> None:
    ours, theirs = member_store("ours"), member_store("theirs")
    ours.acquire_leader("ours", TTL, soon())
    ours.hand_over_leader("ours", "theirs", STATUS, TTL, soon())
    assert ours.withdraw_hand_over("ours", "theirs", soon()).granted
    assert ours.read(soon(), consistent=True).leader is None

    gone = ours.withdraw_hand_over("ours", "theirs", soon())
    assert (gone.granted, gone.holder) == (False, None)

    ours.acquire_leader("ours", TTL, soon())
    ours.hand_over_leader("ours", "theirs", STATUS, TTL, soon())
    theirs.acquire_leader("theirs", TTL, soon())
    taken = ours.withdraw_hand_over("ours", "theirs", soon())
    assert (taken.granted, taken.holder) == (False, "theirs")
    assert ours.read(soon(), consistent=True).leader_name == "theirs"


def test_a_taken_hand_over_outlives_the_session_of_the_giver(
    member_store: OpenStore,
) -> None:
    ours, theirs, third = (member_store(name) for name in ("ours", "theirs", "third"))
    ours.acquire_leader("ours", SHORT, soon())
    ours.hand_over_leader("ours", "theirs", STATUS, SHORT, soon())
    assert theirs.acquire_leader("theirs", TTL, soon()).granted
    time.sleep(SHORT + EXPIRY_LIMIT)
    assert not third.acquire_leader("third", TTL, soon()).granted


def test_one_of_many_initializes(member_store: OpenStore) -> None:
    stores = [member_store(f"m{number}") for number in range(6)]

    def taking(store: Store) -> Callable[[], bool]:
        return lambda: store.take_initialize("", soon()).written

    assert at_once([taking(store) for store in stores]).count(True) == 1
    assert stores[0].read(soon()).initialize == ""


def test_initialize_is_confirmed_or_given_back(member_store: OpenStore) -> None:
    store = member_store("a")
    assert store.take_initialize("", soon()).written
    assert store.cancel_initialize(soon()).written
    assert store.read(soon(), consistent=True).initialize is None

    assert store.take_initialize("", soon()).written
    assert store.confirm_initialize("7301234567890123456", soon()).written
    assert store.confirm_initialize("7301234567890123456", soon()).written
    assert not store.confirm_initialize("1", soon()).written
    assert not store.cancel_initialize(soon()).written
    assert not store.take_initialize("", soon()).written
    assert store.read(soon(), consistent=True).initialize == "7301234567890123456"


def test_the_identifier_of_an_existing_cluster_is_taken(
    member_store: OpenStore,
) -> None:
    one, other = member_store("one"), member_store("other")
    assert one.take_initialize("730", soon()).written
    assert other.take_initialize("730", soon()).written  # as it was wanted
    assert not other.take_initialize("731", soon()).written


def test_config_is_compared_and_set(member_store: OpenStore) -> None:
    """DCS-02, DCS-12, DCS-ZK-11"""
    one, other = member_store("one"), member_store("other")
    first = one.write_config('{"ttl":30}', "absent", soon())
    assert first.written
    assert not other.write_config('{"ttl":20}', "absent", soon()).written

    seen = other.read(soon(), consistent=True)
    assert (seen.config, seen.config_revision) == ('{"ttl":30}', first.revision)
    assert other.write_config('{"ttl":40}', seen.config_revision, soon()).written
    assert not one.write_config('{"ttl":50}', first.revision, soon()).written
    assert one.write_config('{"ttl":60}', None, soon()).written
    assert other.read(soon(), consistent=True).config == '{"ttl":60}'


def test_writing_what_is_there_already_is_no_conflict(member_store: OpenStore) -> None:
    """The answer to our first attempt may have been lost."""
    store = member_store("a")
    first = store.write_config('{"ttl":30}', "absent", soon())
    store.write_config('{"ttl":40}', first.revision, soon())
    assert store.write_config('{"ttl":40}', first.revision, soon()).written


def test_a_revision_of_another_world_is_a_conflict(member_store: OpenStore) -> None:
    store = member_store("a")
    store.write_config("{}", None, soon())
    assert not store.write_config('{"ttl":40}', "no-such-revision", soon()).written
    assert not store.write_config('{"ttl":40}', 999999999, soon()).written


def test_a_failover_is_requested_and_cleared(member_store: OpenStore) -> None:
    store = member_store("a")
    draft = FailoverDraft("n1", "n2", "2030-05-01T02:00:00+00:00")
    written = store.write_failover(draft, None, soon())
    request = store.read(soon(), consistent=True).failover
    assert request is not None
    assert (request.leader, request.candidate) == ("n1", "n2")
    assert request.scheduled_at == "2030-05-01T02:00:00+00:00"
    assert request.revision == written.revision

    other = store.write_failover(FailoverDraft(None, "n3", None), None, soon())
    clear = FailoverDraft(None, None, None)
    assert not store.write_failover(clear, written.revision, soon()).written
    assert store.write_failover(clear, other.revision, soon()).written
    assert store.read(soon(), consistent=True).failover is None


def test_the_synchronous_state_is_compared_and_set(member_store: OpenStore) -> None:
    store = member_store("a")
    first = store.write_sync(SyncDraft("n1", ("n3", "n2"), 1), None, soon())
    assert first.written
    assert not store.write_sync(SyncDraft("n2", (), 0), None, soon()).written

    state = store.read(soon(), consistent=True).sync
    assert state is not None
    assert (state.leader, state.standbys, state.quorum) == ("n1", ("n2", "n3"), 1)
    assert state.revision == first.revision

    empty = store.write_sync(SyncDraft(None, (), 0), first.revision, soon())
    assert empty.written
    assert not store.delete_sync(first.revision, soon()).written
    assert store.delete_sync(empty.revision, soon()).written
    assert store.delete_sync(None, soon()).written
    assert store.read(soon(), consistent=True).sync is None


def test_history_status_and_failsafe_are_read_as_written(
    member_store: OpenStore,
) -> None:
    """DCS-02, ELEC-23"""
    store = member_store("a")
    at = "2030-01-02T03:04:05.600000+00:00"
    lines = (
        HistoryLine(timeline=1, lsn=1, reason="r", at=at, leader="n2"),
        HistoryLine(timeline=2, lsn=2, reason="r"),
    )
    members = (FailsafeMember(name="n1", api_url="http://10.1.0.11:8008/patroni"),)
    assert store.write_history(lines, soon()).written
    assert store.write_status(STATUS, True, soon()).written
    assert store.write_failsafe(members, soon()).written
    view = store.read(soon(), consistent=True)
    assert (view.history, view.status, view.failsafe) == (lines, STATUS, members)


def test_a_member_key_lives_as_long_as_it_is_touched(member_store: OpenStore) -> None:
    """DCS-ETCD3-05"""
    ours, theirs = member_store("ours"), member_store("theirs")
    with Watching(theirs) as watching:
        for _ in range(6):
            assert ours.touch_member("ours", '{"state":"running"}', SHORT, soon())
            time.sleep(SHORT / 4)
        assert watching.views[-1][1].member("ours") is not None
        last_touched = time.monotonic()
        watching.forget()
        gone_at, _ = watching.until(lambda view: view.member("ours") is None)
        assert gone_at - last_touched < SHORT + EXPIRY_LIMIT


def test_a_member_key_that_was_removed_comes_back(member_store: OpenStore) -> None:
    """An unchanged document is written again if somebody removed the key."""
    ours, theirs = member_store("ours"), member_store("theirs")
    with Watching(ours) as watching:
        ours.touch_member("ours", '{"state":"running"}', TTL, soon())
        watching.until(lambda view: view.member("ours") is not None)
        watching.forget()
        theirs.delete_cluster(soon())
        watching.until(lambda view: view.member("ours") is None)
        assert ours.touch_member("ours", '{"state":"running"}', TTL, soon()).written
        assert theirs.read(soon(), consistent=True).member("ours") is not None


def test_a_change_is_seen_within_milliseconds(member_store: OpenStore) -> None:
    """P-DCS-06"""
    ours, theirs = member_store("ours"), member_store("theirs")
    with Watching(theirs) as watching:
        delays = []
        for _ in range(5):
            ours.acquire_leader("ours", TTL, soon())
            watching.until(lambda view: view.leader_name == "ours")
            watching.forget()
            began = time.monotonic()
            ours.release_leader("ours", None, soon())
            seen_at, _ = watching.until(lambda view: view.leader is None)
            watching.forget()
            delays.append(seen_at - began)
        # The best of five: other programs share the machine.
        assert min(delays) < 0.05


def test_prolonging_is_no_change(member_store: OpenStore) -> None:
    ours, theirs = member_store("ours"), member_store("theirs")
    ours.acquire_leader("ours", TTL, soon())
    ours.touch_member("ours", "{}", TTL, soon())
    before = theirs.read(soon(), consistent=True)
    ours.renew_leader("ours", TTL, soon())
    ours.touch_member("ours", "{}", TTL, soon())
    assert theirs.read(soon(), consistent=True) == before


def test_all_keys_of_a_cluster_are_removed(member_store: OpenStore) -> None:
    """DCS-10, CTL-26"""
    store = member_store("a")
    store.write_config("{}", None, soon())
    store.touch_member("a", "{}", TTL, soon())
    store.acquire_leader("a", TTL, soon())
    store.delete_cluster(soon())
    view = store.read(soon(), consistent=True)
    assert (view.leader, view.config, view.members) == (None, None, ())


@pytest.mark.parametrize("name", ["n 1", "ünï", "a/b", 'q"uote', "x" * 200])
def test_odd_member_names_are_kept(member_store: OpenStore, name: str) -> None:
    store = member_store(name)
    store.touch_member(name, '{"state":"running"}', TTL, soon())
    assert store.acquire_leader(name, TTL, soon()).granted
    view = store.read(soon(), consistent=True)
    assert (view.leader_name, [each.name for each in view.members]) == (name, [name])


def test_what_is_carried_out_late_takes_no_lock_from_a_daemon_started_since(
    member_store: OpenStore,
) -> None:
    """Law 1: it would name the next leader while this one takes writes."""
    former, again = (member_store("ours") for _ in range(2))
    assert former.acquire_leader("ours", TTL, soon()).granted
    assert again.acquire_leader("ours", TTL, soon()).granted
    status = LeaderStatus(optime=7)
    late = former.hand_over_leader("ours", "theirs", status, TTL, soon())
    assert (late.granted, late.holder) == (False, "ours")
    former.release_leader("ours", status, soon())
    view = again.read(soon(), consistent=True)
    assert (view.leader_name, view.status) == ("ours", None)
    assert again.hand_over_leader("ours", "theirs", status, TTL, soon()).granted
