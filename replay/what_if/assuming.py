"""Assuming: the answers to orders that nobody gave then, where there is one sensible."""

from collections.abc import Callable

from regnal.messages.base import LSN, Instant, MemberName, Message
from regnal.messages.cluster import ClusterObserved, KeyRefused, KeyWritten, SyncState
from regnal.messages.envelope import Envelope, MessageId
from regnal.messages.fencing import (
    ActivateWatchdog,
    CheckWatchdog,
    GuardArmed,
    GuardFailed,
    WatchdogActivated,
    WatchdogFailed,
    WatchdogFound,
)
from regnal.messages.lease import LeaderRenewed, LeaseUnconfirmed, RenewLeader
from regnal.messages.postgres import (
    CheckDivergence,
    DivergenceChecked,
    ObservePostgres,
    PostgresObserved,
    SetSynchronousStandbys,
    SynchronousStandbysSet,
)
from regnal.messages.probes import PeersProbed, PeerStatus, ProbePeers
from regnal.messages.store import DeleteSync, ReadCluster, WriteFailsafe, WriteSync
from regnal.replay.what_if.answers import LATENCY
from regnal.replay.what_if.clockwork import Clockwork, Due
from regnal.replay.what_if.outside import Outside
from regnal.replay.what_if.world import World, Written

Probed = Callable[[ProbePeers, Instant], tuple[PeerStatus, ...] | None]
"""What the members would answer; None: the journal of one that is asked is not here."""


class Assuming:
    """Of one member."""

    def __init__(
        self,
        member: MemberName,
        world: World,
        outside: Outside,
        clockwork: Clockwork,
        probed: Probed,
    ) -> None:
        self._member = member
        self._world = world
        self._outside = outside
        self._clockwork = clockwork
        self._probed = probed

    def expect(self, order: Envelope[Message]) -> str | None:
        """Expect the answer; what it is, in words.  None: there is none to assume."""
        match order.message:
            case RenewLeader():
                return self._renewed(order, order.message)
            case WriteSync() | DeleteSync():
                return self._sync(order, order.message)
            case WriteFailsafe(members=members):
                self._world.failsafe = members
                self._world.changed()
                return self._answer(
                    order, "dcs", KeyWritten(key="failsafe", revision=None)
                )
            case SetSynchronousStandbys(value=value):
                self._world.standby_names[self._member] = value
                done = SynchronousStandbysSet(value=value, lsn=self._position)
                text = f"PostgreSQL takes synchronous_standby_names = '{value}'"
                return self._answer(order, "postgres", done, text)
            case ProbePeers():
                return self._peers(order, order.message)
            case CheckDivergence(upstream=upstream):
                return self._diverged(order, upstream.member)
            case CheckWatchdog() | ActivateWatchdog():
                return self._device(order, order.message)
            case _:
                return None

    def arm(self, at: Instant, cause: MessageId) -> str:
        """Expect the guard's answer to an order of then; what it is, in words."""
        known = self._outside.guard
        failed = isinstance(known, GuardFailed)
        answer = known if known is not None else GuardArmed(guard_pid=0)
        self._clockwork.expect(Due(at + LATENCY, "guard", answer, cause))
        return "the guard fails as it did before" if failed else "the guard is armed"

    def look(self, order: Envelope[Message]) -> None:
        """A look that nobody had then sees what was there, as far as that is known."""
        at = order.at + LATENCY
        moment = self._outside.moment(at)
        status, view = self._outside.status, self._outside.view
        match order.message:
            case ObservePostgres() if status is not None:
                seen: Message = PostgresObserved(status=status)
                seen = self._world.seen(seen, self._member, moment)
                self._clockwork.expect(Due(at, "postgres", seen, order.id))
            case ReadCluster() if view is not None and self._answers(order):
                shown = ClusterObserved(view=self._world.shown(view, moment))
                self._clockwork.expect(Due(at, "dcs", shown, order.id))

    def withhold(self, order: Message) -> None:
        """What was written then is not written now: it stays as it is."""
        match order:
            case WriteSync() | DeleteSync():
                self._world.sync = Written(self._key)
                self._world.changed()
            case SetSynchronousStandbys():
                status = self._outside.status
                names = status.synchronous_standby_names if status else None
                known = self._world.standby_names.get(self._member, names or "")
                self._world.standby_names[self._member] = known

    def _answers(self, order: Envelope[Message]) -> bool:
        return self._clockwork.store_answers(order.at)

    def _device(
        self, order: Envelope[Message], wanted: CheckWatchdog | ActivateWatchdog
    ) -> str | None:
        """Where a device is not required a promotion waits for its answer, but goes on
        whatever that is."""
        answer: Message
        known, settings = self._outside.watchdog, self._outside.now
        text = "the device answers as it did before"
        if isinstance(known, WatchdogFailed):
            answer = known
        elif known is not None:
            answer = WatchdogFound()
            if isinstance(wanted, ActivateWatchdog):
                answer = WatchdogActivated(timeout=wanted.timeout)
        elif settings is not None and settings.watchdog_mode != "required":
            text = "nothing is known of the device: as if there were none"
            answer = WatchdogFailed(error="not known")
        else:
            return None
        return self._answer(order, "watchdog_device", answer, text)

    def _diverged(self, order: Envelope[Message], upstream: str | None) -> str | None:
        status, moment = self._outside.status, self._outside.moment(order.at)
        if status is None or upstream is None:
            return None
        if not self._world.is_down(upstream, moment):
            return None
        checked = DivergenceChecked(
            verdict="unknown",
            local_timeline=status.timeline,
            local_lsn=status.position,
            upstream_timeline=0,
            switch_lsn=None,
        )
        return self._answer(order, "postgres", checked, f"{upstream} does not answer")

    @property
    def _position(self) -> LSN:
        """Where the WAL is, as far as every standby that streams has it: nobody recorded
        when one of them had more."""
        status = self._outside.status
        if status is None:
            return 0
        flushed = [one.flush_lsn for one in status.senders if one.flush_lsn is not None]
        return min([status.write_lsn or 0, *flushed])

    def _renewed(self, order: Envelope[Message], renew: RenewLeader) -> str:
        if not self._answers(order):
            silence = LeaseUnconfirmed(action="renew", error="no answer")
            self._clockwork.expect(Due(renew.deadline, "dcs", silence, order.id))
            return "the DCS does not answer, as it did not then"
        until = order.at + renew.ttl
        self._world.leases[self._member] = self._outside.moment(until)
        renewed = LeaderRenewed(member=self._member, valid_until=until)
        return self._answer(order, "dcs", renewed, "the DCS renews the lease")

    def _sync(self, order: Envelope[Message], wanted: WriteSync | DeleteSync) -> str:
        key = self._key
        if wanted.if_revision != (key.revision if key is not None else None):
            refused = KeyRefused(key="sync")
            return self._answer(order, "dcs", refused, "the sync key is another")
        revision = self._world.next_revision()
        self._world.sync = Written(
            None
            if isinstance(wanted, DeleteSync)
            else SyncState(
                leader=wanted.leader,
                standbys=wanted.standbys,
                quorum=wanted.quorum,
                revision=revision,
            )
        )
        self._world.changed()
        written = KeyWritten(key="sync", revision=revision)
        text = "the sync key is removed"
        if isinstance(wanted, WriteSync):
            names = ", ".join(wanted.standbys) or "nobody"
            text = (
                f"the DCS writes the sync key: leader {wanted.leader}, standbys {names}"
            )
        return self._answer(order, "dcs", written, text)

    @property
    def _key(self) -> SyncState | None:
        if self._world.sync is not None:
            return self._world.sync.sync
        return self._outside.view.sync if self._outside.view is not None else None

    def _peers(self, order: Envelope[Message], probe: ProbePeers) -> str | None:
        peers = self._probed(probe, order.at)
        if peers is None:
            return None
        probed = PeersProbed(peers=peers, asked_at=order.at, request=probe.request)
        text = "the members answer what their own journals show of them at that moment"
        return self._answer(order, "http", probed, text)

    def _answer(
        self, order: Envelope[Message], part: str, answer: Message, text: str = ""
    ) -> str:
        self._clockwork.expect(Due(order.at + LATENCY, part, answer, order.id))
        return text or "it is done"
