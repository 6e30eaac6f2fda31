"""Quiet time: stretches of which the journal has only the last of all repetitions."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from regnal.actors.election import ELECTION
from regnal.actors.election_state import Election
from regnal.actors.postgres_supervisor import POSTGRES_SUPERVISOR
from regnal.actors.supervisor_state import Supervisor
from regnal.messages.envelope import PartName
from regnal.replay.evidence.evidence import Moment


class Quiet(NamedTuple):
    """A stretch of time of which only the last of all repetitions is in the journal."""

    states: dict[PartName, Any]
    """Where each actor stood when it began."""

    until: Moment


def standing(states: Mapping[PartName, Any]) -> tuple[object, ...]:
    """What stays as it is while nothing but repetitions happens."""
    election, supervisor = (
        states.get(ELECTION.name),
        states.get(POSTGRES_SUPERVISOR.name),
    )
    if not isinstance(election, Election) or not isinstance(supervisor, Supervisor):
        return (object(),)
    return (
        election.phase,
        election.busy,
        election.following,
        election.leader,
        election.has_lease,
        election.failed_intent,
        election.shutdown,
        election.store_lost_at is None,
        supervisor.intent,
        supervisor.outstanding,
        supervisor.background,
    )
