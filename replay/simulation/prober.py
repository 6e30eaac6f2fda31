"""The prober of a simulated member: what others answer on their REST API."""

import json
from functools import partial

from regnal.messages.base import Command, Message
from regnal.messages.envelope import Envelope
from regnal.messages.probes import (
    AskFailsafe,
    FailsafeAnswered,
    FailsafeVote,
    PeersProbed,
    PeerStatus,
    ProbePeers,
    ProbeTarget,
)
from regnal.messages.requests import Caller, FailsafePosted, RequestAnswered
from regnal.replay.simulation.member import Daemon, SimulatedMember
from regnal.replay.simulation.surroundings import Surroundings


class SimulatedProber:
    """Asks all at once, and answers when the last answered, or at the timeout."""

    def __init__(
        self, world: Surroundings, member: SimulatedMember, daemon: Daemon
    ) -> None:
        self._world = world
        self._member = member
        self._daemon = daemon

    def perform(self, envelope: Envelope[Command]) -> bool:
        """Take the order; False: it is none of ours."""
        match envelope.message:
            case ProbePeers():
                self._probe(envelope.message, envelope)
            case AskFailsafe():
                self._ask_failsafe(envelope.message, envelope)
            case _:
                return False
        return True

    def _reaches(self, name: str) -> bool:
        return self._world.reaches(self._member.name, name)

    def _say(self, outcome: Message, envelope: Envelope[Command]) -> None:
        self._member.say(self._daemon, "prober", outcome, envelope)

    def _probe(self, command: ProbePeers, envelope: Envelope[Command]) -> None:
        """A host that lives refuses at once where no daemon does; one that does not
        keeps us waiting."""
        scheduler, asked_at = self._world.scheduler, self._world.scheduler.now
        answers: dict[str, PeerStatus] = {}
        answered = False

        def answer() -> None:
            nonlocal answered
            if answered:
                return
            answered = True
            peers = tuple(
                answers.get(t.name)
                or PeerStatus(name=t.name, answered=False, error="timed out")
                for t in command.targets
            )
            outcome = PeersProbed(
                peers=peers, asked_at=asked_at, request=command.request
            )
            self._say(outcome, envelope)

        def count(status: PeerStatus) -> None:
            answers.setdefault(status.name, status)
            if len(answers) == len(command.targets):
                answer()

        def heard(status: PeerStatus) -> None:
            if self._reaches(status.name):
                count(status)

        def arrive(target: ProbeTarget) -> None:
            status = self._peer(target) if self._reaches(target.name) else None
            if status is not None:
                delay = self._world.network.latency(target.name, self._member.name)
                scheduler.after(delay, lambda: heard(status))

        for target in command.targets:
            if target.within is not None:
                silent = PeerStatus(name=target.name, answered=False, error="timed out")
                scheduler.after(target.within, partial(count, silent))
            delay = self._world.network.latency(self._member.name, target.name)
            scheduler.after(delay, lambda target=target: arrive(target))  # type: ignore[misc]
        scheduler.after(command.timeout if command.targets else 0, answer)

    def _peer(self, target: ProbeTarget) -> PeerStatus | None:
        """What it answers; None: nothing."""
        name = target.name
        if self._world.is_frozen(name) and target.conn_url is None:
            return None
        status = self._world.status_of(name)
        writes = None
        if target.conn_url is not None:
            writes = status.is_accepting and status.in_recovery is False
        if not self._world.daemon_answers(name):
            return PeerStatus(
                name=name, answered=False, error="refused", takes_writes=writes
            )
        tags = self._world.settings_of(name).tags
        return PeerStatus(
            name=name,
            answered=True,
            role="primary" if status.in_recovery is False else "replica",
            state="running" if status.is_accepting else "stopped",
            timeline=status.timeline,
            position=status.position if status.is_accepting else None,
            nofailover=not tags.may_lead,
            failover_priority=tags.failover_priority,
            barred=self._world.shows_barred(name),
            takes_writes=writes,
        )

    def _ask_failsafe(self, command: AskFailsafe, envelope: Envelope[Command]) -> None:
        """Every member's own `rest` actor decides what it answers."""
        asked_at = self._world.scheduler.now
        accepted: dict[str, bool] = {}
        body = json.loads(command.document)
        for target in command.targets:
            if self._reaches(target.name) and self._world.daemon_answers(target.name):
                self._post(target, body, envelope.id, accepted)

        def answer() -> None:
            votes = tuple(
                FailsafeVote(name=t.name, accepted=accepted.get(t.name, False))
                for t in command.targets
            )
            if all(vote.accepted for vote in votes):
                # All will leave us the lease for ttl.
                name = self._member.name
                ttl = self._world.settings_of(name).ttl
                self._world.granted(name, asked_at + ttl)
            self._say(FailsafeAnswered(votes=votes, asked_at=asked_at), envelope)

        self._world.scheduler.after(command.timeout if command.targets else 0, answer)

    def _post(
        self,
        target: ProbeTarget,
        body: dict[str, object],
        request: str,
        accepted: dict[str, bool],
    ) -> None:
        posted = FailsafePosted(
            request=f"{request}/{target.name}",
            caller=Caller(address=self._member.name, username=None, user_agent=None),
            name=str(body["name"]),
            conn_url=str(body["conn_url"]),
            api_url=str(body["api_url"]),
            slots=(),
        )

        def answered(answer: RequestAnswered) -> None:
            if self._reaches(target.name):
                accepted[target.name] = answer.status == 200

        self._world.request(target.name, posted, answered)
