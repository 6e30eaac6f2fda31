"""The envelope in which every message travels: who said it, when, and why."""

from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from regnal.messages.base import Instant, MemberName, Message

MessageId: TypeAlias = str
"""`<member>/<incarnation>/<number>`: unique without randomness."""

TraceId: TypeAlias = str
"""Names the incident or request that a chain of messages belongs to: the id of
the message that began it."""

PartName: TypeAlias = str
"""An actor or a bridge of this member, such as `election` or `dcs`."""

M = TypeVar("M", bound=Message, covariant=True)


@dataclass(frozen=True, slots=True, order=True)
class HybridTime:
    """A stamp of the hybrid logical clock (Kulkarni et al., 2014).

    Ordered as the events were where the events could know of each other,
    however wrong the wall clocks of the hosts are.
    """

    wall_us: int
    """Microseconds since 1970, the largest that this member has seen."""

    logical: int
    """Counts stamps that share `wall_us`."""

    member: MemberName


@dataclass(frozen=True, slots=True)
class Envelope(Generic[M]):
    """A message with its stamp."""

    id: MessageId
    hlc: HybridTime
    at: Instant
    said_by: PartName
    cause: MessageId | None
    """The message that made somebody say this one.  None: nothing inside this
    member did (a fact from outside, the start)."""

    trace: TraceId | None
    """None while nothing is going on."""

    message: M
    ahead_us: int = 0
    """How far `hlc` is ahead of our own wall clock: another member's clock is, or
    ours was set back."""

    @property
    def wall_us(self) -> int:
        """Microseconds since 1970 by our own wall clock; a schedule is compared with
        it and not with `hlc`, which follows the fastest clock of the cluster."""
        return self.hlc.wall_us - self.ahead_us
