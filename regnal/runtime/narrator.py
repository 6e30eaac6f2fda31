"""The narrator: tells the log what was decided, in the words that monitoring knows.

One line per heartbeat (docs/contracts.md 10), one per decision of election.  A decision
has the rule's name as its field `rule`, which is also its name in the journal and in
`explain`: in plain text it ends the line (`... rule=promote_with_the_lease`), so that
what monitoring matches stands before it.
"""

import logging
from collections.abc import Mapping

from regnal.actors.step import Step
from regnal.messages.base import Command, Decision, MemberName, Message
from regnal.messages.cluster import (
    ClusterObserved,
    StoreAnswered,
    StoreUnreachable,
)
from regnal.messages.envelope import Envelope, PartName
from regnal.messages.fencing import (
    FencingJudged,
    GuardFailed,
    GuardFenced,
    GuardStarted,
    WatchdogActivated,
    WatchdogFailed,
    WatchdogNotUsable,
)
from regnal.messages.host import (
    ActorsLate,
    ClockSkewSeen,
    ClockStepped,
    StallNoticed,
)
from regnal.messages.incidents import ExplanationFailed, IncidentJudged
from regnal.messages.operations import IntentFailed, IntentRefused, PhaseChanged
from regnal.messages.postgres import OperationFailed
from regnal.messages.settings import ConfigurationApplied
from regnal.messages.timers import TimerFired
from regnal.runtime.fencing_narrator import FencingMessage, tell_of_fencing
from regnal.runtime.host_narrator import tell_of_host
from regnal.runtime.incident_narrator import tell_of_incident

logger = logging.getLogger("regnal")

HEARTBEAT = "heartbeat"


class Narrator:
    """A listener of the bus."""

    def __init__(self, member: MemberName) -> None:
        self._member = member
        self._leader: MemberName | None = None
        self._paused = False
        self._standby_cluster = False
        self._watchdog_required = False
        self._watchdog_trouble: Message | None = None
        self._last_rule = ""

    def __call__(
        self, part: PartName, heard: Envelope[Message], step: Step[object] | None
    ) -> None:
        if step is None:
            self._learn(heard.message)
            return
        if part == "election":
            self._tell_of_election(heard, step)
        elif part == "postgres_supervisor":
            self._tell_of_postgres(step)
        elif part == "watchdog":
            for message in step.said:
                if isinstance(message, WatchdogNotUsable | FencingJudged):
                    tell_of_fencing(message, required=self._watchdog_required)
        elif part == "incidents":
            for message in step.said:
                tell_of_incident(message)

    def _learn(self, message: Message) -> None:
        match message:
            case ClusterObserved(view=view):
                self._leader = view.leader_name
            case StoreUnreachable(error=error):
                logger.warning(
                    "DCS is not accessible: %s; see that it runs and that its address "
                    "in the configuration is right",
                    error,
                )
            case StoreAnswered():
                logger.info("DCS is accessible again")
            case (
                GuardStarted()
                | GuardFailed()
                | GuardFenced()
                | WatchdogActivated()
                | WatchdogFailed()
            ):
                self._tell_of_fencing(message)
            case OperationFailed(command=command, reason=reason, output=output):
                logger.warning(
                    "%s failed: %s%s",
                    command.replace("_", " "),
                    reason,
                    f"; it said: {output.strip()[-OUTPUT_SHOWN:]}" if output else "",
                )
            case StallNoticed() | ActorsLate() | ClockStepped() | ClockSkewSeen():
                tell_of_host(message)
            case IncidentJudged() | ExplanationFailed():
                tell_of_incident(message)
            case ConfigurationApplied(settings=settings):
                self._paused = settings.paused
                self._standby_cluster = settings.is_standby_cluster
                self._watchdog_required = settings.watchdog_mode == "required"

    def _tell_of_fencing(self, message: FencingMessage) -> None:
        """The same trouble of a watchdog, found at each heartbeat, is told once."""
        if isinstance(message, WatchdogFailed) and message == self._watchdog_trouble:
            return
        if isinstance(message, WatchdogFailed | WatchdogActivated):
            self._watchdog_trouble = message
        tell_of_fencing(message, required=self._watchdog_required)

    def _tell_of_election(self, heard: Envelope[Message], step: Step[object]) -> None:
        rule = step.rule or ""
        is_beat = (
            isinstance(heard.message, TimerFired) and heard.message.name == HEARTBEAT
        )
        decided = [m for m in step.said if isinstance(m, Decision)]
        ordered = [m for m in step.said if isinstance(m, Command) and not m.routine]
        if not decided and not ordered and not is_beat:
            return
        text = self._result(rule, step.facts.get("reason"))
        if rule == self._last_rule and not decided and not is_beat:
            return
        self._last_rule = rule
        if rule not in QUIET or not is_beat:
            logger.info("Lock owner: %s; I am %s", self._leader, self._member)
        # The log puts fields behind the sentence, or into the members of a JSON line.
        fields = {} if rule in QUIET else {"rule": rule}
        logger.info("%s%s", "PAUSE: " if self._paused else "", text, extra=fields)

    def _result(self, rule: str, reason: object) -> str:
        kind = "standby leader" if self._standby_cluster else "leader"
        values = {
            "me": self._member,
            "leader": self._leader,
            "kind": kind,
            "reason": reason,
        }
        if self._paused and rule in QUIET:
            return f"no action. I am ({self._member})"
        return RESULTS.get(rule, rule.replace("_", " ")).format(**values)

    def _tell_of_postgres(self, step: Step[object]) -> None:
        for message in step.said:
            match message:
                case IntentFailed(intent=intent, reason=reason):
                    logger.warning("%s failed: %s", intent.replace("_", " "), reason)
                case IntentRefused(intent=intent, reason=reason):
                    logger.info("%s refused: %s", intent.replace("_", " "), reason)
                case PhaseChanged(phase=phase, previous=previous, state=state):
                    logger.info("PostgreSQL: %s -> %s (%s)", previous, phase, state)


OUTPUT_SHOWN = 500
"""Characters of a failed program's last words; the journal has more."""

QUIET = ("keep_leading", "keep_following", "keep_hands_off_in_pause")
"""Rules that say that nothing is to be done."""

RESULTS: Mapping[str, str] = {
    "keep_leading": "no action. I am ({me}), the {kind} with the lock",
    "keep_following": "no action. I am ({me}), a secondary, and following a {kind} "
    "({leader})",
    "keep_hands_off_in_pause": "no action. I am ({me})",
    "acquire_as_the_best_candidate": "trying to take the leader lock as the best "
    "candidate",
    "stand_back_for_a_running_primary": "not trying to take the leader lock because "
    "{reason}",
    "promote_with_the_lease": "promoted self to leader by acquiring session lock",
    "create_the_initialize_key": "trying to bootstrap a new cluster",
    "bootstrap_the_cluster": "trying to bootstrap a new cluster",
    "confirm_the_new_cluster": "initialized a new cluster",
    "clone_this_member": "bootstrap from leader '{leader}'",
    "start_as_standby": "starting as a secondary",
    "step_down_when_another_leads": "demoting self because I do not hold the lock, "
    "{leader} does",
    "step_down_when_the_lease_is_refused": "demoting self because the lock is lost",
    "step_down_before_the_lease_ends": "demoting self because DCS is not accessible "
    "and I was a leader",
    "step_down_without_a_lease": "demoting self because DCS is not accessible and I "
    "was a leader",
    "follow_the_leader": "following a different leader because the leader is now "
    "{leader}",
    "release_the_lease_of_a_dead_primary": "removed leader lock because postgres is "
    "not running",
    "give_the_lease_up_after_too_many_crashes": "removed leader lock because postgres "
    "ended unasked too often",
    "leave_the_lead_to_others_after_too_many_crashes": "not trying to take the leader "
    "lock because postgres ended unasked too often; `regnalctl ack` allows it again",
    "hold_the_failover_after_a_recent_one": "not trying to take the leader lock because "
    "the last automatic failover is too recent; `regnalctl ack` ends that",
    "step_down_without_fencing": "demoting self because what takes writes here could "
    "not be fenced",
    "release_without_fencing": "removed leader lock because what takes writes here could "
    "not be fenced",
    "wait_for_the_supervisor": "an action on PostgreSQL is in progress",
    "wait_to_be_informed": "waiting for the configuration, the DCS and PostgreSQL",
}
"""Rule to the result that monitoring matches, where docs/contracts.md has one."""
