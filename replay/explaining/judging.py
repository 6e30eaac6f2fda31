"""Judging: the verdict's codes for an incident, of whatever kind."""

from dataclasses import dataclass

from regnal.replay.evidence.evidence import Evidence
from regnal.replay.evidence.incidents import Incident
from regnal.replay.explaining.cause_rules import root_cause
from regnal.replay.explaining.findings import Finding
from regnal.replay.explaining.hindrances import decisive, hindrances
from regnal.replay.explaining.lesser_causes import cause_of
from regnal.replay.explaining.look import Look


@dataclass(frozen=True, slots=True)
class Judgement:
    """What explain concluded."""

    rule: str
    """Of explain, that spoke."""

    root: Finding
    """What began it."""

    cause: Finding
    """What decided how it went; mostly the root."""

    hindrances: tuple[Finding, ...]
    """What kept others from taking over."""


def judge(evidence: Evidence, incident: Incident) -> Judgement:
    if incident.gap is None:
        finding = cause_of(evidence, incident.episodes[0])
        return Judgement(f"cause_of_{incident.kind}", finding, finding, ())
    look = Look(evidence, incident.gap)
    rule, root = root_cause(look)
    found = hindrances(look)
    decided = None if incident.kind == "cluster_stopped" else decisive(look, found)
    return Judgement(rule, root, decided or root, found)
