"""The way to a broken law as journals, as the daemons on it would have written them.

    write_journals(world, report, directory)

In the model it is always the same moment, and what a daemon does is worked out once.  Here
the same messages come at their own moments to the same deciders, which write what they do:
so `regnal explain` tells the story, and `regnal replay verify` finds nothing else.
"""

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from regnal.actors.step import Decider
from regnal.journal.stamps import Clocks, Microseconds, Stamper
from regnal.messages.base import Instant, MemberName, Message, Seconds
from regnal.messages.daemon import DaemonStarted
from regnal.messages.envelope import Envelope, PartName
from regnal.messages.timers import SetTimer, TimerFired
from regnal.replay.model.daemon import CAST
from regnal.replay.model.explore import Report, beginning
from regnal.replay.model.scene import Begins, Ends, Hears, Passes, Serves, Witnessed
from regnal.replay.model.story import taken
from regnal.replay.model.values import NOW, moved
from regnal.replay.model.world import World
from regnal.replay.model.worlds import NamedWorld
from regnal.replay.simulation.recording import VERSIONS, Recorder

SCOPE = "model"
BEGIN_US: Microseconds = 1_767_225_600_000_000
"""The beginning of 2026: any moment would do."""

MOVE_US: Microseconds = 100
"""By so much each move is later on the wall clock than the one before it: time passes only
between moves, and readers of journals want to know the order."""

SAID_BY: dict[str, PartName] = {
    "cluster": "dcs",
    "daemon": "process",
    "fencing": "guard",
    "lease": "dcs",
    "operations": "operator",
    "postgres": "operator",
    "probes": "prober",
    "settings": "configuration_files",
    "timers": "timers",
}
"""The bridge that says what the module of this name has."""

MONITOR = ("postgres_observed", "postmaster_exited", "replication_ended")


def write_journals(
    world: NamedWorld,
    report: Report,
    directory: Path,
    cast: Sequence[Decider[Any]] = CAST,
) -> None:
    """One below `directory` for each member, from the first start of its daemon to the
    broken law.  Raises OSError."""
    model = World(world.bounds, cast)
    company = Company(world, cast, directory)
    model.around.witness = company.witness
    try:
        state = beginning(model, world.begins)
        for move in report.path:
            state = taken(model, state, move).after
    finally:
        company.close()


class Company:
    """The daemons of all members, as they were on the way."""

    def __init__(
        self, world: NamedWorld, cast: Sequence[Decider[Any]], directory: Path
    ) -> None:
        self._passed: Seconds = 0
        self._moves = 0
        clocks = Clocks(wall=self._wall, boot=self._boot)
        self._members = [
            RecordedDaemon(
                name,
                Recorder(directory / name, name, SCOPE, cast),
                cast,
                clocks,
                interleaved=world.bounds.interleaved,
            )
            for name in world.bounds.names
        ]

    def witness(self, witnessed: Sequence[Witnessed]) -> None:
        """What happened to whom in one move."""
        self._moves += 1
        for one in witnessed:
            match one:
                case Passes(seconds=seconds):
                    self._passed += seconds
                case Begins(member=index):
                    self._members[index].begin()
                case Ends(member=index):
                    self._members[index].end()
                case Hears(member=index, message=message):
                    self._members[index].hear(moved(message, -self._passed))
                case Serves(member=index, actor=actor):
                    self._members[index].serve(actor)

    def close(self) -> None:
        for member in self._members:
            member.end()

    def _wall(self) -> Microseconds:
        return BEGIN_US + int(self._passed) * 1_000_000 + self._moves * MOVE_US

    def _boot(self) -> Instant:
        return NOW + self._passed


class RecordedDaemon:
    """The deciders of one member, in the order in which the model lets them hear."""

    def __init__(
        self,
        name: MemberName,
        recorder: Recorder,
        cast: Sequence[Decider[Any]],
        clocks: Clocks,
        *,
        interleaved: bool,
    ) -> None:
        self._name = name
        self._recorder = recorder
        self._cast = cast
        self._clocks = clocks
        self._interleaved = interleaved
        self._incarnation = 0
        self._runs = False
        self._stamper = Stamper(name, 0, clocks)
        self._states: list[Any] = []
        self._boxes: list[deque[Envelope[Message]]] = []
        self._timers: dict[str, Envelope[Message]] = {}

    def begin(self) -> None:
        self._incarnation += 1
        self._runs = True
        self._stamper = Stamper(self._name, self._incarnation, self._clocks)
        self._states = [decider.initial(self._name) for decider in self._cast]
        self._boxes = [deque() for _ in self._cast]
        self._timers = {}
        self._recorder.begin(self._stamper, f"model-{self._name}")
        started = DaemonStarted(
            member=self._name,
            scope=SCOPE,
            incarnation=self._incarnation,
            versions=VERSIONS,
            boot_id=f"model-{self._name}",
            pid=self._incarnation,
        )
        self._recorder.message(self._envelope(started, None))

    def end(self) -> None:
        """Killed, whatever it was: the journal is not sealed."""
        if self._runs:
            self._recorder.end(orderly=False)
        self._runs = False

    def hear(self, message: Message) -> None:
        """A bridge says it."""
        cause = None
        if isinstance(message, TimerFired):
            cause = self._timers.pop(message.name, None)
        envelope = self._envelope(message, cause)
        self._recorder.message(envelope)
        if self._interleaved:
            self._deliver(envelope)
            return
        waiting = deque([envelope])
        while waiting:
            heard = waiting.popleft()
            for actor, decider in enumerate(self._cast):
                if isinstance(heard.message, decider.hears):
                    waiting += self._step(actor, heard)

    def serve(self, actor: int) -> None:
        """This actor hears what is first in its mailbox."""
        for said in self._step(actor, self._boxes[actor].popleft()):
            self._deliver(said)

    def _deliver(self, envelope: Envelope[Message]) -> None:
        for decider, box in zip(self._cast, self._boxes, strict=True):
            if isinstance(envelope.message, decider.hears):
                box.append(envelope)

    def _step(self, actor: int, heard: Envelope[Message]) -> list[Envelope[Message]]:
        decider = self._cast[actor]
        step = decider.handle(self._states[actor], heard)
        self._states[actor] = step.state
        trace = heard.trace
        if trace is None and not all(message.routine for message in step.said):
            trace = heard.id
        said = [
            self._stamper.envelope(
                message, said_by=decider.name, cause=heard, trace=trace
            )
            for message in step.said
        ]
        self._recorder.step(decider.name, heard, step, said)
        for one in said:
            if isinstance(one.message, SetTimer):
                self._timers[one.message.name] = one
        return said

    def _envelope(
        self, message: Message, cause: Envelope[Message] | None
    ) -> Envelope[Message]:
        kind = type(message).model_fields["kind"].default
        subject = type(message).__module__.rpartition(".")[2]
        part = "monitor" if kind in MONITOR else SAID_BY.get(subject, subject)
        return self._stamper.envelope(message, said_by=part, cause=cause, trace=None)
