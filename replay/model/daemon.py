"""The daemon of a member in the model: the production deciders, unmodified.

What a daemon does depends on nothing but what it knows and what it hears, so that
the same happening to the same daemon is worked out once and remembered: different
orders of what happens to different members share it.
"""

from collections import deque
from collections.abc import Sequence
from math import ceil
from typing import Any, NamedTuple, TypeVar

from regnal.actors.dcs_watcher import DCS_WATCHER
from regnal.actors.election import ELECTION
from regnal.actors.postgres_supervisor import POSTGRES_SUPERVISOR
from regnal.actors.slot_manager import SLOT_MANAGER
from regnal.actors.step import Decider
from regnal.actors.sync_standby_manager import SYNC_STANDBY_MANAGER
from regnal.actors.watchdog import WATCHDOG
from regnal.messages.base import Command, MemberName, Message
from regnal.messages.daemon import ShutdownCompleted
from regnal.messages.envelope import Envelope, HybridTime
from regnal.messages.timers import CancelTimer, SetTimer, TimerFired
from regnal.replay.model.values import NOW, Token, Tokens, moved

T = TypeVar("T")

CAST: tuple[Decider[Any], ...] = (
    ELECTION,
    POSTGRES_SUPERVISOR,
    DCS_WATCHER,
    SYNC_STANDBY_MANAGER,
    SLOT_MANAGER,
    WATCHDOG,
)
"""Who decides about writes.  The others (configuration, REST, callbacks, incidents) are
left out: with the settings of the model nothing that these hear depends on them."""

STAMP = HybridTime(0, 0, "model")
"""Of every message: rules must not depend on it, and states are not to differ by it."""


class Mind(NamedTuple):
    """All that a daemon knows."""

    states: tuple[Any, ...]
    """Of its deciders, in the order of the cast."""

    boxes: tuple[tuple[Message, ...], ...]
    """Their mailboxes; empty, where deliveries are not interleaved."""

    timers: tuple[tuple[str, int], ...]
    """Name, and seconds until it fires."""


ORDERS = (Command, ShutdownCompleted)
"""What goes out of a daemon."""

Orders = tuple[Token[Message], ...]
Rules = tuple[tuple[str, str], ...]
"""Actor and rule of the steps in which something was said that is no routine."""

Heard = tuple[Token[Mind], Orders, Rules]
"""The daemon afterwards, what it orders, and why."""


class Daemons:
    """Works out what daemons do, each thing once."""

    def __init__(
        self, tokens: Tokens, cast: Sequence[Decider[Any]], *, interleaved: bool
    ) -> None:
        self._tokens = tokens
        self._cast = tuple(cast)
        self._interleaved = interleaved
        self._heard: dict[tuple[Token[Mind], Token[Message]], Any] = {}
        self._served: dict[tuple[Token[Mind], int], Any] = {}
        self._later: dict[tuple[Token[Mind], int], Token[Mind]] = {}
        self._values_later: dict[tuple[Token[Any], int], Token[Any]] = {}
        self.spoken: set[tuple[str, str]] = set()
        """Actor and rule: which of them the exploration has reached."""

    def new(self, member: MemberName) -> Token[Mind]:
        states = tuple(decider.initial(member) for decider in self._cast)
        return self._tokens.of(Mind(states, ((),) * len(self._cast), ()))

    def hear(self, mind: Token[Mind], message: Token[Message]) -> Heard:
        """A bridge says something; what the daemon then orders."""
        known = self._heard.get((mind, message))
        if known is None:
            known = self._heard[mind, message] = self._hear(mind.value, message.value)
        return known

    def serve(self, mind: Token[Mind], actor: int) -> Heard:
        """This actor hears the first message in its mailbox."""
        known = self._served.get((mind, actor))
        if known is None:
            known = self._served[mind, actor] = self._serve(mind.value, actor)
        return known

    def later(self, mind: Token[Mind], seconds: int) -> Token[Mind]:
        """The daemon after nothing but time has passed."""
        key = mind, seconds
        known = self._later.get(key)
        if known is None:
            states, boxes, timers = mind.value
            known = self._later[key] = self._tokens.of(
                Mind(
                    moved(states, seconds),
                    moved(boxes, seconds),
                    tuple((name, max(0, due - seconds)) for name, due in timers),
                )
            )
        return known

    def value_later(self, token: Token[T], seconds: int) -> Token[T]:
        """A message or a command after nothing but time has passed."""
        key = token, seconds
        known = self._values_later.get(key)
        if known is None:
            known = self._values_later[key] = self._tokens.of(
                moved(token.value, seconds)
            )
        return known

    def fire(self, mind: Token[Mind], name: str) -> Heard:
        """The timer of that name fires."""
        states, boxes, timers = mind.value
        left = tuple(timer for timer in timers if timer[0] != name)
        without = self._tokens.of(Mind(states, boxes, left))
        fired: Message = TimerFired(name=name, due_at=NOW)
        return self.hear(without, self._tokens.of(fired))

    def actor_name(self, actor: int) -> str:
        return self._cast[actor].name

    def _hear(self, mind: Mind, message: Message) -> Heard:
        boxes = self._delivered(mind.boxes, message)
        if self._interleaved:
            return self._tokens.of(mind._replace(boxes=boxes)), (), ()
        return self._run_to_completion(mind, message)

    def _run_to_completion(self, mind: Mind, message: Message) -> Heard:
        """Everybody hears everything in the order in which it was said."""
        orders: list[Message] = []
        rules: list[tuple[str, str]] = []
        waiting = deque([message])
        while waiting:
            heard = waiting.popleft()
            for actor, decider in enumerate(self._cast):
                if isinstance(heard, decider.hears):
                    mind, said = self._step(mind, actor, heard, rules)
                    waiting += said
                    orders += [one for one in said if isinstance(one, ORDERS)]
        return self._tokens.of(mind), self._orders(orders), tuple(rules)

    def _serve(self, mind: Mind, actor: int) -> Heard:
        box = mind.boxes[actor]
        mind = mind._replace(boxes=_with(mind.boxes, actor, box[1:]))
        rules: list[tuple[str, str]] = []
        mind, said = self._step(mind, actor, box[0], rules)
        boxes = mind.boxes
        for message in said:
            boxes = self._delivered(boxes, message)
        orders = [one for one in said if isinstance(one, ORDERS)]
        mind = mind._replace(boxes=boxes)
        return self._tokens.of(mind), self._orders(orders), tuple(rules)

    def _delivered(
        self, boxes: tuple[tuple[Message, ...], ...], message: Message
    ) -> tuple[tuple[Message, ...], ...]:
        return tuple(
            (*box, message) if isinstance(message, decider.hears) else box
            for box, decider in zip(boxes, self._cast, strict=True)
        )

    def _step(
        self,
        mind: Mind,
        actor: int,
        message: Message,
        rules: list[tuple[str, str]],
    ) -> tuple[Mind, list[Message]]:
        decider = self._cast[actor]
        envelope = Envelope(
            id="",
            hlc=STAMP,
            at=NOW,
            said_by="",
            cause=None,
            trace=None,
            message=message,
        )
        step = decider.handle(mind.states[actor], envelope)
        if step.rule is not None:
            self.spoken.add((decider.name, step.rule))
            if not all(one.routine for one in step.said):
                rules.append((decider.name, step.rule))
        timers, said = mind.timers, []
        for one in step.said:
            if isinstance(one, SetTimer):
                kept = (timer for timer in timers if timer[0] != one.name)
                due = max(0, ceil(one.at - NOW))
                timers = tuple(sorted((*kept, (one.name, due))))
            elif isinstance(one, CancelTimer):
                timers = tuple(timer for timer in timers if timer[0] != one.name)
            else:
                said.append(one)
        # As if time had not passed: what no longer makes a difference is forgotten.
        state = moved(step.state, 0)
        return Mind(_with(mind.states, actor, state), mind.boxes, timers), said

    def _orders(self, orders: Sequence[Message]) -> Orders:
        return tuple(self._tokens.of(order) for order in orders)


def _with(items: tuple[Any, ...], index: int, item: Any) -> tuple[Any, ...]:
    return (*items[:index], item, *items[index + 1 :])
