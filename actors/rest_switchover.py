"""Switchover and failover by request (docs/contracts.md 4.7).

A request goes through three stages: the members are probed, the failover key is
written, and then the caller waits until somebody leads.
"""

from regnal.actors.rest_answers import Conclusion, Moment, change, finish, refuse, wait
from regnal.actors.rest_schedule import BadSchedule, parse_schedule
from regnal.actors.rest_state import LeaderChange, Rest, SwitchoverCancelled
from regnal.messages.base import MemberName, Message, Seconds
from regnal.messages.cluster import (
    ClusterObserved,
    ClusterView,
    KeyRefused,
    KeyUnconfirmed,
    KeyWritten,
    MemberView,
)
from regnal.messages.frozen import replace
from regnal.messages.probes import PeersProbed, PeerStatus, ProbePeers, ProbeTarget
from regnal.messages.requests import SwitchoverCancelRequested, SwitchoverRequested
from regnal.messages.store import WriteFailover
from regnal.messages.timers import CancelTimer, SetTimer, TimerFired

PROBE_TIMEOUT: Seconds = 2
WRITE_WITHIN: Seconds = 10
"""While the settings are not known."""

TIMER = "rest:change:"
"""Followed by the request."""


def change_the_leader(
    rest: Rest, asked: SwitchoverRequested, moment: Moment
) -> Conclusion:
    wanted = LeaderChange(
        request=asked.request,
        # With a leader it is a switchover, whatever it was called (REST-22).
        action="switchover" if asked.leader is not None else asked.action,
        leader=asked.leader,
        candidate=asked.candidate,
        scheduled_at=asked.scheduled_at,
        stage="probing",
        former=rest.leader,
    )
    trouble = _wrong_in_itself(rest, wanted)
    if trouble is not None:
        return refuse(rest, asked.request, 400, trouble)
    if wanted.scheduled_at is not None:
        try:
            schedule = parse_schedule(
                wanted.scheduled_at, wanted.action, moment.wall_us
            )
        except BadSchedule as bad:
            return refuse(rest, asked.request, bad.status, bad.text)
        wanted = replace(wanted, scheduled_at=schedule.at)
    trouble = _wrong_pair(rest, wanted)
    if trouble is not None:
        return refuse(rest, asked.request, 400, trouble)
    view = rest.view
    if view is None:
        return refuse(rest, asked.request, 503, "The DCS has not answered yet")
    if wanted.scheduled_at is not None:
        return write_the_failover_key(wait(rest, wanted), wanted, moment)
    trouble = _impossible(rest, view, wanted)
    if trouble is not None:
        return refuse(rest, asked.request, 412, trouble)
    targets = _targets(rest, view, wanted)
    if not targets:
        return refuse(rest, asked.request, 412, no_good_candidates(wanted))
    probe = ProbePeers(targets=targets, timeout=PROBE_TIMEOUT, request=asked.request)
    return Conclusion(wait(rest, wanted), (probe,))


def _wrong_in_itself(rest: Rest, wanted: LeaderChange) -> str | None:
    if wanted.action == "failover" and wanted.candidate is None:
        return "Failover could be performed only to a specific candidate"
    if wanted.action == "switchover" and wanted.leader is None:
        return "Switchover could be performed only from a specific leader"
    if wanted.scheduled_at is None:
        return None
    if wanted.action == "failover":
        return "Failover can't be scheduled"
    if rest.paused:
        return "Can't schedule switchover in the paused state"
    return None


def _wrong_pair(rest: Rest, wanted: LeaderChange) -> str | None:
    if wanted.action == "failover":
        return None
    if rest.paused and wanted.candidate is None:
        return "Switchover is possible only to a specific candidate in a paused state"
    if wanted.candidate == wanted.leader:
        return "Switchover target and source are the same"
    return None


def _impossible(rest: Rest, view: ClusterView, wanted: LeaderChange) -> str | None:
    if wanted.action == "switchover" and wanted.leader != view.leader_name:
        return "leader name does not match"
    synchronous = _is_synchronous(rest)
    if wanted.candidate is not None:
        listed = _is_synchronous_standby(view, wanted.candidate)
        if wanted.action == "switchover" and synchronous and not listed:
            return "candidate name does not match with sync_standby"
        if view.member(wanted.candidate) is None:
            return "candidate does not exists"
        return None
    if synchronous:
        if not any(_is_synchronous_standby(view, m.name) for m in view.members):
            return f"{wanted.action} is not possible: can not find sync_standby"
        return None
    if all(member.name == view.leader_name for member in view.members):
        return (
            f"{wanted.action} is not possible: "
            "cluster does not have members except leader"
        )
    return None


def _is_synchronous(rest: Rest) -> bool:
    """Only synchronous standbys may follow (quorum mode asks its voters instead)."""
    settings = rest.settings
    return (
        settings is not None
        and settings.is_synchronous
        and settings.synchronous_mode == "on"
    )


def _is_synchronous_standby(view: ClusterView, name: MemberName) -> bool:
    standbys = view.sync.standbys if view.sync is not None else ()
    return any(standby.lower() == name.lower() for standby in standbys)


def _targets(
    rest: Rest, view: ClusterView, wanted: LeaderChange
) -> tuple[ProbeTarget, ...]:
    """Members that might do, by what they published."""

    def may_be_asked(member: MemberView) -> bool:
        if member.name == view.leader_name:
            return False
        if wanted.candidate is not None:
            return member.name == wanted.candidate
        return not _is_synchronous(rest) or _is_synchronous_standby(view, member.name)

    return tuple(
        ProbeTarget(name=member.name, api_url=member.api_url)
        for member in view.members
        if member.api_url and may_be_asked(member)
    )


def no_good_candidates(wanted: LeaderChange) -> str:
    return f"{wanted.action} is not possible: no good candidates have been found"


def candidates_were_probed(
    rest: Rest, wanted: LeaderChange, probed: PeersProbed, moment: Moment
) -> Conclusion:
    if wanted.stage != "probing":
        return Conclusion(rest)
    if not any(_is_good(peer) for peer in probed.peers):
        refused = finish(rest, wanted.request, 412, no_good_candidates(wanted))
        return refused._replace(facts={"peers": probed.peers})
    return write_the_failover_key(rest, wanted, moment)


def _is_good(peer: PeerStatus) -> bool:
    return (
        peer.answered
        and peer.state == "running"
        and not peer.nofailover
        and peer.failover_priority > 0
        and not peer.watchdog_failed
        and not peer.barred
    )


def write_the_failover_key(
    rest: Rest, wanted: LeaderChange, moment: Moment
) -> Conclusion:
    within = rest.settings.retry_timeout if rest.settings is not None else WRITE_WITHIN
    command = WriteFailover(
        leader=wanted.leader,
        candidate=wanted.candidate,
        scheduled_at=wanted.scheduled_at,
        if_revision=None,
        deadline=moment.now + within,
        request=wanted.request,
    )
    return Conclusion(change(rest, replace(wanted, stage="writing")), (command,))


def failover_key_was_written(
    rest: Rest,
    wanted: LeaderChange,
    outcome: KeyWritten | KeyRefused | KeyUnconfirmed,
    moment: Moment,
) -> Conclusion:
    if wanted.stage != "writing":
        return Conclusion(rest)
    if not isinstance(outcome, KeyWritten):
        return finish(
            rest, wanted.request, 503, "failed to write failover key into DCS"
        )
    if wanted.scheduled_at is not None:
        return finish(rest, wanted.request, 202, "Switchover scheduled")
    waiting = replace(wanted, stage="waiting")
    # The watch may have been quicker than the answer to the write.
    changed = _look(change(rest, waiting), waiting)
    timer = SetTimer(name=TIMER + wanted.request, at=moment.now + patience(rest))
    return changed or Conclusion(change(rest, waiting), (timer,))


def patience(rest: Rest) -> Seconds:
    """How long a caller waits for a new leader."""
    loop_wait = rest.settings.loop_wait if rest.settings is not None else 10
    return 2 * max(10, loop_wait)


def look_at_the_leader(
    rest: Rest, observed: ClusterObserved, moment: Moment
) -> Conclusion:
    """The cluster was observed: answer everybody whose request has come to an end."""
    said: tuple[Message, ...] = ()
    for waiting in rest.pending:
        if not isinstance(waiting, LeaderChange) or waiting.stage == "probing":
            continue
        failover = rest.view.failover if rest.view is not None else None
        if failover is not None and not waiting.seen:
            waiting = replace(waiting, seen=True)
            rest = change(rest, waiting)
        if waiting.stage == "waiting":
            ended = _look(rest, waiting)
            if ended is not None:
                rest, said = ended.rest, said + ended.said
    return Conclusion(rest, said)


def _look(rest: Rest, waiting: LeaderChange) -> Conclusion | None:
    """None: it goes on."""
    view = rest.view
    if view is None:
        return None
    leader = view.leader_name
    if leader is not None and leader != waiting.former:
        return _end(rest, waiting, 200, _success(waiting, leader))
    # REST-24: a key that nobody holds is a hand-over under way, no result.
    if waiting.seen and view.failover is None and leader == waiting.former:
        return _end(rest, waiting, 503, f"{waiting.action.capitalize()} failed")
    return None


def _success(waiting: LeaderChange, leader: MemberName) -> str:
    did = "switched over" if waiting.action == "switchover" else "failed over"
    if waiting.candidate in (None, leader):
        return f'Successfully {did} to "{leader}"'
    return f'{did.capitalize()} to "{leader}" instead of "{waiting.candidate}"'


def give_the_change_up(rest: Rest, fired: TimerFired, moment: Moment) -> Conclusion:
    """P-REST-20: nobody knows what will become of it."""
    request = fired.name.removeprefix(TIMER)
    waiting = rest.waiting(request)
    if not isinstance(waiting, LeaderChange):
        return Conclusion(rest)
    return finish(
        rest,
        request,
        503,
        f"{waiting.action.capitalize()} status unknown after "
        f"{patience(rest):.0f} seconds; operation may still be in progress",
    )


def _end(rest: Rest, waiting: LeaderChange, status: int, text: str) -> Conclusion:
    ended = finish(rest, waiting.request, status, text)
    return ended._replace(said=(*ended.said, CancelTimer(name=TIMER + waiting.request)))


def cancel_the_scheduled_switchover(
    rest: Rest, asked: SwitchoverCancelRequested, moment: Moment
) -> Conclusion:
    """REST-23, SCHED-05."""
    failover = rest.view.failover if rest.view is not None else None
    if failover is None or failover.scheduled_at is None:
        return refuse(rest, asked.request, 404, "no switchover is scheduled")
    within = rest.settings.retry_timeout if rest.settings is not None else WRITE_WITHIN
    command = WriteFailover(
        leader=None,
        candidate=None,
        scheduled_at=None,
        if_revision=failover.revision,
        deadline=moment.now + within,
        request=asked.request,
    )
    return Conclusion(wait(rest, SwitchoverCancelled(asked.request)), (command,))


def scheduled_switchover_was_cancelled(
    rest: Rest,
    waiting: SwitchoverCancelled,
    outcome: KeyWritten | KeyRefused | KeyUnconfirmed,
) -> Conclusion:
    match outcome:
        case KeyWritten():
            return finish(rest, waiting.request, 200, "scheduled switchover deleted")
        case KeyRefused():
            return finish(
                rest, waiting.request, 409, "the switchover was changed meanwhile"
            )
        case KeyUnconfirmed(error=error):
            return finish(
                rest,
                waiting.request,
                503,
                f"the switchover may not have been deleted: {error}",
            )
