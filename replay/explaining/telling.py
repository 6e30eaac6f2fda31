"""What the stories of outages and of episodes have in common."""

from dataclasses import dataclass

from regnal.messages.base import MemberName, Seconds
from regnal.replay.evidence.evidence import Evidence, Happening, Moment
from regnal.replay.evidence.incidents import Incident
from regnal.replay.evidence.wall import clock_text
from regnal.replay.evidence.writing import Writable
from regnal.replay.explaining.causes import CAUSES, sentence
from regnal.replay.explaining.findings import Finding
from regnal.replay.explaining.judging import Judgement
from regnal.replay.explaining.lesser_causes import PLAIN
from regnal.replay.explaining.look import Look
from regnal.replay.explaining.losses import loss_of
from regnal.replay.explaining.outage import outage_of, phases_of
from regnal.replay.explaining.story import (
    EpisodeTold,
    Proof,
    Reference,
    Trouble,
    Verdict,
)
from regnal.replay.explaining.window import Surroundings
from regnal.replay.explaining.words import sentence_of, words_of


@dataclass(frozen=True)
class Frame:
    """An incident, with all that is needed to tell it."""

    evidence: Evidence
    incident: Incident
    judgement: Judgement
    around: Surroundings
    expected: tuple[MemberName, ...]
    stretches: tuple[Writable, ...]
    since: Moment
    until: Moment
    troubles: tuple[Trouble, ...]
    aliases: tuple[str, ...]

    @property
    def scope(self) -> str:
        for lives in self.evidence.lives.values():
            for life in lives:
                if life.life.scope:
                    return life.life.scope
        return ""


def verdict_of(frame: Frame) -> Verdict:
    judgement = frame.judgement
    root, cause = judgement.root, judgement.cause
    shown_by = {(s.member, s.record): s for s in (*root.shown_by, *cause.shown_by)}
    return Verdict(
        sentence=verdict_sentence(frame.evidence, frame.incident, judgement),
        cause=cause.code,
        root=root.code,
        hindrances=tuple(dict.fromkeys(one.code for one in judgement.hindrances)),
        rule=judgement.rule,
        facts={**root.facts, **cause.facts},
        proofs=tuple(_proof(shown) for shown in shown_by.values()),
        note=root.note,
        missing=tuple(dict.fromkeys((*root.missing, *cause.missing))),
        alternatives=tuple(dict.fromkeys((*root.alternatives, *cause.alternatives))),
        remedy=CAUSES[cause.code].remedy.format(member=_subject(frame.incident, cause)),
    )


def verdict_sentence(
    evidence: Evidence, incident: Incident, judgement: Judgement
) -> str:
    """What failed, who noticed, who took over, how long nobody could write, what was
    lost."""
    gap = incident.gap
    headline = _headline(judgement.root, _subject(incident, judgement.root))
    if gap is None:
        text = incident.episodes[0].text
        return text if incident.kind in PLAIN else f"{headline}; {text}"
    look = Look(evidence, gap)
    parts = [headline]
    if not gap.is_wanted:
        parts += _noticed_by(look)
    if incident.kind == "cluster_stopped":
        parts.append("nobody was left to take over")
    else:
        parts.append(_who_took_over(look, judgement))
        parts.append(_how_long(look))
    loss = loss_of(look, judgement.root.code)
    if loss is not None:
        parts.append(loss.sentence)
    return "; ".join(parts)


def episodes_told(incident: Incident) -> tuple[EpisodeTold, ...]:
    return tuple(
        EpisodeTold(
            kind=episode.kind,
            began=episode.began,
            ended=episode.ended,
            members=episode.members,
            text=episode.text,
        )
        for episode in incident.episodes
    )


def _subject(incident: Incident, finding: Finding) -> MemberName:
    """Whom the sentence is about."""
    for name in ("member", "leader"):
        found = finding.facts.get(name)
        if isinstance(found, str):
            return found
    return incident.member


def _noticed_by(look: Look) -> list[str]:
    phases = phases_of(look)
    first = look.evidence.first(
        look.ended_writing - 1, look.end, "replication_ended", "postmaster_exited"
    )
    if first is None:
        return []
    seconds = phases[0].seconds
    return [
        f"{first.member} noticed at once"
        if seconds < AT_ONCE
        else f"{first.member} noticed after {seconds:.2f} s"
    ]


AT_ONCE: Seconds = 0.05


def _who_took_over(look: Look, judgement: Judgement) -> str:
    gap = look.gap
    why = f" ({_hindrance(judgement)})" if judgement.cause is not judgement.root else ""
    if gap.successor is None:
        return f"nobody took over{why}"
    if gap.successor == gap.member:
        return f"{gap.member} itself went on as primary{why}"
    promoted = look.evidence.last(
        look.ended_writing, look.end + 1, "postgres_promoted", member=gap.successor
    )
    timeline = promoted.data.get("timeline") if promoted is not None else None
    on = f" on timeline {timeline}" if timeline else ""
    return f"{gap.successor} took over{on}{why}"


def _hindrance(judgement: Judgement) -> str:
    cause = judgement.cause
    if cause.code == "no_eligible_candidate":
        verdicts = [
            sentence_of(one.get("verdict")) for one in cause.facts.get("candidates", ())
        ]
        return f"no candidate could: {', '.join(verdicts)}"
    return sentence(cause.code, str(cause.facts.get("member", "")))


def _how_long(look: Look) -> str:
    outage = outage_of(look)
    about = {"measured": "", "at_most": "at most ", "at_least": "at least "}
    more = ", and still cannot" if look.gap.ended is None else ""
    return (
        f"nobody could write for {about[outage.certainty]}{outage.seconds:.2f} s{more}"
    )


def _proof(shown: Happening) -> Proof:
    part, slash, rule = shown.what.partition("/")
    return Proof(
        moment=shown.moment,
        member=shown.member,
        text=words_of(rule or part, shown.data, is_decision=bool(slash)),
        at=Reference(member=shown.member, record=shown.record),
    )


def _headline(finding: Finding, member: MemberName) -> str:
    """The cause as the beginning of a sentence; a name stays as it is written."""
    text = sentence(finding.code, member)
    if CAUSES[finding.code].sentence.startswith(("{member}", "PostgreSQL")):
        return text
    return text[:1].upper() + text[1:]


def moment_text(moment: Moment) -> str:
    """`2026-11-28 07:31:02.115 UTC`."""
    return f"{clock_text(moment, with_date=True)} UTC"
