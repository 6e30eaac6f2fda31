"""The bridge of a simulated member to the simulated store and to its peers."""

import json
from collections.abc import Callable

from regnal.messages.base import Command, Message
from regnal.messages.cluster import (
    ClusterObserved,
    ClusterView,
    FailoverRequest,
    KeyName,
    KeyRefused,
    KeyUnconfirmed,
    KeyWritten,
    MemberView,
    StoreAnswered,
    StoreUnreachable,
    SyncState,
    Tags,
)
from regnal.messages.envelope import Envelope
from regnal.messages.lease import (
    AcquireLeader,
    HandOverLeader,
    LeaderAcquired,
    LeaderHandedOver,
    LeaderReleased,
    LeaderRenewed,
    LeaseAction,
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
from regnal.replay.simulation.member import Daemon, SimulatedMember
from regnal.replay.simulation.network import STORE
from regnal.replay.simulation.store import Session
from regnal.replay.simulation.surroundings import Surroundings

ASK_AGAIN_AFTER = 0.5
"""Seconds after which a request that met with nobody is sent again."""

RECONNECTED_WITHIN = (0.1, 0.5)
"""Seconds until a watch that broke is there again, once the way is free."""

LATE = 20.0
"""Seconds by which a request may come late: its sender has long given up."""

KEYS: dict[type[Command], KeyName] = {
    TouchMember: "member",
    TakeInitialize: "initialize",
    ConfirmInitialize: "initialize",
    CancelInitialize: "initialize",
    WriteConfig: "config",
    WriteFailover: "failover",
    WriteSync: "sync",
    DeleteSync: "sync",
    WriteHistory: "history",
    WriteStatus: "status",
    WriteFailsafe: "failsafe",
}
LEASE_ACTIONS: dict[type[Command], LeaseAction] = {
    AcquireLeader: "acquire",
    RenewLeader: "renew",
    ReleaseLeader: "release",
    HandOverLeader: "hand_over",
    WithdrawHandOver: "withdraw",
}


class SimulatedStoreBridge:
    """Says what the production bridge would, after delays and through partitions."""

    def __init__(
        self, world: Surroundings, member: SimulatedMember, daemon: Daemon
    ) -> None:
        self._world = world
        self._member = member
        self._daemon = daemon
        self._session: Session = (member.incarnation, 0)
        self._lost = False
        self._answered_at = world.scheduler.now
        self._seen: ClusterView | None = None

    def start(self) -> None:
        """Watch, and read once."""
        self._world.store.watch(self._member.name, self._observed)
        if self._connected():
            self._observed(self._world.store.view())
        else:
            self._lose()

    def reconnect(self) -> None:
        """The network is back: watch first, then go on."""
        if self._daemon.alive:
            self._observed(self._world.store.view())

    def reconnect_soon(self) -> None:
        """As `reconnect`, when the watch is tried next."""
        scheduler = self._world.scheduler
        scheduler.after(scheduler.delay(*RECONNECTED_WITHIN), self.reconnect)

    def perform(self, envelope: Envelope[Command]) -> bool:
        """Take the order; False: it is none of ours."""
        command = envelope.message
        if isinstance(command, ReadCluster):
            self._to_store(lambda: self._read(self._world.store.view()))
        elif type(command) in KEYS:
            self._ask(envelope, lambda: self._write(command))
        elif type(command) in LEASE_ACTIONS:
            session = self._session
            self._ask(envelope, lambda: self._lease(command, envelope, session))
        else:
            return False
        return True

    def _connected(self) -> bool:
        world = self._world
        return not world.store.is_down and world.network.connects(
            self._member.name, STORE
        )

    def _to_store(self, event: Callable[[], None]) -> None:
        network = self._world.network
        delay = network.latency(self._member.name, STORE)
        self._world.scheduler.after(delay, event)

    def _from_store(self, event: Callable[[], None]) -> None:
        network = self._world.network
        delay = network.latency(STORE, self._member.name)
        self._world.scheduler.after(delay, event)

    def _read(self, view: ClusterView) -> None:
        if self._connected():
            self._from_store(lambda: self._observed(view, asked_for=True))
        else:
            self._lose(always=True)

    def _observed(self, view: ClusterView, *, asked_for: bool = False) -> None:
        if not self._connected():
            return
        self._answered()
        if asked_for or view != self._seen:
            self._seen = view
            self._learn_clocks(view)
            self._member.say(self._daemon, "dcs", ClusterObserved(view=view))

    def _learn_clocks(self, view: ClusterView) -> None:
        if self._world.clocks_differ:
            for member in view.members:
                if member.hlc and member.name != self._member.name:
                    self._member.observe_stamp(member.hlc)

    def _answered(self) -> None:
        self._answered_at = self._world.scheduler.now
        if self._lost:
            self._lost = False
            self._member.say(self._daemon, "dcs", StoreAnswered())

    def _lose(self, *, always: bool = False) -> None:
        if self._lost and not always:
            return
        self._lost = True
        silent_for = self._world.scheduler.now - self._answered_at
        self._member.say(
            self._daemon,
            "dcs",
            StoreUnreachable(error="no answer", unanswered_for=silent_for),
        )

    def _ask(self, envelope: Envelope[Command], act: Callable[[], Message]) -> None:
        """Request, act, answer.  Who meets with nobody asks again until the deadline;
        what is lost on its way back may have happened."""
        scheduler, network = self._world.scheduler, self._world.network
        me = self._member.name
        deadline = getattr(envelope.message, "deadline", scheduler.now)
        trouble = scheduler.chance.random() < self._world.lossy
        what = scheduler.chance.choice(("lost", "late", "unanswered"))
        done = False

        def arrive() -> None:
            # What was sent arrives, whatever has become of its sender.
            if self._world.store.is_down or not network.carries(me, STORE):
                scheduler.after(ASK_AGAIN_AFTER, ask_again)
                return
            if trouble and what == "late":
                scheduler.after(scheduler.delay(0, LATE), arrive_late)
                return
            if trouble and what == "lost":
                return
            outcome = act()
            self._from_store(lambda: answer(outcome))

        def ask_again() -> None:
            if self._daemon.frozen:
                self._daemon.backlog.append(ask_again)
            elif self._daemon.alive and not done:
                self._to_store(arrive)

        def arrive_late() -> None:
            if not self._world.store.is_down:
                act()

        def answer(outcome: Message) -> None:
            nonlocal done
            if done or trouble or not network.carries(STORE, me):
                return
            done = True
            self._answered()
            self._member.say(self._daemon, "dcs", outcome, envelope)

        def give_up() -> None:
            nonlocal done
            if done:
                return
            done = True
            if isinstance(envelope.message, ReleaseLeader | HandOverLeader):
                # As bridges/dcs/etcd3: it may be carried out yet.
                daemon, number = self._session
                self._session = daemon, number + 1
            self._lose()
            self._member.say(
                self._daemon, "dcs", self._unconfirmed(envelope.message), envelope
            )

        if deadline < scheduler.now:
            give_up()  # an order that was late itself is not sent
            return
        self._to_store(arrive)
        scheduler.at(deadline, give_up)

    def _unconfirmed(self, command: Command) -> Message:
        if type(command) in LEASE_ACTIONS:
            action = LEASE_ACTIONS[type(command)]
            return LeaseUnconfirmed(action=action, error="no answer")
        return KeyUnconfirmed(
            key=KEYS[type(command)],
            error="no answer",
            request=getattr(command, "request", None),
        )

    def _lease(
        self, command: Command, envelope: Envelope[Command], session: Session
    ) -> Message:
        store, me = self._world.store, self._member.name
        match command:
            case AcquireLeader(ttl=ttl):
                if store.acquire(me, ttl, session):
                    self._world.granted(me, envelope.at + ttl)
                    return LeaderAcquired(member=me, valid_until=envelope.at + ttl)
            case RenewLeader(ttl=ttl):
                if store.renew(me, ttl, session):
                    self._world.granted(me, envelope.at + ttl)
                    return LeaderRenewed(member=me, valid_until=envelope.at + ttl)
            case ReleaseLeader(last_lsn=lsn):
                if store.release(me, lsn, session):
                    self._world.letting_go(me)
                    return LeaderReleased(member=me)
            case HandOverLeader(to=to, last_lsn=lsn, ttl=ttl):
                if store.hand_over(me, to, lsn, ttl, session):
                    self._world.letting_go(me)
                    return LeaderHandedOver(to=to)
            case WithdrawHandOver(to=to):
                if store.withdraw(me, to):
                    return LeaderReleased(member=me)
        holder = store.lock.name if store.lock else None
        return LeaseRefused(action=LEASE_ACTIONS[type(command)], holder=holder)

    def _write(self, command: Command) -> Message:
        key = KEYS[type(command)]
        request = getattr(command, "request", None)
        revision = self._world.store.next_revision()
        if not self._change(command, revision):
            return KeyRefused(key=key, request=request)
        if not isinstance(command, TouchMember):
            self._world.store.changed()
        return KeyWritten(key=key, revision=revision, request=request)

    def _change(self, command: Command, revision: int) -> bool:
        """Make the change, which has this revision; False: the compare-and-set failed."""
        store = self._world.store
        match command:
            case TouchMember(document=document, ttl=ttl, member=name):
                store.touch(member_view(name, document), ttl)
            case TakeInitialize(system_identifier=identifier):
                if store.initialize is not None:
                    return False
                store.initialize = identifier
            case ConfirmInitialize(system_identifier=identifier):
                store.initialize = identifier
            case CancelInitialize():
                store.initialize = None
            case WriteConfig(document=document, if_revision=wanted):
                actual = store.config[1] if store.config else "absent"
                if wanted is not None and wanted != actual:
                    return False
                store.config = (document, revision)
            case WriteFailover(leader=None, candidate=None):
                store.failover = None
            case WriteFailover(leader=leader, candidate=candidate):
                store.failover = FailoverRequest(
                    leader=leader,
                    candidate=candidate,
                    scheduled_at=command.scheduled_at,
                    revision=revision,
                )
            case WriteSync(leader=leader, standbys=standbys, if_revision=wanted):
                actual_revision = store.sync.revision if store.sync else None
                if wanted != actual_revision:
                    return False
                store.sync = SyncState(
                    leader=leader,
                    standbys=standbys,
                    quorum=command.quorum,
                    revision=revision,
                )
            case DeleteSync():
                store.sync = None
            case WriteHistory(lines=lines):
                store.history = lines
            case WriteStatus(status=status):
                store.status = status
            case WriteFailsafe(members=members):
                store.failsafe = members
        return True


def member_view(name: str, document: str) -> MemberView:
    """A member key's value as the simulated store shows it."""
    value = json.loads(document)
    known = {
        field: value[field]
        for field in (
            "xlog_location",
            "receive_lsn",
            "replay_lsn",
            "replication_state",
            "timeline",
            "checkpoint_after_promote",
            "hlc",
            "barred",
        )
        if field in value
    }
    tags = value.get("tags", {})
    return MemberView(
        name=name,
        conn_url=value.get("conn_url"),
        api_url=value.get("api_url"),
        state=value.get("state", ""),
        role=value.get("role", ""),
        version=value.get("version"),
        tags=Tags(
            **{k: v for k, v in tags.items() if k in Tags.model_fields},
            document=json.dumps(tags),
        ),
        document=document,
        **known,
    )
