"""Causes of the lesser episodes: those in which writing went on, or nobody knows."""

from regnal.messages.base import Seconds
from regnal.messages.host import StallNoticed
from regnal.replay.autopsy import diagnose
from regnal.replay.evidence.evidence import Evidence
from regnal.replay.evidence.lesser import Episode
from regnal.replay.explaining.findings import Finding

NEAR: Seconds = 5.0

PLAIN = {
    "clock_stepped": "clock_jumped",
    "request_failed": "request_refused",
    "paused": "paused",
    "synchronous_changed": "configuration",
    "cluster_created": "bootstrap",
    "replica_rebuilt": "replica_rebuilt",
    "switchover_failed": "no_eligible_candidate",
}
"""Kinds that have one cause."""


def cause_of(evidence: Evidence, episode: Episode) -> Finding:
    """What lies behind the episode."""
    match episode.kind:
        case "store_outage":
            return _store(evidence, episode)
        case "replica_lost":
            return _replica(evidence, episode)
        case "daemon_interrupted":
            return _daemon(evidence, episode)
        case "stall":
            return _stall(evidence, episode)
        case "leader_key_lost":
            return _key(evidence, episode)
        case "switchover_failed":
            return _switchover(evidence, episode)
        case _:
            return Finding(PLAIN[episode.kind])


def _store(evidence: Evidence, episode: Episode) -> Finding:
    """Whom it did not answer, and who had answers meanwhile."""
    had_answers = [
        member
        for member in evidence.members
        if member not in episode.members
        and evidence.state(member, "store", episode.began + 1) == "reachable"
    ]
    if not had_answers:
        late = tuple(evidence.between(episode.began, episode.ended, "slow_renewal"))
        facts = {"without_answers": episode.members}
        return Finding("dcs_slow" if late else "dcs_down", facts, late)
    leader = evidence.state(had_answers[0], "leader", episode.began)
    code = (
        "leader_cut_off_from_dcs"
        if leader in episode.members
        else "member_cut_off_from_dcs"
    )
    return Finding(code, {"had_answers": had_answers})


def _replica(evidence: Evidence, episode: Episode) -> Finding:
    """All standbys at once, while their upstream went on: it was cut off from them."""
    began = episode.began
    for member in episode.members:
        exited = evidence.first(
            began - NEAR, began + NEAR, "postmaster_exited", member=member
        )
        if exited is not None and len(episode.members) == 1:
            return Finding("replica_failed", dict(exited.data), (exited,))
    leaders = {
        evidence.state(member, "leader", began + 1) for member in episode.members
    }
    leader = next(iter(leaders)) if len(leaders) == 1 else None
    if leader is None or leader not in evidence.tracks:
        return Finding(
            "replica_failed", missing=("the journal of the leader of that time",)
        )
    standbys = [m for m in evidence.members if m != leader]
    goes_on = evidence.state(leader, "postgres", episode.began + NEAR) == "primary"
    has_store = evidence.state(leader, "store", episode.began + 1) == "reachable"
    if goes_on and has_store and len(episode.members) == len(standbys) > 1:
        return Finding("leader_cut_off_from_members", {"leader": leader})
    return Finding("replica_failed", {"leader": leader})


def _daemon(evidence: Evidence, episode: Episode) -> Finding:
    """Another boot: the host; the same: the daemon, or all that ran there."""
    member = episode.member
    life = evidence.life_at(member, episode.began)
    following = evidence.life_after(life) if life is not None else None
    if life is None or following is None:
        return Finding("unknown", missing=(f"the journal of {member} from later",))
    if life.life.boot != following.life.boot:
        code = "watchdog" if following.life.last_reset == "watchdog" else "host_lost"
        return Finding(code)
    for span in evidence.lane(member, "postgres"):
        if span.since >= following.began and span.state != "unknown":
            running = span.state in ("primary", "standby")
            return Finding("daemon_killed" if running else "host_lost")
    return Finding("daemon_killed")


def _stall(evidence: Evidence, episode: Episode) -> Finding:
    stall = evidence.first(
        episode.ended, episode.ended, "stall_noticed", member=episode.member
    )
    if stall is None:
        return Finding("unknown")
    try:
        diagnosis = diagnose(StallNoticed.model_validate(stall.data))
    except ValueError:
        return Finding("unknown", missing=("a record of the stall that can be read",))
    frozen = diagnosis.code in ("stopped", "suspended")
    code = "daemon_frozen" if frozen else "daemon_stalled"
    return Finding(code, dict(stall.data), (stall,), note=diagnosis.sentence)


def _key(evidence: Evidence, episode: Episode) -> Finding:
    """Gone while the daemon was away, or deleted under its eyes."""
    refused = evidence.first(
        episode.began - NEAR,
        episode.ended + NEAR,
        "lease_refused",
        member=episode.member,
    )
    if refused is not None:
        return Finding("dcs_key_deleted", {}, (refused,))
    life = evidence.life_at(episode.member, episode.began)
    if life is not None and life.last < episode.began:
        return Finding("daemon_killed")
    return Finding("dcs_key_deleted")


def _switchover(evidence: Evidence, episode: Episode) -> Finding:
    step = evidence.first(
        episode.began,
        episode.ended,
        "election/begin_the_switchover",
        "election/withdraw_an_unanswered_hand_over",
        member=episode.member,
    )
    if step is not None and step.what.endswith("hand_over"):
        return Finding("promotion_failed", dict(step.data), (step,))
    return Finding("no_eligible_candidate", {}, (step,) if step is not None else ())
