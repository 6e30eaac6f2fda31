"""The outage: how long nobody could write, and what the time was spent on."""

from collections.abc import Iterator
from typing import Literal

from regnal.messages.base import Seconds
from regnal.replay.evidence.evidence import Moment
from regnal.replay.explaining.look import Look
from regnal.replay.explaining.story import Outage, Phase

NOTICED_BY = (
    "postmaster_exited",
    "replication_ended",
    "leader_lost",
    "shutdown_requested",
    "demote_postgres",
    "guard_fenced",
    "store_unreachable",
    "lease_refused",
    "lease_unconfirmed",
)
"""With one of these somebody who can act knows of it."""

_HOW = {
    "observed": "the daemon saw PostgreSQL end",
    "fenced": "the guard wrote down when it ended PostgreSQL",
    "late": "the guard should have ended PostgreSQL, and its host stood still",
    "standbys": "its standbys lost their streams",
    "last_record": "the last record of its journal; it may have gone on for a while",
    "key": "its leader key was gone; it may have ended earlier",
    "open": "it goes on",
}

_CERTAINTY: dict[str, Literal["measured", "at_most", "at_least"]] = {
    "observed": "measured",
    "fenced": "measured",
    "late": "at_least",
    "standbys": "measured",
    "last_record": "at_most",
    "key": "at_least",
    "open": "measured",
}

UNOBSERVED: Seconds = 0.0


def outage_of(look: Look) -> Outage:
    before, until = look.gap.before, look.gap.ended
    certainty = _CERTAINTY[before.known]
    if until is None:
        certainty = "at_least"
    end = "the next PostgreSQL took writes" if until is not None else "the journals end"
    return Outage(
        since=before.until,
        until=until,
        seconds=max(UNOBSERVED, look.end - before.until),
        certainty=certainty,
        how=f"from: {_HOW[before.known]}; to: {end}",
    )


def phases_of(look: Look) -> tuple[Phase, ...]:
    """Detection, decision, promotion, clients back: adjoining, from the end of writing."""
    return tuple(_phases(look))


def _phases(look: Look) -> Iterator[Phase]:
    began = look.ended_writing
    noticed = min(max(_noticed(look), began), look.end)
    yield Phase(
        code="detection",
        began=began,
        seconds=noticed - began,
        what="until somebody who can act knew that nobody writes",
    )
    decided = _decided(look)
    if decided is None:
        yield Phase(
            code="decision",
            began=noticed,
            seconds=look.end - noticed,
            what="nobody took the lease"
            if look.gap.ended is None
            else "until PostgreSQL took writes again, under the lease that it had",
        )
    else:
        decided = min(max(decided, noticed), look.end)
        yield Phase(
            code="decision",
            began=noticed,
            seconds=decided - noticed,
            what=_what_the_decision_took(look, noticed, decided),
        )
        yield Phase(
            code="promotion",
            began=decided,
            seconds=look.end - decided,
            what="from the lease until PostgreSQL took writes",
        )
    back = _clients_back(look)
    if back is not None and look.gap.ended is not None:
        yield Phase(
            code="clients_back",
            began=look.gap.ended,
            seconds=max(0.0, back - look.gap.ended),
            what="until a standby streamed again, so that commits can be replicated",
        )


def _noticed(look: Look) -> Moment:
    first = look.evidence.first(look.gap.began, look.end, *NOTICED_BY)
    return look.end if first is None else first.moment


def _decided(look: Look) -> Moment | None:
    """When the next to write had the lease; None: it had it all the time."""
    acquired = look.evidence.last(
        look.gap.began, look.end, "leader_acquired", member=look.gap.successor
    )
    return None if acquired is None else acquired.moment


def _what_the_decision_took(look: Look, noticed: Moment, decided: Moment) -> str:
    reign = look.gap.reign
    if reign is None or reign.ended is None or not noticed < reign.ended <= decided + 1:
        return "until the successor had the lease"
    waited = max(0.0, min(reign.ended, decided) - noticed)
    return (
        f"{waited:.2f} s until the leader key was free, "
        f"{max(0.0, decided - reign.ended):.2f} s until the successor had it"
    )


def _clients_back(look: Look) -> Moment | None:
    """When the first standby streamed after writing had begun again."""
    ended = look.gap.ended
    if ended is None:
        return None
    streams = [
        span.since
        for member in look.evidence.members
        if member != look.gap.successor
        for span in look.evidence.lane(member, "replication")
        if span.state == "streaming" and ended - 1 <= span.since <= look.gap.settled + 1
    ]
    return min(streams, default=None)
