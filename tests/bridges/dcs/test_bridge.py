"""The bridge: orders become outcomes, changes become observations; on real stores."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from regnal.bridges.dcs.bridge import DcsBridge
from regnal.bridges.dcs.clock import boottime
from regnal.bridges.dcs.contract import Store
from regnal.messages.base import Command, Message
from regnal.messages.cluster import (
    ClusterObserved,
    ClusterView,
    FailsafeMember,
    HistoryLine,
    KeyName,
    KeyRefused,
    KeyUnconfirmed,
    KeyWritten,
    LeaderStatus,
    SlotPosition,
    StoreAnswered,
    StoreUnreachable,
)
from regnal.messages.envelope import Envelope, HybridTime
from regnal.messages.lease import (
    AcquireLeader,
    HandOverLeader,
    LeaderAcquired,
    LeaderHandedOver,
    LeaderReleased,
    LeaderRenewed,
    LeaseRefused,
    LeaseUnconfirmed,
    ReleaseLeader,
    RenewLeader,
    WithdrawHandOver,
)
from regnal.messages.store import (
    CancelInitialize,
    ConfirmInitialize,
    DeleteSync,
    ReadCluster,
    TakeInitialize,
    TouchMember,
    WriteConfig,
    WriteFailover,
    WriteFailsafe,
    WriteHistory,
    WriteStatus,
    WriteSync,
)
from tests.bridges.dcs.conftest import OpenStore
from tests.bridges.dcs.raft_nodes import SharedNode

M = TypeVar("M", bound=Message)

TTL = 30.0
NUMBERS = itertools.count(1)


class Recorder:
    """A voice that remembers, and waits for what it wants to hear."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self.said: list[tuple[Message, str | None]] = []
        """With the id of the cause."""

    def say(self, message: Message, cause: Envelope[Message] | None = None) -> None:
        with self._news:
            self.said.append((message, cause.id if cause else None))
            self._news.notify_all()

    def hear(
        self,
        kind: type[M],
        is_it: Callable[[M], bool] = lambda message: True,
        cause: str | None = None,
        seconds: float = 10.0,
    ) -> M:
        def find() -> M | None:
            for message, why in self.said:
                right = isinstance(message, kind) and is_it(message)
                if right and (cause is None or why == cause):
                    return message  # type: ignore[return-value]  # checked above
            return None

        with self._news:
            self._news.wait_for(lambda: find() is not None, seconds)
            found = find()
            assert found is not None, f"{kind.__name__} was not said: {self.said[-5:]}"
            return found

    def count(self, kind: type[Message]) -> int:
        with self._news:
            return sum(isinstance(message, kind) for message, _ in self.said)


class Member:
    """A bridge with its voice."""

    def __init__(self, name: str, store: Store) -> None:
        self.name = name
        self.voice = Recorder()
        self.bridge = DcsBridge(store, self.voice)
        self.bridge.start()

    def order(self, command: Command) -> str:
        number = str(next(NUMBERS))
        stamp = HybridTime(0, 0, self.name)
        now = boottime()
        self.bridge.perform(
            Envelope(number, stamp, now, "election", None, None, command)
        )
        return number

    def answer(self, kind: type[M], command: Command, seconds: float = 10.0) -> M:
        """What is said because of `command`, which must be of that kind."""
        return self.voice.hear(kind, cause=self.order(command), seconds=seconds)

    def view(self, is_it: Callable[[ClusterView], bool]) -> ClusterView:
        return self.voice.hear(ClusterObserved, lambda said: is_it(said.view)).view

    def acquire(self) -> LeaderAcquired:
        command = AcquireLeader(member=self.name, ttl=TTL, deadline=soon())
        return self.answer(LeaderAcquired, command)


def soon(seconds: float = 5.0) -> float:
    return boottime() + seconds


Joining = Callable[[str], Member]


@pytest.fixture
def join(member_store: OpenStore) -> Iterator[Joining]:
    members: list[Member] = []

    def join_as(name: str) -> Member:
        members.append(Member(name, member_store(name)))
        return members[-1]

    yield join_as
    for member in members:
        began = time.monotonic()
        member.bridge.stop()
        assert time.monotonic() - began < 2.0
        assert not [t for t in member.bridge._threads if t.is_alive()]


def test_a_lease_counts_from_before_the_request(join: Joining) -> None:
    ours = join("ours")
    before = boottime()
    acquired = ours.acquire()
    assert before + TTL <= acquired.valid_until <= boottime() + TTL
    command = RenewLeader(member="ours", ttl=TTL, deadline=soon())
    renewed = ours.answer(LeaderRenewed, command)
    assert renewed.valid_until >= acquired.valid_until
    assert ours.view(lambda view: view.leader_name == "ours")


def test_refusals_name_the_holder(join: Joining) -> None:
    """DCS-07"""
    ours, theirs = join("ours"), join("theirs")
    ours.acquire()
    command = AcquireLeader(member="theirs", ttl=TTL, deadline=soon())
    assert theirs.answer(LeaseRefused, command) == LeaseRefused(
        action="acquire", holder="ours"
    )
    renewal = RenewLeader(member="theirs", ttl=TTL, deadline=soon())
    assert theirs.answer(LeaseRefused, renewal) == LeaseRefused(
        action="renew", holder="ours"
    )


def test_a_released_lease_leaves_position_and_slots(join: Joining) -> None:
    ours, theirs = join("ours"), join("theirs")
    ours.acquire()
    slots = (SlotPosition(name="cdc", lsn=5),)
    status = LeaderStatus(optime=6, slots=slots, retain_slots=("n1",))
    ours.answer(KeyWritten, WriteStatus(status=status, deadline=soon()))
    ours.view(lambda view: view.status == status)
    command = ReleaseLeader(member="ours", last_lsn=7, deadline=soon())
    assert ours.answer(LeaderReleased, command).member == "ours"
    theirs.view(
        lambda view: (
            view.leader is None
            and view.status == LeaderStatus(optime=7, slots=slots, retain_slots=("n1",))
        )
    )


def test_a_lease_is_handed_over_and_taken_back(join: Joining) -> None:
    ours, theirs = join("ours"), join("theirs")
    ours.acquire()
    hand_over = HandOverLeader(
        member="ours", to="theirs", last_lsn=9, ttl=TTL, deadline=soon()
    )
    withdraw = WithdrawHandOver(member="ours", to="theirs", deadline=soon())
    assert ours.answer(LeaderHandedOver, hand_over).to == "theirs"
    theirs.view(lambda view: view.leader_name == "theirs")
    assert ours.answer(LeaderReleased, withdraw)

    ours.acquire()
    assert ours.answer(LeaderHandedOver, hand_over)
    theirs.acquire()
    assert ours.answer(LeaseRefused, withdraw).holder == "theirs"
    assert ours.answer(LeaseRefused, hand_over) == LeaseRefused(
        action="hand_over", holder="theirs"
    )


def test_every_key_is_written_and_observed(join: Joining) -> None:
    """DCS-02, DCS-12"""
    ours, theirs = join("ours"), join("theirs")
    at = soon()
    lines = (HistoryLine(timeline=1, lsn=2, reason="r", at="t", leader="ours"),)
    failsafe = (FailsafeMember(name="ours", api_url="http://h/patroni"),)
    written: tuple[tuple[KeyName, Command], ...] = (
        (
            "member",
            TouchMember(
                member="ours", ttl=TTL, document='{"state":"running"}', deadline=at
            ),
        ),
        ("initialize", TakeInitialize(deadline=at)),
        ("initialize", ConfirmInitialize(system_identifier="7", deadline=at)),
        (
            "config",
            WriteConfig(
                document='{"ttl":30}', if_revision="absent", deadline=at, request="r1"
            ),
        ),
        (
            "failover",
            WriteFailover(
                leader="ours",
                candidate="theirs",
                scheduled_at=None,
                if_revision=None,
                deadline=at,
            ),
        ),
        (
            "sync",
            WriteSync(
                leader="ours",
                standbys=("theirs",),
                quorum=0,
                if_revision=None,
                deadline=at,
            ),
        ),
        ("history", WriteHistory(lines=lines, deadline=at)),
        ("status", WriteStatus(status=LeaderStatus(optime=3), deadline=at)),
        ("failsafe", WriteFailsafe(members=failsafe, deadline=at)),
    )
    for key, command in written:
        outcome = ours.answer(KeyWritten, command)
        assert outcome.key == key
        assert outcome.request == getattr(command, "request", None)
    view = theirs.view(lambda view: view.failsafe == failsafe)
    assert view.initialize == "7"
    assert view.config == '{"ttl":30}'
    assert view.failover is not None
    assert view.sync is not None
    assert view.sync.standbys == ("theirs",)
    assert view.history == lines
    assert view.member("ours") is not None

    delete = DeleteSync(if_revision=view.sync.revision, deadline=at)
    assert theirs.answer(KeyWritten, delete).key == "sync"


def test_conflicts_are_refusals(join: Joining) -> None:
    ours = join("ours")
    first = WriteConfig(document="{}", if_revision="absent", deadline=soon())
    again = WriteConfig(
        document='{"ttl":9}', if_revision="absent", deadline=soon(), request="r2"
    )
    ours.answer(KeyWritten, first)
    assert ours.answer(KeyRefused, again) == KeyRefused(key="config", request="r2")
    ours.answer(KeyWritten, TakeInitialize(system_identifier="730", deadline=soon()))
    assert ours.answer(KeyRefused, CancelInitialize(deadline=soon())) == KeyRefused(
        key="initialize"
    )


def test_a_read_is_answered_also_if_nothing_changed(join: Joining) -> None:
    """DCS-11"""
    ours = join("ours")
    for _ in range(2):
        command = ReadCluster(deadline=soon())
        assert ours.answer(ClusterObserved, command).view.leader is None


def test_what_did_not_change_is_not_said_again(join: Joining) -> None:
    ours = join("ours")
    ours.acquire()
    ours.view(lambda view: view.leader_name == "ours")
    said = ours.voice.count(ClusterObserved)
    for _ in range(3):
        command = RenewLeader(member="ours", ttl=TTL, deadline=soon())
        ours.answer(LeaderRenewed, command)
    assert ours.voice.count(ClusterObserved) == said


def test_an_unchanged_status_is_not_written_again(join: Joining) -> None:
    """P-DCS-20: then the answer has no revision"""
    ours = join("ours")
    status = LeaderStatus(optime=3)
    first = ours.answer(KeyWritten, WriteStatus(status=status, deadline=soon()))
    assert first.revision is not None
    ours.view(lambda view: view.status == status)
    again = ours.answer(KeyWritten, WriteStatus(status=status, deadline=soon()))
    assert again.revision is None


@pytest.mark.parametrize(
    ("version", "is_written"), [("2.0.2", True), ("2.1.0", False), ("4.1.5", False)]
)
def test_members_of_old_read_the_position_from_its_old_key(
    join: Joining, member_store: OpenStore, version: str, is_written: bool
) -> None:
    ours = join("ours")
    document = f'{{"version":"{version}"}}'
    touch = TouchMember(member="ours", ttl=TTL, document=document, deadline=soon())
    ours.answer(KeyWritten, touch)
    ours.view(lambda view: view.member("ours") is not None)
    status = LeaderStatus(optime=3)
    ours.answer(KeyWritten, WriteStatus(status=status, deadline=soon()))
    store = member_store("reader")
    values = _values_of(store)
    assert ("optime/leader" in values) is is_written


def _values_of(store: Store) -> set[str]:
    """Names of the keys below the cluster's prefix."""
    prefix: str = store._place.prefix  # type: ignore[attr-defined]
    node = getattr(store, "_node", None)
    if node is not None:
        paths = list(node.map.entries)
    else:
        found = store._keys.read_below(prefix, soon())  # type: ignore[attr-defined]
        paths = [each.path for each in found]
    return {path[len(prefix) :] for path in paths if path.startswith(prefix)}


def test_an_order_that_waited_too_long_is_unconfirmed(join: Joining) -> None:
    ours = join("ours")
    late = boottime() - 0.001
    lease = RenewLeader(member="ours", ttl=TTL, deadline=late)
    key = WriteConfig(document="{}", if_revision=None, deadline=late, request="r")
    assert ours.answer(LeaseUnconfirmed, lease).action == "renew"
    assert ours.answer(KeyUnconfirmed, key).request == "r"


def test_an_answer_after_the_end_of_the_lease_grants_nothing(join: Joining) -> None:
    ours = join("ours")
    command = AcquireLeader(member="ours", ttl=0.0000001, deadline=soon())
    assert ours.answer(LeaseUnconfirmed, command).action == "acquire"


def test_losing_the_majority_is_said_once_and_so_is_its_return(
    join: Joining, store_name: str, request: pytest.FixtureRequest
) -> None:
    """The two other servers, or nodes, freeze for a while."""
    if store_name == "raft":
        nodes: list[SharedNode] = request.getfixturevalue("raft_nodes")
        others = list(nodes[1:])
        freeze = [node.freeze for node in others]
        thaw = [node.thaw for node in others]
    else:
        servers = request.getfixturevalue("etcd").servers[1:]
        freeze = [server.pause for server in servers]
        thaw = [server.resume for server in servers]
    ours = join("ours")
    ours.acquire()
    for each in freeze:
        each()
    try:
        renewal = RenewLeader(member="ours", ttl=TTL, deadline=soon(1.0))
        began = time.monotonic()
        assert ours.answer(LeaseUnconfirmed, renewal).action == "renew"
        assert time.monotonic() - began < 2.5
        ours.voice.hear(StoreUnreachable)
        read = ReadCluster(deadline=soon(0.3))
        silence = ours.answer(StoreUnreachable, read)
        assert silence.unanswered_for > 0
        touch = TouchMember(member="ours", ttl=TTL, document="{}", deadline=soon(0.3))
        assert ours.answer(KeyUnconfirmed, touch).key == "member"
        assert ours.voice.count(StoreAnswered) == 0
    finally:
        for each in thaw:
            each()
    renewal = RenewLeader(member="ours", ttl=TTL, deadline=soon(20.0))
    ours.answer(LeaderRenewed, renewal, seconds=20.0)
    ours.voice.hear(StoreAnswered)
    assert ours.voice.count(StoreUnreachable) <= 3


def test_a_stuck_write_does_not_hold_up_the_lease(join: Joining) -> None:
    ours = join("ours")
    ours.acquire()
    gate = threading.Event()
    store = ours.bridge._store

    class Slow:
        """The store, but its history is written when the gate opens."""

        def __getattr__(self, name: str) -> object:
            if name == "write_history":
                gate.wait(5)
            return getattr(store, name)

    ours.bridge._store = Slow()  # type: ignore[assignment]
    history = ours.order(WriteHistory(lines=(), deadline=soon()))
    renewal = RenewLeader(member="ours", ttl=TTL, deadline=soon())
    ours.answer(LeaderRenewed, renewal)
    gate.set()
    ours.voice.hear(KeyWritten, cause=history)


def test_the_bridge_says_what_it_performs(join: Joining) -> None:
    bridge = join("ours").bridge
    assert bridge.name == "dcs"
    assert {AcquireLeader, WithdrawHandOver, ReadCluster, WriteFailsafe} <= set(
        bridge.performs
    )
    assert len(set(bridge.performs)) == len(bridge.performs) == 17
