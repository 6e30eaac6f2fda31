"""Why the former leader stopped to write: the rules by which explain judges.

Read CAUSE_RULES from top to bottom.  The first that applies gives the cause; its name
stands in the explanation.  What a person asked for comes first, then what PostgreSQL
did, then what the daemon did or could not do, then what only others can tell.
"""

from collections.abc import Callable

from regnal.messages.base import MemberName, Seconds
from regnal.messages.host import StallNoticed
from regnal.replay.autopsy import diagnose
from regnal.replay.evidence.evidence import Happening
from regnal.replay.explaining.findings import Finding
from regnal.replay.explaining.look import Look, has_no_room

CauseRule = Callable[[Look], Finding | None]
"""None: the rule does not apply."""

SIGKILL = 9
BY_HAND = (2, 3, 15)
"""SIGINT, SIGQUIT, SIGTERM: how people and service managers stop a postmaster."""

TOGETHER: Seconds = 1.5
"""A daemon and its PostgreSQL that end within this time of each other's last sign of
life, beyond a heartbeat, ended together."""


def root_cause(look: Look) -> tuple[str, Finding]:
    """Name of the rule that spoke, and what it found."""
    for rule in CAUSE_RULES:
        finding = rule(look)
        if finding is not None:
            return rule.__name__, finding
    return "no_rule_applies", Finding("unknown")


def somebody_asked_for_it(look: Look) -> Finding | None:
    """The leader itself began a planned change on request."""
    step = look.began_switchover
    if step is None:
        return None
    request = step.data.get("request")
    request = request if isinstance(request, dict) else {}
    if request.get("scheduled_at"):
        code = "scheduled_switchover"
    elif request.get("leader"):
        code = "switchover"
    else:
        code = "manual_failover"
    return Finding(code, {"request": request}, (step,))


def the_daemon_was_told_to_stop(look: Look) -> Finding | None:
    told = look.told_to_stop
    if told is None:
        return None
    return Finding("leader_shut_down", {"signal": told.data.get("signal")}, (told,))


def a_restart_was_asked_for(look: Look) -> Finding | None:
    step = look.restarted_by_request
    if step is None or look.gap.successor != look.member:
        return None
    return Finding("restart_requested", dict(step.data), (step,))


def it_could_not_be_fenced(look: Look) -> Finding | None:
    """The guard, or a watchdog that is required, did not work, so it stopped."""
    order = look.stopped_unfenced
    if order is None:
        return None
    return Finding("fencing_failed", {"reason": order.data.get("reason")}, (order,))


def the_disk_was_full(look: Look) -> Finding | None:
    """PostgreSQL ended, at once or when it was started again, and there was no room."""
    for exited in look.exits:
        disk = has_no_room(exited)
        if disk is not None:
            return Finding("disk_full", {"disk": disk}, (exited,))
    return None


def postgres_could_not_be_started_again(look: Look) -> Finding | None:
    """It ended, the start in place failed, and the lease was given back."""
    exited = look.exit
    if exited is None or look.fenced is not None:
        return None
    failed = look.evidence.first(
        exited.moment, look.end, "intent_failed", member=look.member
    )
    if failed is None or failed.data.get("intent") != "start_as_primary":
        return None
    return Finding(
        "start_failed_after_crash",
        {"ended_by": _how(exited), "reason": failed.data.get("reason")},
        (exited, failed),
    )


def postgres_ended(look: Look) -> Finding | None:
    """The daemon ran, and saw the postmaster end unasked."""
    exited = look.exit
    if exited is None or look.fenced is not None or look.stall is not None:
        return None
    signal, status = exited.data.get("signal"), exited.data.get("exit_status")
    facts = {"ended_by": _how(exited), "pid": exited.data.get("pid")}
    if signal == SIGKILL:
        if exited.data.get("oom_killed"):
            return Finding("postgres_oom_killed", facts, (exited,))
        return Finding("postgres_killed", facts, (exited,))
    if signal in BY_HAND or status == 0:
        return Finding("postgres_stopped_by_hand", facts, (exited,))
    if signal is None and status is None:
        return Finding(
            "postgres_crashed",
            facts,
            (exited,),
            missing=(UNKNOWN_STATUS,),
            alternatives=("postgres_killed", "postgres_stopped_by_hand"),
        )
    return Finding("postgres_crashed", facts, (exited,))


def the_daemon_was_away(look: Look) -> Finding | None:
    """It noticed that it had not run, when its lease had to be renewed."""
    stall = look.stall
    if stall is None:
        return None
    try:
        diagnosis = diagnose(StallNoticed.model_validate(stall.data))
    except ValueError:
        return None
    frozen = diagnosis.code in ("stopped", "suspended")
    return Finding(
        "daemon_frozen" if frozen else "daemon_stalled",
        {"missing": stall.data.get("missing"), "diagnosis": diagnosis.code},
        (stall,),
        note=diagnosis.sentence,
    )


def the_key_was_deleted(look: Look) -> Finding | None:
    """A definite no to a renewal, and nobody else had the key."""
    for trouble in look.lease_troubles:
        if trouble.what != "lease_refused" or trouble.data.get("action") != "renew":
            continue
        if trouble.data.get("holder") is None:
            return Finding("dcs_key_deleted", {}, (trouble,))
    return None


def the_store_did_not_answer(look: Look) -> Finding | None:
    """The leader had no answer, and stepped down in time.  Whose trouble that was, the
    other members tell."""
    if look.vanished or not _stepped_down_for_the_store(look):
        return None
    own = look.lost_the_store(look.member)
    others = {member: look.lost_the_store(member) for member in look.others}
    facts = {"without_answers": sorted(m for m, lost in others.items() if lost)}
    shown_by = look.lease_troubles
    slow = any(
        trouble.what == "slow_renewal" and trouble.moment <= look.ended_writing
        for trouble in shown_by
    )
    if slow or own is False:
        return Finding("dcs_slow", facts, shown_by)
    if any(lost is False for lost in others.values()):
        return Finding("leader_cut_off_from_dcs", facts, shown_by)
    if any(_answered_in_between(look, m) for m in (look.member, *look.others)):
        return Finding("dcs_slow", facts, shown_by)
    if others and all(others.values()):
        return Finding("dcs_down", facts, shown_by)
    return Finding(
        "dcs_down",
        facts,
        shown_by,
        missing=(NOBODY_ELSE_TELLS,),
        alternatives=("leader_cut_off_from_dcs",),
    )


def _answered_in_between(look: Look, member: MemberName) -> bool:
    """Whether the member had answers again between the first trouble and the end of
    writing: too few, or too late."""
    if not look.lease_troubles:
        return False
    first = look.lease_troubles[0].moment
    return any(
        span.state == "reachable" and first < span.since < look.ended_writing
        for span in look.evidence.lane(member, "store")
    )


def _stepped_down_for_the_store(look: Look) -> bool:
    if look.demotion_reason in ("LEASE_ENDING", "STORE_UNREACHABLE"):
        return True
    unanswered = any(t.what == "lease_unconfirmed" for t in look.lease_troubles)
    return look.fenced is not None and unanswered


def the_daemon_vanished_and_the_guard_fenced(look: Look) -> Finding | None:
    """The daemon alone was killed: its PostgreSQL ran on until the guard ended it."""
    if not look.vanished or look.fenced is None:
        return None
    return Finding("daemon_killed", _of_the_lives(look), (look.fenced,))


def the_watchdog_reset_the_host(look: Look) -> Finding | None:
    life, following = look.life, look.next_life
    if life is None or following is None or life.life.boot == following.life.boot:
        return None
    if following.life.last_reset != "watchdog":
        return None
    return Finding("watchdog", _of_the_lives(look))


def the_host_was_started_anew(look: Look) -> Finding | None:
    """Another boot: whatever ran before ended with the host."""
    life, following = look.life, look.next_life
    if life is None or following is None or not _ended_unseen(look):
        return None
    if life.life.boot == following.life.boot:
        return None
    return Finding("host_lost", _of_the_lives(look))


def everything_ended_together(look: Look) -> Finding | None:
    """The daemon vanished, and its PostgreSQL with it, before any lease could end."""
    if not _ended_unseen(look) or look.next_life is None:
        return None
    settings = look.evidence.settings(look.member, look.ended_writing)
    heartbeat = settings.get("loop_wait", 10.0)
    assert look.life is not None
    apart = look.ended_writing - look.life.last
    if apart > heartbeat + TOGETHER:
        return None
    return Finding("host_lost", {**_of_the_lives(look), "apart": apart})


def the_daemon_vanished_alone(look: Look) -> Finding | None:
    """Its PostgreSQL was seen to go on for longer than a heartbeat."""
    if not _ended_unseen(look) or look.next_life is None:
        return None
    return Finding("daemon_killed", _of_the_lives(look))


def the_guard_fenced(look: Look) -> Finding | None:
    """And nothing in the journal tells what kept the daemon from renewing."""
    if look.fenced is None:
        return None
    return Finding(
        "fenced_by_guard",
        {"late_by": look.fenced.data.get("late_by")},
        (look.fenced,),
        missing=("what kept the daemon from renewing its lease",),
    )


def its_journal_ends_there(look: Look) -> Finding | None:
    """A copy of the journal of a member that has not come back."""
    if not _ended_unseen(look):
        return None
    return Finding(
        "unknown",
        _of_the_lives(look),
        missing=(
            f"the journal of {look.member} from after it came back" + ITS_FIRST_RECORDS,
        ),
        alternatives=("host_lost", "daemon_killed", "daemon_frozen"),
    )


def others_saw_the_request(look: Look) -> Finding | None:
    """The former leader's journal is missing; the failover key tells."""
    request = None if look.life is not None else look.request_in_key()
    if request is None or look.gap.successor is None:
        return None
    if request.get("leader") == look.member:
        code = "scheduled_switchover" if request.get("scheduled_at") else "switchover"
        return Finding(code, {"request": request})
    if request.get("candidate") == look.gap.successor:
        return Finding(
            "manual_failover",
            {"request": request},
            missing=(f"the journal of {look.member}: it may have failed before",),
        )
    return None


def its_journal_is_missing(look: Look) -> Finding | None:
    """What others saw excludes something at least."""
    if look.life is not None:
        return None
    missing = (f"the journal of {look.member}, the former leader",)
    reign = look.gap.reign
    if reign is None or reign.ended is None:
        return Finding("unknown", missing=missing)
    waited = reign.ended - look.ended_writing
    settings = look.evidence.settings(look.others[0], look.ended_writing)
    expired = waited > (settings.get("ttl") or 30.0) / 2
    probes = probes_of(look)
    return Finding(
        "unknown",
        {"key_gone_after": waited, "probes": probes},
        missing=missing,
        alternatives=_left_over(probes) if expired else RELEASED_EARLY,
    )


RELEASED_EARLY = (
    "postgres_crashed",
    "postgres_killed",
    "leader_shut_down",
    "dcs_key_deleted",
)
"""What makes a leader give its key back, or lose it, before it expires."""


def _left_over(probes: list[str]) -> tuple[str, ...]:
    """Of a leader whose key expired.  A port that refuses is on a host that runs, and
    nobody listens there."""
    if any("refused" in probe for probe in probes):
        return ("host_lost", "daemon_killed")
    return ("host_lost", "daemon_killed", "daemon_frozen", "leader_cut_off_from_dcs")


def probes_of(look: Look) -> list[str]:
    """What the REST API of the former leader answered meanwhile."""
    found = []
    for probe in look.evidence.between(look.ended_writing, look.end, "peers_probed"):
        for peer in probe.data.get("peers") or ():
            if isinstance(peer, dict) and peer.get("name") == look.member:
                answer = "answered" if peer.get("answered") else str(peer.get("error"))
                found.append(f"{probe.member}: {answer}")
    return sorted(set(found))


def nothing_is_known(look: Look) -> Finding | None:
    return Finding(
        "unknown",
        missing=(f"anything in the journal of {look.member} that shows why",),
    )


UNKNOWN_STATUS = (
    "the exit status of the postmaster, which another daemon had started: the kernel "
    "tells it to the parent alone"
)
NOBODY_ELSE_TELLS = (
    "the journal of another member of that time, to tell whether the DCS was down or "
    "out of reach"
)
ITS_FIRST_RECORDS = (
    ": its first records tell whether the host, the daemon or the network was lost"
)

CAUSE_RULES: tuple[CauseRule, ...] = (
    somebody_asked_for_it,
    the_daemon_was_told_to_stop,
    a_restart_was_asked_for,
    it_could_not_be_fenced,
    the_disk_was_full,
    postgres_could_not_be_started_again,
    postgres_ended,
    the_daemon_was_away,
    the_key_was_deleted,
    the_store_did_not_answer,
    the_daemon_vanished_and_the_guard_fenced,
    the_watchdog_reset_the_host,
    the_host_was_started_anew,
    everything_ended_together,
    the_daemon_vanished_alone,
    the_guard_fenced,
    its_journal_ends_there,
    others_saw_the_request,
    its_journal_is_missing,
    nothing_is_known,
)


def _ended_unseen(look: Look) -> bool:
    """Whether the daemon was gone when writing ended, or its last record is all that
    there is of it."""
    life = look.life
    if life is None:
        return False
    if look.gap.before.known == "last_record":
        return life.life.end != "stopped"
    return look.vanished


def _of_the_lives(look: Look) -> dict[str, object]:
    life, following = look.life, look.next_life
    assert life is not None
    return {
        "last_record_at": life.last,
        "back_at": following.began if following is not None else None,
        "same_boot": None
        if following is None
        else life.life.boot == following.life.boot,
    }


def _how(exited: Happening) -> str:
    signal, status = exited.data.get("signal"), exited.data.get("exit_status")
    if signal is not None:
        return f"signal {signal}"
    return "unknown" if status is None else f"exit status {status}"
