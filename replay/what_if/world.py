"""The world: what is otherwise now, outside of the deciders, as every member sees it.

Nothing here is recorded.  It is what was assumed (a key that the store would have
written), what follows from the changed configuration (the tags that a member shows), or
what was asked for (a member that is down).
"""

from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from regnal.actors.standby_names import parse_standby_names
from regnal.messages.base import MemberName, Message, Seconds
from regnal.messages.cluster import (
    ClusterObserved,
    ClusterView,
    FailsafeMember,
    MemberView,
    SyncState,
    Tags,
)
from regnal.messages.postgres import PostgresObserved, PostgresStatus, WalSender
from regnal.messages.probes import (
    FailsafeAnswered,
    FailsafeVote,
    PeersProbed,
    PeerStatus,
)
from regnal.replay.evidence.evidence import Moment

ANSWER_HOLDS: Seconds = 10.0
"""What a member answered may be taken for its answer so much later."""

DOWN = "assumed to be down"


class Written(NamedTuple):
    """A key that is another now."""

    sync: SyncState | None


@dataclass
class Down:
    """A member that is down from a moment on."""

    member: MemberName
    since: Moment
    keys_end_at: Moment | None = None
    """When its keys expire; None: nobody has looked yet."""

    shown: MemberView | None = None
    """As its key was at that moment."""

    led: bool = False
    """Whether it had the leader key."""


@dataclass
class World:
    """Shared by all members."""

    downs: dict[MemberName, Down] = field(default_factory=dict)
    tags: dict[MemberName, Tags] = field(default_factory=dict)
    sync: Written | None = None
    """None: as recorded."""

    failsafe: tuple[FailsafeMember, ...] | None = None
    """None: as recorded."""

    standby_names: dict[MemberName, str] = field(default_factory=dict)
    """synchronous_standby_names that were set otherwise."""

    revision: int = 0
    """Counts what every member's watch would show at once."""

    leases: dict[MemberName, Moment] = field(default_factory=dict)
    """When the last lease of each member ends, or ended, now."""

    _answers: dict[MemberName, tuple[Moment, PeerStatus]] = field(default_factory=dict)
    view: ClusterView | None = None
    """The last one that anybody observed, as recorded: only who has which address is
    read from it."""

    frozen: dict[MemberName, PostgresStatus] = field(default_factory=dict)
    """Of standbys, PostgreSQL as it was when a member that is down still was there: from
    then on nothing is received any more."""

    def seen(self, message: Message, member: MemberName, moment: Moment) -> Message:
        """What `member` observes now where it observed `message` then."""
        if not (self.downs or self.tags or self.standby_names or self.revision):
            return message
        match message:
            case ClusterObserved(view=view):
                return ClusterObserved(view=self.shown(view, moment))
            case PostgresObserved(status=status):
                return PostgresObserved(status=self._status(status, member, moment))
            case PeersProbed(peers=peers):
                told_peers = tuple(self._peer(peer, moment) for peer in peers)
                return message.model_copy(update={"peers": told_peers})
            case FailsafeAnswered(votes=votes):
                cast = tuple(self._vote(vote, moment) for vote in votes)
                return message.model_copy(update={"votes": cast})
            case _:
                return message

    def is_down(self, member: MemberName, moment: Moment) -> bool:
        down = self.downs.get(member)
        return down is not None and moment >= down.since

    def keys_end_at(self, down: Down, ttl: Seconds) -> Moment:
        """When the keys of a member that is down expire: its lease, if it had one."""
        if down.keys_end_at is None:
            lease = self.leases.get(down.member) if down.led else None
            down.keys_end_at = lease if lease is not None else down.since + ttl
        return down.keys_end_at

    def upstream_of(self, status: PostgresStatus) -> MemberName | None:
        """The member that this standby streams from, by its address."""
        receiver = status.receiver
        if receiver is None or self.view is None:
            return None
        for member in self.view.members:
            try:
                address = urlsplit(member.conn_url or "")
                here = (address.hostname, address.port or 5432)
            except ValueError:
                continue
            if here == (receiver.sender_host, receiver.sender_port):
                return member.name
        return None

    def changed(self) -> None:
        """A key is another: every watch shows it."""
        self.revision += 1

    def next_revision(self) -> str:
        """Of a key that is written now."""
        return f"what-if/{self.revision + 1}"

    def note_peers(self, peers: tuple[PeerStatus, ...], moment: Moment) -> None:
        """What members answered when somebody asked them."""
        for peer in peers:
            self._answers[peer.name] = (moment, peer)

    def answer_of(self, name: MemberName, moment: Moment) -> PeerStatus | None:
        """The last, if that is not long ago."""
        asked_at, peer = self._answers.get(name, (float("-inf"), None))
        return peer if moment - asked_at <= ANSWER_HOLDS else None

    def note_status(
        self, member: MemberName, status: PostgresStatus, moment: Moment
    ) -> None:
        """Remember how far a standby was when members went down."""
        if self.downs and not any(self.is_down(name, moment) for name in self.downs):
            self.frozen[member] = status

    def note(self, view: ClusterView, moment: Moment) -> None:
        """Remember what the keys of members that go down were before that."""
        self.view = view
        for down in self.downs.values():
            if moment < down.since:
                down.shown = view.member(down.member)
                down.led = view.leader_name == down.member

    def shown(self, view: ClusterView, moment: Moment) -> ClusterView:
        """What the DCS shows now where it showed this then."""
        members = tuple(
            shown
            for member in view.members
            if (shown := self._member(member, moment)) is not None
        )
        leader = view.leader
        if leader is not None and self.is_down(leader.name, moment):
            down = self.downs[leader.name]
            if not down.led or _has_expired(down, moment):
                leader = None
        return view.model_copy(
            update={
                "members": members,
                "leader": leader,
                "sync": view.sync if self.sync is None else self.sync.sync,
                "failsafe": view.failsafe if self.failsafe is None else self.failsafe,
            }
        )

    def _member(self, member: MemberView, moment: Moment) -> MemberView | None:
        if self.is_down(member.name, moment):
            down = self.downs[member.name]
            return None if _has_expired(down, moment) else down.shown
        tags = self.tags.get(member.name)
        return member if tags is None else member.model_copy(update={"tags": tags})

    def _status(
        self, status: PostgresStatus, member: MemberName, moment: Moment
    ) -> PostgresStatus:
        upstream = self.upstream_of(status)
        is_cut = upstream is not None and self.is_down(upstream, moment)
        names = self.standby_names.get(member)
        keeps = names is None or status.synchronous_standby_names is None
        senders = tuple(
            sender if keeps else _with_sync_state(sender, names or "")
            for sender in status.senders
            if not self.is_down(sender.application_name, moment)
        )
        before = self.frozen.get(member, status) if is_cut else status
        return status.model_copy(
            update={
                "receiver": None if is_cut else status.receiver,
                "received_lsn": before.received_lsn,
                "replayed_lsn": before.replayed_lsn,
                "senders": senders,
                "synchronous_standby_names": status.synchronous_standby_names
                if keeps
                else names,
            }
        )

    def _peer(self, peer: PeerStatus, moment: Moment) -> PeerStatus:
        if self.is_down(peer.name, moment):
            return PeerStatus(name=peer.name, answered=False, error=DOWN)
        tags = self.tags.get(peer.name)
        if tags is None or not peer.answered:
            return peer
        return peer.model_copy(
            update={
                "nofailover": not tags.may_lead,
                "failover_priority": tags.failover_priority,
            }
        )

    def _vote(self, vote: FailsafeVote, moment: Moment) -> FailsafeVote:
        if not self.is_down(vote.name, moment):
            return vote
        return FailsafeVote(name=vote.name, accepted=False, error=DOWN)


def _has_expired(down: Down, moment: Moment) -> bool:
    return down.keys_end_at is None or moment >= down.keys_end_at


def _with_sync_state(sender: WalSender, names: str) -> WalSender:
    """PostgreSQL tells who is synchronous; here the value alone tells."""
    wanted = parse_standby_names(names)
    is_sync = wanted is not None and (
        wanted.everybody or sender.application_name.lower() in wanted.names
    )
    return sender.model_copy(
        update={
            "sync_state": "sync" if is_sync else "async",
            "sync_priority": 1 if is_sync else 0,
        }
    )
