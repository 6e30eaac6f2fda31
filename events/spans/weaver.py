"""The weaver: from what a member's journal says to spans, record by record.

    weaver = Weaver(reporter)
    weaver.heed(rule)              # of a step, before the messages that it said
    spans = weaver.weave(envelope)

An *episode* is what goes on at this member from the first sign until all is well.  Its
spans are told as soon as it is known to which trace they belong: where a reign ends, to
that of the reign's end, on which all members agree; else, when it is over, to one of its
own.  Read `_hear`: which message means what.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias, get_args

from pydantic import ValidationError

from regnal.events.cloud import Reporter
from regnal.events.spans import episodes, naming
from regnal.events.spans.commands import (
    COMMANDS,
    HEARTBEATS,
    INTENTS,
    OPERATIONS,
    OUTCOMES,
    Answer,
    Attributes,
    answer_of,
    command_attributes,
    intent_attributes,
    kind_of,
    reason_attributes,
)
from regnal.events.spans.memory import (
    MAXIMUM_TRACES,
    Ending,
    Episode,
    Linked,
    Memory,
    Rule,
    Thread,
)
from regnal.events.spans.naming import RootName
from regnal.events.spans.reigns import Seen, see
from regnal.events.spans.span import Span, TraceId, UnixNanos
from regnal.events.spans.telling import Teller, trace_of
from regnal.events.tracing import trace_id
from regnal.messages import daemon, fencing, incidents, lease, operations, requests
from regnal.messages import postgres as pg
from regnal.messages.base import Instant, JsonText, Message, Seconds
from regnal.messages.changes import StoreBack, StoreLost
from regnal.messages.cluster import (
    ClusterObserved,
    ClusterView,
    FailoverRequest,
    KeyWritten,
    StoreAnswered,
    StoreUnreachable,
)
from regnal.messages.envelope import Envelope

LINGER: Seconds = 5.0
"""After the last thing that belonged to it an episode is over."""

QUIET_LINGER: Seconds = 1.0
AWAIT_STREAM: Seconds = 600.0
"""So long a standby may need to stream after all that was done for it."""

NO_ANSWER: Seconds = 60.0
"""By which what is no operation of PostgreSQL is answered, or never."""

Clock: TypeAlias = Callable[[str, Instant], UnixNanos]
"""When that instant of the boot of that id was."""

_PRIMARY = ("primary", "promoting", "checkpointing")
_SETTLED = ("unknown", "absent", "stopped", "primary", "standby")
_OPERATION_KINDS = frozenset(kind_of(word) for word in OPERATIONS)
_INTENT_KINDS = frozenset(kind_of(word) for word in INTENTS)

_ALWAYS: tuple[type[Message], ...] = (
    *COMMANDS,
    *INTENTS,
    *get_args(operations.SupervisorDecision),
    *(word for word in OUTCOMES if word is not lease.LeaderRenewed),
    ClusterObserved,
    StoreUnreachable,
    StoreAnswered,
    StoreLost,
    StoreBack,
    daemon.DaemonStarted,
    daemon.ShutdownRequested,
    daemon.ShutdownCompleted,
    pg.PostmasterExited,
    pg.ReplicationEnded,
    fencing.GuardFenced,
    fencing.FencingWanted,
    fencing.FencingJudged,
    incidents.IncidentOpened,
    incidents.IncidentContinued,
    incidents.SuccessorNoted,
    requests.SwitchoverRequested,
    requests.RestartRequested,
    requests.RestartWanted,
    requests.ReinitializeRequested,
    requests.RequestAnswered,
)
_KINDS = frozenset(map(kind_of, _ALWAYS))
_QUIET_KINDS = frozenset(map(kind_of, (*HEARTBEATS, lease.LeaderRenewed)))
_WHAT_FOR: dict[type[Message], RootName] = {
    operations.BootstrapCluster: "bootstrap",
    operations.CloneMember: "rebuild",
    operations.ReinitializeMember: "reinitialize",
    operations.StartAsPrimary: "restart",
    operations.RestartInPlace: "restart",
    operations.StopForShutdown: "shutdown",
    operations.DemotePostgres: "step down",
    operations.FollowLeader: "follow",
    operations.BecomePrimary: "promotion",
}
_WHAT_OF: dict[incidents.IncidentWhat, RootName] = {
    "reign_ended": "suspicion",
    "primary_interrupted": "postgres crash",
    "primary_stopped": "postgres crash",
    "fenced": "fencing",
    "store_outage": "dcs outage",
    "stall": "stall",
    "actor_failed": "actor failure",
}


class Weaver:
    """Makes spans of one member's journal; records in their order, each once."""

    def __init__(
        self,
        reporter: Reporter,
        memory: JsonText | None = None,
        *,
        share: float = 0.0,
        clock: Clock | None = None,
    ) -> None:
        """`memory` of another weaver, up to the same record; one that cannot be read is
        as if there was none.  `share` of what is no incident is told (0 to 1), and with
        more than none heartbeats are spans.  `clock`: the time of spans; None: our own
        wall clock."""
        self.reporter = reporter
        self._share = share
        self._clock = clock
        self._memory = Memory()
        self.remember(memory)

    @property
    def memory(self) -> JsonText:
        return self._memory.model_dump_json(exclude_defaults=True)

    def remember(self, memory: JsonText | None) -> None:
        self._memory = Memory()
        if memory is not None:
            try:
                self._memory = Memory.model_validate_json(memory)
            except ValidationError:
                self._memory = Memory()

    @property
    def is_idle(self) -> bool:
        """Whether nothing goes on, so that nothing ends with time alone."""
        return self._memory.episode is None

    def wants(self, kind: str) -> bool:
        """Whether a message of this kind tells something now: others need not be read."""
        if kind in _KINDS:
            return True
        if kind in _QUIET_KINDS:
            return self._share > 0
        episode = self._memory.episode
        if kind == "key_written":
            return episode is not None
        if kind == "postgres_observed":
            return episode is not None and episode.awaits_stream
        return False

    def heed(self, rule: Rule) -> None:
        """A step was taken; what it said comes next."""
        self._memory.rule = rule

    def tick(self, at: Instant) -> list[Span]:
        """So much time has passed, whatever happened."""
        episode = self._memory.episode
        if episode is None:
            return []
        self._expire(episode, at)
        since = at - self._instant(episode, episode.last)
        if self._is_busy(episode):
            return []
        if episode.awaits_stream:
            return self._close() if since >= AWAIT_STREAM else []
        linger = QUIET_LINGER if episode.what in naming.QUIET else LINGER
        return self._close() if since >= linger else []

    def finish(self) -> list[Span]:
        """The journal ends here: tell what is under way as far as it is known."""
        episode = self._memory.episode
        if episode is None:
            return []
        episode.attributes[naming.UNFINISHED] = True
        return self._close(Answer({naming.UNFINISHED: True}))

    def weave(self, envelope: Envelope[Message]) -> list[Span]:
        """The spans that are known to be over, and to belong to a trace, since this
        message."""
        message = envelope.message
        if isinstance(message, daemon.DaemonStarted):
            return self._start(envelope, message)
        told = self.tick(envelope.at)
        told += self._hear(envelope)
        return told + self._tell_what_is_known()

    # What messages mean.

    def _hear(self, envelope: Envelope[Message]) -> list[Span]:
        message = envelope.message
        if isinstance(message, ClusterObserved):
            return self._hear_view(envelope, message.view)
        if self._memory.is_down:
            return []
        match message:
            case pg.PostmasterExited(expected=False):
                told = self._sign(envelope, "postgres crash")
                self._note(envelope, "postmaster exited", _exit_attributes(message))
                return told
            case fencing.GuardFenced(postmaster_pid=pid):
                told = self._sign(envelope, "fencing")
                self._note(envelope, "guard fenced", {naming.PID: pid})
                return told
            case pg.ReplicationEnded() if self._memory.phase == "standby":
                return self._suspect(envelope)
            case StoreUnreachable(error=error):
                told = self._sign(envelope, "upkeep")
                self._memory.store_lost = True
                self._note(envelope, "dcs unreachable", {naming.REASON_TEXT: error})
                return told
            case StoreLost():
                return self._sign(envelope, "dcs outage")
            case StoreAnswered() | StoreBack():
                self._memory.store_lost = False
                self._note(envelope, "dcs answered")
                return []
            case daemon.ShutdownRequested():
                return self._sign(envelope, "shutdown")
            case daemon.ShutdownCompleted():
                self._memory.is_down = True
                return self._close()
            case pg.PostgresObserved(status=status):
                if status.replication_state == "streaming":
                    self._hear_stream(envelope)
                return []
        return self._hear_of_incidents(envelope)

    def _hear_of_incidents(self, envelope: Envelope[Message]) -> list[Span]:
        message = envelope.message
        match message:
            case incidents.IncidentOpened():
                return self._hear_opening(envelope, message)
            case incidents.IncidentContinued(text=text):
                self._note(envelope, "incident continued", {naming.REASON_TEXT: text})
            case incidents.SuccessorNoted(change=change):
                episode = self._memory.episode
                if episode is not None:
                    episode.change = change
            case requests.SwitchoverRequested(request=request):
                told = self._sign(envelope, "switchover", {naming.REQUEST: request})
                self._episode.has_request = True
                return told
            case requests.RestartRequested(request=request):
                return self._sign(envelope, "restart", {naming.REQUEST: request})
            case requests.RestartWanted():
                return self._sign(envelope, "restart", is_fresh=False)
            case requests.ReinitializeRequested(request=request):
                return self._sign(envelope, "reinitialize", {naming.REQUEST: request})
            case requests.RequestAnswered(request=request, status=status, body=body):
                self._hear_answer(request, status, body)
            case _:
                return self._hear_of_work(envelope)
        return []

    def _hear_of_work(self, envelope: Envelope[Message]) -> list[Span]:
        """Intents, commands, and what became of them."""
        message = envelope.message
        told: list[Span] = []
        if isinstance(message, INTENTS):
            told = self._begin_intent(envelope)
        elif isinstance(message, (*COMMANDS, *HEARTBEATS)):
            told = self._begin_command(envelope)
        elif isinstance(message, (*OUTCOMES, KeyWritten)):
            self._end_command(envelope)
        else:
            self._hear_decision(envelope)
        episode = self._memory.episode
        if episode is not None and envelope.cause is not None:
            if envelope.id not in episode.owners:
                key = episode.owners.get(envelope.cause)
                episodes.own(episode, envelope.id, key)
        return told

    def _hear_decision(self, envelope: Envelope[Message]) -> None:
        message, episode = envelope.message, self._memory.episode
        if isinstance(message, operations.PhaseChanged):
            self._memory.phase = message.phase
            return
        if episode is None:
            return
        now = self._moment(envelope)
        match message:
            case operations.IntentFulfilled(intent=intent):
                self._end_intent(envelope, intent, Answer({}))
            case operations.IntentFailed(intent=intent, reason=reason):
                text = reason_attributes(reason)[naming.REASON_TEXT]
                error = Answer(
                    {naming.ERROR: reason.code, **reason_attributes(reason)},
                    reason.code,
                    str(text),
                )
                self._end_intent(envelope, intent, error)
            case operations.IntentRefused(intent=intent, reason=reason):
                refused: Attributes = {naming.OUTCOME: "refused"}
                self._end_intent(
                    envelope, intent, Answer(refused | reason_attributes(reason))
                )
            case fencing.FencingWanted():
                promotion = episodes.find_phase(episode, "promote")
                episodes.phase(
                    episode,
                    "fencing",
                    now,
                    self._by_rule(envelope),
                    parent=promotion.key if promotion else None,
                )
            case fencing.FencingJudged(verdict=verdict, reason=reason):
                self._end_fencing(now, verdict, reason)
            case _:
                pass

    # The leader key.

    def _hear_view(self, envelope: Envelope[Message], view: ClusterView) -> list[Span]:
        memory = self._memory
        if memory.store_lost:
            memory.store_lost = False
            self._note(envelope, "dcs answered")
        seen = see(memory, view, envelope.at)
        told = self._hear_failover_key(envelope, view.failover)
        if memory.is_down:
            return told
        if seen.has_gone:
            told += self._hear_that_nobody_leads(envelope)
        if seen.ended is not None:
            told += self._hear_of_an_ending(envelope, seen)
        elif seen.leader is not None and memory.episode is not None:
            episode = memory.episode
            episode.gone_at = None
            if episode.ending is not None and episode.ending.leader is None:
                episode.ending.leader = seen.leader.name
        return told

    def _hear_failover_key(
        self, envelope: Envelope[Message], request: FailoverRequest | None
    ) -> list[Span]:
        revision = str(request.revision) if request is not None else None
        is_new = revision is not None and revision != self._memory.request
        self._memory.request = revision
        if request is None or not is_new or self._memory.is_down:
            return []
        if not _is_due(request, envelope.wall_us):
            self._memory.request = None  # it may become due
            return []
        episode = self._memory.episode
        is_ours = episode is not None and episode.has_request
        told = self._sign(envelope, "suspicion", is_fresh=not is_ours)
        self._episode.has_request = True
        return told

    def _hear_that_nobody_leads(self, envelope: Envelope[Message]) -> list[Span]:
        told: list[Span] = []
        episode = self._memory.episode
        if episode is None:
            told = self._sign(envelope, "suspicion")
            episode = self._episode
        now = self._moment(envelope)
        episode.gone_at = now
        episodes.note(episode, "leader key gone", now)
        self._end_detection(episode, now)
        return told

    def _hear_of_an_ending(
        self, envelope: Envelope[Message], seen: Seen
    ) -> list[Span]:
        assert seen.ended is not None and seen.leader is not None
        ended, told = seen.ended, self._split_from(seen.ended.revision)
        if self._memory.episode is None:
            told += self._sign(envelope, "suspicion")
        episode, now = self._episode, self._moment(envelope)
        self._end_detection(episode, now)
        if episode.ending is None:
            episode.ending = Ending(
                revision=ended.revision, former=ended.leader, at=now
            )
        ending = episode.ending
        ending.leader = seen.leader.name
        ending.is_planned |= seen.is_planned or episode.has_request
        episode.gone_at = None
        episodes.note(
            episode, "leader key changed", now, {naming.LEADER: seen.leader.name}
        )
        if ending.is_planned:
            self._forget_detection(episode)
        return told

    def _split_from(self, revision: str) -> list[Span]:
        """Another reign's end begins another trace; commands under way go over."""
        episode = self._memory.episode
        if episode is None or episode.ending is None:
            return []
        if episode.ending.revision == revision:
            return []
        moving = [
            thread
            for thread in episode.open
            if thread.kind and thread.kind not in _INTENT_KINDS
        ]
        episode.open = [one for one in episode.open if one not in moving]
        told = self._close()
        if moving:
            first = min(moving, key=lambda thread: thread.start)
            instant = self._instant(episode, first.start)
            self._memory.episode = Episode(
                opened_by=first.key,
                what="upkeep",
                start=first.start,
                last=first.start,
                anchor=instant,
                anchor_wall=first.start,
                was_leader=self._memory.phase in _PRIMARY,
                count=len(moving),
                open=[one.model_copy(update={"parent": None}) for one in moving],
            )
        return told

    def _give_up(self, envelope: Envelope[Message], to: str | None) -> None:
        """Our own reign is over by our own doing."""
        reign, episode = self._memory.reign, self._memory.episode
        if reign is None or episode is None or episode.ending is not None:
            return
        if reign.leader != self.reporter.member:
            return
        episode.ending = Ending(
            revision=reign.revision,
            former=reign.leader,
            at=self._moment(envelope),
            leader=to,
            is_planned=to is not None or episode.has_request,
        )

    # Signs.

    @property
    def _episode(self) -> Episode:
        episode = self._memory.episode
        assert episode is not None
        return episode

    def _sign(
        self,
        envelope: Envelope[Message],
        what: RootName,
        attributes: Attributes | None = None,
        *,
        is_fresh: bool = True,
    ) -> list[Span]:
        """Something begins, or what goes on is this as well.  `is_fresh`: whether it
        begins something new, where what went on before is as good as over."""
        told: list[Span] = []
        episode = self._memory.episode
        if episode is not None and is_fresh and self._may_be_over(episode):
            told = self._close()
            episode = None
        now = self._moment(envelope)
        if episode is None:
            episode = Episode(
                opened_by=envelope.id,
                what=what,
                start=now,
                last=now,
                anchor=envelope.at,
                anchor_wall=now,
                was_leader=self._memory.phase in _PRIMARY,
            )
            self._memory.episode = episode
        episodes.grow_into(episode, what)
        episode.last = max(episode.last, now)
        episode.attributes |= attributes or {}
        return told

    def _may_be_over(self, episode: Episode) -> bool:
        is_worth = episode.ending is not None or episode.what not in naming.QUIET
        return is_worth and not self._is_busy(episode)

    def _is_busy(self, episode: Episode) -> bool:
        memory = self._memory
        if memory.store_lost or memory.phase not in _SETTLED:
            return True
        if memory.reign is not None and not memory.is_led and not memory.is_down:
            return True
        return any(
            thread.kind and thread.kind not in _INTENT_KINDS for thread in episode.open
        )

    def _suspect(self, envelope: Envelope[Message]) -> list[Span]:
        told = self._sign(envelope, "suspicion")
        episode, now = self._episode, self._moment(envelope)
        episodes.note(episode, "replication ended", now)
        episode.awaits_stream = True
        is_new = episode.ending is None and episode.gone_at is None
        if is_new and episodes.find_phase(episode, "detect") is None:
            episodes.phase(episode, "detect", now, {})
        return told

    def _hear_stream(self, envelope: Envelope[Message]) -> None:
        episode = self._memory.episode
        if episode is None or self._memory.phase != "standby" or episode.gone_at:
            return
        now = self._moment(envelope)
        episode.awaits_stream = False
        episodes.note(episode, "streaming", now)
        rejoining = episodes.find_phase(episode, "rejoin")
        if rejoining is not None:
            episodes.end(episode, rejoining, now, Answer({}))

    def _start(
        self, envelope: Envelope[Message], started: daemon.DaemonStarted
    ) -> list[Span]:
        memory, told = self._memory, []
        if memory.episode is not None:
            memory.episode.error = "the daemon ended"
            error = Answer({naming.ERROR: "daemon_ended"}, "daemon_ended", "the daemon ended")
            told = self._close(error)
        memory.boot, memory.phase, memory.is_down = started.boot_id, "unknown", False
        memory.store_lost, memory.gone_at, memory.key_at = False, None, None
        told += self._sign(envelope, "start")
        self._episode.started = True
        return told

    def _hear_opening(
        self, envelope: Envelope[Message], opened: incidents.IncidentOpened
    ) -> list[Span]:
        told: list[Span] = []
        if opened.what == "reign_ended" and self._memory.episode is None:
            return told  # it was told when the key was seen
        told = self._sign(envelope, _WHAT_OF[opened.what], is_fresh=False)
        episode = self._episode
        began = self._moment(envelope) - _nanos(envelope.at - opened.began_at)
        if opened.what != "reign_ended":
            episode.incident = opened.incident
            episode.start = min(episode.start, began)
        episode.includes = list(opened.includes)
        episode.attributes[naming.REASON_TEXT] = opened.text
        return told

    def _hear_answer(self, request: str, status: int, body: str) -> None:
        episode = self._memory.episode
        if episode is None or episode.attributes.get(naming.REQUEST) != request:
            return
        episode.attributes[naming.STATUS] = status
        if status >= 400:
            episode.error = body

    # Intents and commands.

    def _begin_intent(self, envelope: Envelope[Message]) -> list[Span]:
        intent, memory = envelope.message, self._memory
        what = _WHAT_FOR[type(intent)]
        told = self._sign(envelope, what, is_fresh=False)
        episode, now = self._episode, self._moment(envelope)
        if isinstance(intent, operations.FollowLeader):
            episode.awaits_stream = intent.upstream is not None
        is_return = isinstance(intent, operations.FollowLeader | operations.CloneMember)
        if is_return and episode.was_leader and not episode.started:
            if episodes.find_phase(episode, "rejoin") is None:
                episodes.phase(episode, "rejoin", now, {})
        self._begin(envelope, intent_attributes(intent))
        if isinstance(intent, operations.DemotePostgres):
            promotion = episodes.find_phase(episode, "promote")
            if promotion is not None:
                failed = Answer({naming.ERROR: "demoted"}, "demoted", "given up")
                episodes.end(episode, promotion, now, failed)
        memory.episode = episode
        return told

    def _begin_command(self, envelope: Envelope[Message]) -> list[Span]:
        command = envelope.message
        if isinstance(command, fencing.ArmGuard) and not self._is_fencing:
            return []
        told: list[Span] = []
        if self._memory.episode is None:
            told = self._sign(envelope, "upkeep")
        episode = self._episode
        if isinstance(command, lease.AcquireLeader):
            start = episode.gone_at or self._moment(envelope)
            candidates = self._memory.rule.candidates if self._memory.rule else []
            found = self._by_rule(envelope)
            if candidates:
                found[naming.CANDIDATES] = tuple(candidates)
            episodes.phase(episode, "elect", start, found)
            election = episodes.find_phase(episode, "elect")
            self._begin(envelope, {}, election.key if election else None)
            return told
        self._begin(envelope, command_attributes(command))
        return told

    @property
    def _is_fencing(self) -> bool:
        episode = self._memory.episode
        if episode is None:
            return False
        return episodes.find_phase(episode, "fencing") is not None

    def _begin(
        self, envelope: Envelope[Message], attributes: Attributes, parent: str | None = None
    ) -> None:
        episode = self._episode
        kind = kind_of(type(envelope.message))
        if parent is None:
            parent = episodes.owner(episode, envelope.cause)
        if parent is None:
            parent = self._phase_for(envelope)
        thread = Thread(
            key=envelope.id,
            name=kind,
            kind=kind,
            parent=parent,
            start=self._moment(envelope),
            attributes={**self._by_rule(envelope), **attributes},
        )
        episodes.begin(episode, thread)
        episodes.own(episode, envelope.id, envelope.id)

    def _phase_for(self, envelope: Envelope[Message]) -> str | None:
        """Of what no message under way caused: the phase that it must be part of."""
        message, episode = envelope.message, self._episode
        phases: tuple[naming.PhaseName, ...] = ()
        if envelope.said_by == "election" and kind_of(type(message)) == "probe_peers":
            phases = ("detect",)
        elif isinstance(message, fencing.ArmGuard | fencing.ActivateWatchdog):
            phases = ("fencing", "promote")
        elif isinstance(message, operations.BecomePrimary):
            phases = ("promote",)
        elif isinstance(message, operations.FollowLeader | operations.CloneMember):
            phases = ("rejoin",)
        found = episodes.find_phase(episode, *phases)
        return found.key if found else None

    def _end_command(self, envelope: Envelope[Message]) -> None:
        episode, outcome = self._memory.episode, envelope.message
        if episode is None:
            return
        now, thread = self._moment(envelope), episodes.find(episode, envelope.cause)
        parent = episodes.owner(episode, envelope.cause)
        if thread is not None:
            answer = answer_of(outcome)
            parent = thread.parent
            episodes.end(episode, thread, now, answer)
            if thread.kind == "acquire_leader":
                election = episodes.find_phase(episode, "elect")
                if election is not None:
                    episodes.end(episode, election, now, answer)
                parent = None
        match outcome:
            case lease.LeaderAcquired() if self._memory.phase == "standby":
                parent = self._begin_promotion(envelope, now) or parent
            case lease.LeaderReleased():
                self._give_up(envelope, None)
            case lease.LeaderHandedOver(to=to):
                self._give_up(envelope, to)
            case pg.PostgresPromoted():
                promotion = episodes.find_phase(episode, "promote")
                if promotion is not None:
                    episodes.end(episode, promotion, now, answer_of(outcome))
            case lease.LeaseRefused(action="renew") | lease.LeaseUnconfirmed(
                action="renew"
            ):
                episodes.note(episode, outcome.kind, now)
            case _:
                pass
        episodes.own(episode, envelope.id, parent)

    def _begin_promotion(self, envelope: Envelope[Message], now: UnixNanos) -> str | None:
        episode = self._episode
        if episodes.find_phase(episode, "promote") is not None:
            return None
        links = []
        reign = self._memory.reign
        if episode.has_request and reign is not None:
            former = episode.ending.former if episode.ending else reign.leader
            if former != self.reporter.member:
                links = [Linked(member=former, phase="", why="handed_over")]
        episodes.phase(episode, "promote", now, {}, links)
        promotion = episodes.find_phase(episode, "promote")
        return promotion.key if promotion else None

    def _end_intent(
        self, envelope: Envelope[Message], intent: str, answer: Answer
    ) -> None:
        episode, now = self._episode, self._moment(envelope)
        parent = None
        for thread in tuple(reversed(episode.open)):
            if thread.kind == intent:
                parent = thread.parent
                episodes.end(episode, thread, now, answer)
        if answer.error and intent == "become_primary":
            promotion = episodes.find_phase(episode, "promote")
            if promotion is not None:
                parent = None
                episodes.end(episode, promotion, now, answer)
        episodes.own(episode, envelope.id, parent)

    def _end_fencing(
        self, now: UnixNanos, verdict: str, reason: operations.Reason | None
    ) -> None:
        episode = self._episode
        phase = episodes.find_phase(episode, "fencing")
        if phase is None or verdict == "idle":
            return
        answer = Answer({naming.OUTCOME: verdict})
        if reason is not None:
            found = {naming.OUTCOME: verdict, **reason_attributes(reason)}
            answer = Answer(found, reason.code, str(found[naming.REASON_TEXT]))
        for thread in tuple(episode.open):
            if thread.kind == "arm_guard":
                episodes.end(episode, thread, now, Answer({}))
        episodes.end(episode, phase, now, answer)

    # Detection.

    def _end_detection(self, episode: Episode, now: UnixNanos) -> None:
        """The leader is known to be gone."""
        detection = episodes.find_phase(episode, "detect")
        if detection is not None:
            episodes.end(episode, detection, now, Answer({}))
        elif not episode.was_leader and not episode.names.get("detect"):
            if not episode.started and not episode.has_request:
                episodes.phase(episode, "detect", episode.start, {})
                self._end_detection(episode, now)

    def _forget_detection(self, episode: Episode) -> None:
        """There was nothing to detect: it had been asked for."""
        if not episode.ordinal:
            phases = [one for one in episode.ended if one.name == "detect"]
            keys = {one.key for one in phases}
            episode.ended = [one for one in episode.ended if one not in phases]
            for thread in (*episode.open, *episode.ended):
                if thread.parent in keys:
                    thread.parent = None

    # Time, and telling.

    def _by_rule(self, envelope: Envelope[Message]) -> Attributes:
        found: Attributes = {naming.MESSAGE: envelope.id}
        rule = self._memory.rule
        if rule is not None and envelope.id in rule.said:
            found[naming.ACTOR] = rule.actor
            if rule.rule:
                found[naming.RULE] = rule.rule
        return found

    def _note(
        self,
        envelope: Envelope[Message],
        name: str,
        attributes: Attributes | None = None,
    ) -> None:
        episode = self._memory.episode
        if episode is not None:
            episodes.note(episode, name, self._moment(envelope), attributes)

    def _moment(self, envelope: Envelope[Message]) -> UnixNanos:
        if self._clock is not None:
            return self._clock(self._memory.boot, envelope.at)
        episode = self._memory.episode
        if episode is None:
            return envelope.wall_us * 1000
        return episode.anchor_wall + _nanos(envelope.at - episode.anchor)

    def _instant(self, episode: Episode, moment: UnixNanos) -> Instant:
        return episode.anchor + (moment - episode.anchor_wall) / 1e9

    def _expire(self, episode: Episode, at: Instant) -> None:
        """What should have been answered by now will not be."""
        for thread in tuple(episode.open):
            if not thread.kind or thread.kind in _INTENT_KINDS | _OPERATION_KINDS:
                continue
            if at - self._instant(episode, thread.start) >= NO_ANSWER:
                error = Answer({naming.ERROR: "no_answer"}, "no_answer", "no answer")
                last = episode.last
                episodes.end(episode, thread, last, error)

    def _tell_what_is_known(self) -> list[Span]:
        """Of a reign that ended: the trace is known, so nothing need be kept."""
        episode = self._memory.episode
        if episode is None or episode.ending is None or not episode.ended:
            return []
        return self._tell(episode)

    def _tell(self, episode: Episode) -> list[Span]:
        if not episode.ordinal:
            trace = trace_of(episode)
            episode.ordinal = self._memory.told.pop(trace, 0) + 1
            self._memory.told[trace] = episode.ordinal
            while len(self._memory.told) > MAXIMUM_TRACES:
                del self._memory.told[next(iter(self._memory.told))]
        spans = Teller(self.reporter, episode).spans(episode.ended)
        episode.ended = []
        return spans

    def _close(self, answer: Answer = Answer({})) -> list[Span]:
        """The episode is over."""
        episode = self._memory.episode
        if episode is None:
            return []
        self._memory.episode = None
        episodes.end_all(episode, answer)
        is_incident = episode.ending is not None or episode.incident is not None
        if not is_incident and episode.what in naming.QUIET:
            trace = trace_id(self.reporter.scope, trace_of(episode))
            if not is_sampled(trace, self._share):
                return []
        told = self._tell(episode)
        teller = Teller(self.reporter, episode)
        return [*told, teller.whole(self._memory.phase)]


def is_sampled(trace: TraceId, share: float) -> bool:
    """Whether this trace belongs to the share, as all who look at its id agree."""
    return int(trace[16:], 16) < share * 2**64


def _nanos(seconds: Seconds) -> int:
    return round(seconds * 1e9)


def _exit_attributes(exited: pg.PostmasterExited) -> Attributes:
    found: Attributes = {naming.PID: exited.pid}
    if exited.exit_status is not None:
        found[naming.EXIT_CODE] = exited.exit_status
    if exited.signal is not None:
        found["regnal.postgres.signal"] = exited.signal
    return found


def _is_due(request: FailoverRequest, wall_us: int) -> bool:
    if request.scheduled_at is None:
        return True
    try:
        due = datetime.fromisoformat(request.scheduled_at)
    except ValueError:
        return False
    return due.tzinfo is not None and due.timestamp() <= wall_us / 1e6
