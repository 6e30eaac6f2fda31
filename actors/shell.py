"""The shell: the one pykka actor that runs every decider.

It takes an envelope from the mailbox, calls the decider, has the step recorded
and what was said sent (in that order, by the outlet), and goes on.  A decider
that raises loses that message and nothing else: pykka would end the actor for
good, since under `tell` nobody hears of the exception.
"""

from typing import Generic, Protocol, TypeVar

import pykka

from regnal.actors.step import Decider, Step
from regnal.messages.base import MemberName, Message
from regnal.messages.envelope import Envelope, PartName

S = TypeVar("S")


class Outlet(Protocol):
    """Where a shell's steps go."""

    def is_superseded(self, actor: PartName, heard: Envelope[Message]) -> bool:
        """Whether a newer observation of the same kind waits in the mailbox; then
        the journal has been told that this one is skipped."""
        ...

    def stepped(
        self, actor: PartName, heard: Envelope[Message], step: Step[object]
    ) -> None:
        """Record the step, then send what it says."""
        ...

    def failed(
        self,
        actor: PartName,
        heard: Envelope[Message],
        error: Exception,
        failures: int,
    ) -> None:
        """Record that the decider raised, for the `failures`th time in a row."""
        ...


class Shell(pykka.ThreadingActor, Generic[S]):
    """One decider with its mailbox and its thread."""

    use_daemon_thread = True

    def __init__(self, decider: Decider[S], member: MemberName, outlet: Outlet) -> None:
        super().__init__()
        self._decider = decider
        self._outlet = outlet
        self._state = decider.initial(member)
        self._failures = 0

    def on_receive(self, envelope: Envelope[Message]) -> S:
        """Hear one message.  The state is returned for those who `ask` (tests)."""
        name = self._decider.name
        if self._outlet.is_superseded(name, envelope):
            return self._state
        try:
            step = self._decider.handle(self._state, envelope)
        except Exception as error:  # noqa: BLE001 - the actor must outlive its mistakes
            self._failures += 1
            self._outlet.failed(name, envelope, error, self._failures)
            return self._state
        self._failures = 0
        self._state = step.state
        self._outlet.stepped(name, envelope, step)
        return self._state
