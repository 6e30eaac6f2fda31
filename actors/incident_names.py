"""Names of incidents: the same when they happen and when journals tell of them.

A reign is told by the revision of its key, which all who watched agree on; so its end
has one name on every member, and in every later reading of their journals.
"""

from regnal.messages.base import Seconds
from regnal.messages.cluster import Revision
from regnal.messages.envelope import MessageId
from regnal.messages.incidents import IncidentName, IncidentWhat

SAME_REIGN: Seconds = 1.0
"""A key that its holder writes anew within this time is not another reign."""

_WORDS: dict[IncidentWhat, str] = {
    "reign_ended": "reign",
    "primary_interrupted": "postgres",
    "primary_stopped": "postgres",
    "fenced": "guard",
    "store_outage": "store",
    "stall": "stall",
    "actor_failed": "actor",
}


def reign_incident(revision: Revision) -> IncidentName:
    """What the end of a reign is called: `reign-4711`, by the key as last seen."""
    return f"reign-{revision}"


def own_incident(what: IncidentWhat, seen: MessageId) -> IncidentName:
    """What befell this member alone: `postgres-pg1-7-811`, by the message that showed
    it."""
    return "-".join((_WORDS[what], *seen.split("/")))
