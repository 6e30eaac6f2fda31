"""The story of an episode in which writing went on."""

from regnal.replay.explaining.chain import chain_to, moments_of
from regnal.replay.explaining.story import Story, View
from regnal.replay.explaining.telling import Frame, episodes_told, verdict_of
from regnal.replay.explaining.timeline import events_told, members_told


def story_of_episode(frame: Frame) -> Story:
    incident = frame.incident
    leader = frame.evidence.state(incident.member, "leader", incident.began)
    ends = [
        one
        for one in frame.around.told
        if not one.is_step
        and one.member == incident.member
        and incident.began <= one.moment <= incident.ended
    ]
    return Story(
        name=incident.name,
        kind=incident.kind,
        weight=incident.weight,
        scope=frame.scope,
        began=incident.began,
        ended=incident.ended,
        former=incident.member,
        leader=None if leader in ("nobody", "unknown") else leader,
        timeline=None,
        verdict=verdict_of(frame),
        author=None,
        outage=None,
        loss=None,
        phases=(),
        chain=chain_to(ends[-1] if ends else None, incident.member, frame.around),
        candidates=(),
        views=tuple(
            View(
                member=name,
                role="other",
                has_journal=name in frame.evidence.tracks,
                moments=moments_of(name, frame.around),
            )
            for name in sorted({*frame.evidence.members, *frame.expected})
        ),
        advice=(),
        episodes=episodes_told(incident),
        members=members_told(
            frame.evidence, frame.expected, frame.stretches, frame.since, frame.until
        ),
        events=events_told(frame.around),
        troubles=frame.troubles,
        aliases=frame.aliases,
    )
