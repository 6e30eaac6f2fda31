"""The story of an outage: a change of leader, an interruption, a cluster without one."""

from regnal.replay.evidence.evidence import Happening
from regnal.replay.explaining.advice import Told as Advised
from regnal.replay.explaining.advice import advice
from regnal.replay.explaining.candidates import candidates
from regnal.replay.explaining.chain import chain_to, moments_of
from regnal.replay.explaining.look import Look
from regnal.replay.explaining.losses import loss_of
from regnal.replay.explaining.outage import NOTICED_BY, outage_of, phases_of
from regnal.replay.explaining.story import Author, Story, View
from regnal.replay.explaining.telling import Frame, episodes_told, verdict_of
from regnal.replay.explaining.timeline import events_told, members_told
from regnal.replay.explaining.window import Told

END_OF_OUTAGE = ("postgres_promoted", "postgres_started", "database_initialised")
"""With one of these PostgreSQL took writes again."""


def story_of_outage(frame: Frame) -> Story:
    gap = frame.incident.gap
    assert gap is not None
    look = Look(frame.evidence, gap)
    phases = phases_of(look)
    loss = loss_of(look, frame.judgement.root.code)
    promoted = look.evidence.last(
        look.ended_writing, look.end + 1, "postgres_promoted", member=gap.successor
    )
    advised = Advised(
        look=look,
        root=frame.judgement.root.code,
        hindrances=frame.judgement.hindrances,
        phases=phases,
        loss=loss,
        settings=look.evidence.settings(look.member, look.ended_writing),
    )
    return Story(
        name=frame.incident.name,
        kind=frame.incident.kind,
        weight=frame.incident.weight,
        scope=frame.scope,
        began=frame.incident.began,
        ended=frame.incident.ended,
        former=gap.member,
        leader=gap.successor,
        timeline=promoted.data.get("timeline") if promoted is not None else None,
        verdict=verdict_of(frame),
        author=author_of(look),
        outage=outage_of(look),
        loss=loss,
        phases=phases,
        chain=chain_to(
            _end(frame, look), gap.member, frame.around, _roots(frame, look)
        ),
        candidates=candidates(look),
        views=_views(frame, look),
        advice=advice(advised),
        episodes=episodes_told(frame.incident),
        members=members_told(
            frame.evidence, frame.expected, frame.stretches, frame.since, frame.until
        ),
        events=events_told(frame.around),
        troubles=frame.troubles,
        aliases=frame.aliases,
    )


def _roots(frame: Frame, look: Look) -> list[str]:
    """Ids of what shows the cause, and of what it was first noticed by."""
    noticed = look.evidence.first(look.ended_writing - CLOSE, look.end, *NOTICED_BY)
    shown = frame.judgement.root.shown_by
    return [one.id for one in (*shown, *((noticed,) if noticed else ()))]


def author_of(look: Look) -> Author | None:
    """Who asked for it; None: nobody did."""
    asked = look.evidence.last(
        look.gap.began - ASKED_BEFORE,
        look.end,
        "switchover_requested",
        "restart_requested",
    )
    if look.began_switchover is not None or look.restarted_by_request is not None:
        if asked is not None:
            return _author(asked)
        through = look.began_switchover or look.restarted_by_request
        assert through is not None
        return Author(
            what="switchover" if look.began_switchover else "restart",
            address=None,
            username=None,
            user_agent=None,
            through=through.member,
        )
    if look.told_to_stop is not None:
        return Author(
            what="shutdown",
            address=None,
            username=None,
            user_agent=None,
            through=look.member,
        )
    return None


ASKED_BEFORE = 15.0
"""Seconds before the first sign; a request that is older was scheduled."""


def _author(asked: Happening) -> Author:
    caller = asked.data.get("caller")
    caller = caller if isinstance(caller, dict) else {}
    return Author(
        what=str(asked.data.get("action") or "restart"),
        address=caller.get("address"),
        username=caller.get("username"),
        user_agent=caller.get("user_agent"),
        through=asked.member,
    )


def _end(frame: Frame, look: Look) -> Told | None:
    """The message with which writing began again; or the last decision that was taken."""
    for one in frame.around.told:
        is_its = one.member == look.gap.successor and not one.is_step
        if is_its and one.what in END_OF_OUTAGE and abs(one.moment - look.end) < CLOSE:
            return one
    if look.gap.ended is not None:
        return None
    last = [
        one
        for one in frame.around.told
        if not one.is_step and one.what in LAST_WORDS and one.moment <= look.end
    ]
    return last[-1] if last else None


CLOSE = 0.5
"""Seconds between what PostgreSQL told and when the lane shows it."""

LAST_WORDS = ("intent_failed", "leader_released", "postmaster_exited", "lease_refused")


def _views(frame: Frame, look: Look) -> tuple[View, ...]:
    members = sorted({*frame.evidence.members, *frame.expected})
    order = {look.gap.successor: 0, look.member: 1}
    members.sort(key=lambda name: (order.get(name, 2), name))
    return tuple(
        View(
            member=name,
            role="new_leader"
            if name == look.gap.successor
            else "former_leader"
            if name == look.member
            else "other",
            has_journal=name in frame.evidence.tracks,
            moments=moments_of(name, frame.around),
        )
        for name in members
    )
