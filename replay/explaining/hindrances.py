"""Hindrances: what kept members from taking over, each with the member and the reason."""

from collections.abc import Iterator
from typing import Any

from regnal.messages.base import MemberName, Seconds
from regnal.replay.evidence.evidence import Happening, Moment, Span
from regnal.replay.explaining.findings import Finding
from regnal.replay.explaining.look import Look

RACES = (
    "election/stay_out_of_the_race",
    "election/leave_the_race_to_a_better_one",
    "election/acquire_as_the_best_candidate",
    "election/acquire_as_the_next_candidate",
)
"""Steps whose facts have all candidates with a verdict each."""

MAY_LEAD = ("BEST", "CANDIDATE_BEHIND", "CANDIDATE_LOWER_PRIORITY", "CANDIDATE_LEVEL")


def hindrances(look: Look) -> tuple[Finding, ...]:
    """In the order of their weight."""
    return (
        *_paused(look),
        *_failed_promotions(look),
        *_forbidden_by_policy(look),
        *_nobody_eligible(look),
        *_store_away(look),
    )


def decisive(look: Look, found: tuple[Finding, ...]) -> Finding | None:
    """The one that decided how it went: somebody else should have taken over, and did
    not, in the time that a lease takes."""
    outage = look.end - look.ended_writing
    if look.gap.successor not in (None, look.member):
        # It ended, and only then somebody could take over.
        return next((one for one in found if one.lasted > outage / 2), None)
    settings = look.evidence.settings(look.member, look.ended_writing)
    patience = settings.get("ttl", 30.0)
    if not found or (outage < patience and look.gap.successor is not None):
        return None
    return found[0]


def _until(look: Look, span: Span) -> Moment:
    return look.evidence.end if span.until is None else span.until


def _paused(look: Look) -> Iterator[Finding]:
    for member in (*look.others, look.member):
        if look.evidence.state(member, "paused", look.ended_writing) == "paused":
            lasted = _time_paused(look, member)
            yield Finding("paused", {"member": member}, lasted=lasted)
            return


def _time_paused(look: Look, member: MemberName) -> Seconds:
    """Of the time without a primary."""
    return sum(
        max(
            0.0, min(_until(look, span), look.end) - max(span.since, look.ended_writing)
        )
        for span in look.evidence.lane(member, "paused")
        if span.state == "paused"
    )


def _failed_promotions(look: Look) -> Iterator[Finding]:
    told: set[MemberName] = set()
    for failed in look.evidence.between(look.ended_writing, look.end, "intent_failed"):
        if failed.data.get("intent") != "become_primary" or failed.member in told:
            continue
        told.add(failed.member)
        reason = failed.data.get("reason")
        code = str(reason.get("code")) if isinstance(reason, dict) else ""
        yield Finding(
            "pre_promote_refused"
            if code == "PRE_PROMOTE_REFUSED"
            else "promotion_failed",
            {"member": failed.member, "reason": reason},
            (failed,),
        )


POLICY = {
    "election/hold_the_failover_after_a_recent_one": "failover_held",
    "election/give_the_lease_up_after_too_many_crashes": "crash_loop",
}
"""Steps of election that policy made, and what they are called."""


def _forbidden_by_policy(look: Look) -> Iterator[Finding]:
    for rule, code in POLICY.items():
        step = look.evidence.first(look.ended_writing, look.end, rule)
        if step is not None:
            yield Finding(code, {"member": step.member, **step.data}, (step,))


def _nobody_eligible(look: Look) -> Iterator[Finding]:
    """Everybody who judged a race found nobody who could lead; to the end, or until
    something was changed."""
    found = [
        race
        for race in look.evidence.between(look.ended_writing, look.end, *RACES)
        if candidates_of(race)
    ]
    hopeless = [race for race in found if not _has_hope(race)]
    if not hopeless:
        return
    lasted = hopeless[-1].moment - look.ended_writing
    is_over = any(_has_hope(race) for race in found)
    if is_over and lasted <= (look.end - look.ended_writing) / 2:
        return
    last = {race.member: race for race in hopeless}
    candidates = {
        str(one.get("member")): one
        for race in last.values()
        for one in sorted(
            candidates_of(race), key=lambda one: one.get("member") == race.member
        )
    }
    yield Finding(
        "no_eligible_candidate",
        {"candidates": [candidates[name] for name in sorted(candidates)]},
        tuple(last.values()),
        lasted=lasted,
    )


def _has_hope(race: Happening) -> bool:
    return any(verdict_of(one) in MAY_LEAD for one in candidates_of(race))


def _store_away(look: Look) -> Iterator[Finding]:
    """Nobody who could have taken over had answers, until the end."""
    away = [
        member
        for member in look.others
        if look.evidence.state(member, "store", look.end) == "unreachable"
    ]
    if away and len(away) == len(look.others):
        yield Finding("dcs_down", {"members": away})


def candidates_of(step: Happening) -> list[dict[str, Any]]:
    """Of a step that judged them."""
    found = step.data.get("candidates")
    if not isinstance(found, list):
        return []
    return [one for one in found if isinstance(one, dict)]


def verdict_of(candidate: dict[str, Any]) -> str:
    """Code of the reason."""
    verdict = candidate.get("verdict")
    return str(verdict.get("code")) if isinstance(verdict, dict) else ""
