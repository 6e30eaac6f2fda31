"""Whose reign ended, as one member saw the leader key.

As the incidents are named (actors/incident_names.py), so that all who watched give one
end one name.
"""

from typing import NamedTuple

from regnal.events.spans.memory import MAXIMUM_REVISIONS, Memory, Reign
from regnal.messages.base import Instant, Seconds
from regnal.messages.cluster import ClusterView, LeaderView

SAME_REIGN: Seconds = 1.0
"""A key that its holder writes anew within this time is not another reign."""

LATE: Seconds = 5.0
"""By which a view may be late.  Later a revision of before is that of a store which was
restored."""


class Seen(NamedTuple):
    """What a view shows of the leader key that the one before did not."""

    ended: Reign | None = None
    """The reign that is over."""

    leader: LeaderView | None = None
    has_gone: bool = False
    """Nobody holds it any more."""

    is_planned: bool = False
    """Whether the hand-over shows in the key: another name, on the same session."""


NOTHING_NEW = Seen()


def see(memory: Memory, view: ClusterView, now: Instant) -> Seen:
    """Learns the key from the view."""
    leader, known = view.leader, memory.reign
    if leader is None:
        if known is None or not memory.is_led:
            return NOTHING_NEW
        memory.is_led, memory.gone_at = False, now
        return Seen(has_gone=True)
    revision = str(leader.revision)
    is_recent = memory.key_at is not None and now - memory.key_at < LATE
    if is_recent and revision in memory.past:
        return NOTHING_NEW
    was_gone = memory.gone_at
    if known is None or known.revision != revision or memory.key_at is None:
        memory.key_at = now
    memory.reign = Reign(leader=leader.name, revision=revision, session=leader.session)
    memory.is_led, memory.gone_at = True, None
    if known is None or known.revision == revision:
        return Seen(leader=leader)
    memory.past = [*memory.past, known.revision][-MAXIMUM_REVISIONS:]
    gone_long = was_gone is not None and now - was_gone >= SAME_REIGN
    if leader.name == known.leader and not gone_long:
        return Seen(leader=leader)
    same_session = leader.session is not None and leader.session == known.session
    return Seen(known, leader, is_planned=same_session and leader.name != known.leader)
