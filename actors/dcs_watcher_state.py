"""What the store's watcher knows."""

from dataclasses import dataclass

from regnal.actors.own_member import OwnMember
from regnal.messages.base import Instant, JsonText, MemberName
from regnal.messages.cluster import ClusterView, FailsafeMember, HistoryLine
from regnal.messages.envelope import HybridTime

TOUCH_AFTER = 0.5
"""Of loop_wait: an observation after that long is a reason to write our key."""

HEARTBEAT = "heartbeat"
"""Name of the timer that election sets every loop_wait and all may hear."""


@dataclass(frozen=True, slots=True)
class Told:
    """The cluster as we last told of it."""

    leader: MemberName | None
    last_leader: MemberName | None
    """The last one that there was."""

    members: tuple[MemberName, ...]
    config: JsonText | None


@dataclass(frozen=True, slots=True)
class DcsWatcher:
    """Our member, the keys as last observed, and what was written of them."""

    own: OwnMember
    cluster: ClusterView | None = None
    clock: HybridTime | None = None
    """Stamp of the message just heard; None between messages."""

    told: Told | None = None
    """None: the cluster was never seen; what is found first is not a change."""

    store_answers: bool = False
    """Whether the message just heard came from the store."""

    store_lost_at: Instant | None = None
    """None while the store answers."""

    store_error: str = ""
    lost_told: bool = False

    touch_due: bool = False
    """Whether the message just heard asks for the routine write."""

    touched_at: Instant | None = None
    """When our key was written last; None: not yet."""

    shown: JsonText | None = None
    """What others must hear of at once, as last written; None: not written yet."""

    hlc: str = ""
    """Our clock as the key shows it: of when `shown` or the head changed.  By itself it
    must not make every beat of an idle member a write."""

    journal_head: str | None = None
    """Of our journal, for others to witness; None: not told yet."""

    history: tuple[HistoryLine, ...] | None = None
    """As last observed, or as it must be written; None: never seen."""

    history_due: bool = False
    config: JsonText | None = None
    """As last observed; None: never seen."""

    failsafe: tuple[FailsafeMember, ...] | None = None
    failsafe_asked: tuple[FailsafeMember, ...] | None = None
    leads_by_promise: bool = False
    """Whether the lease was last prolonged by the members and not by the store."""

    asked: tuple[str, ...] = ()
    """Keys whose write the store has not answered."""

    resting: tuple[str, ...] = ()
    """Keys that were answered since the last beat, and are not written again before
    the next: what we see of them may be older than the answer."""

    ended: bool = False
    """Whether the daemon is done: nothing is written any more."""

    def may_ask(self, key: str) -> bool:
        """Whether a write of the key is neither under way nor was just answered."""
        return not self.ended and key not in self.asked and key not in self.resting
