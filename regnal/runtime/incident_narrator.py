"""What the log tells of incidents: one line each time a person should know of it."""

import logging

from regnal.messages.base import Message
from regnal.messages.incidents import (
    ExplanationFailed,
    FailoverHeld,
    FailoverReleased,
    IncidentAcknowledged,
    IncidentJudged,
    IncidentLapsed,
    IncidentOpened,
    IncidentSettled,
    LeadershipAllowed,
    LeadershipBarred,
)

logger = logging.getLogger("regnal")

WANTED_CAUSES = frozenset(
    {"switchover", "scheduled_switchover", "manual_failover", "leader_shut_down"}
)
"""Codes of `regnal explain --causes` that somebody had asked for."""


def tell_of_incident(message: Message) -> None:
    """Says nothing of messages that are about something else."""
    match message:
        case IncidentOpened(weight="notice", incident=name, text=text):
            logger.info("Incident %s, as it was wanted: %s", name, text)
        case IncidentOpened(incident=name, text=text):
            logger.warning(
                "Incident %s: %s; open until `regnalctl ack %s`", name, text, name
            )
        case IncidentSettled(incident=name, lasted=lasted):
            logger.info("Incident %s is settled after %.1f s", name, lasted)
        case IncidentAcknowledged(incident=name, by=by, comment=comment):
            said = f": {comment}" if comment else ""
            logger.info("Incident %s was acknowledged by %s%s", name, by, said)
        case IncidentLapsed(incident=name):
            logger.warning("Incident %s is closed: too many are open", name)
        case IncidentJudged(incident=name, cause=cause, sentence=sentence):
            level = logging.INFO if cause in WANTED_CAUSES else logging.WARNING
            logger.log(level, "Incident %s: %s [%s]", name, sentence, cause)
        case ExplanationFailed(incident=name, error=error):
            logger.warning(
                "Incident %s could not be explained: %s; try `regnalctl explain %s`",
                name,
                error,
                name,
            )
        case _:
            _tell_of_policy(message)


def _tell_of_policy(message: Message) -> None:
    match message:
        case FailoverHeld(incident=name):
            logger.warning(
                "No automatic failover for a while (min_time_between_failovers), since "
                "%s; `regnalctl ack %s` or a manual failover ends that",
                name,
                name,
            )
        case FailoverReleased():
            logger.info("Automatic failover is possible again")
        case LeadershipBarred(reason=reason):
            logger.error("I must not lead (crash_loop_limit): %s", reason)
        case LeadershipAllowed():
            logger.info("I may lead again")
