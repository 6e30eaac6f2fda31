"""Which postmaster is the one that runs: a late word of another must not be taken for its.

The end of a postmaster is told when its children are gone, too.  By then PostgreSQL may
have been started again; and an observation may be older than a start.
"""

from dataclasses import dataclass

from regnal.messages.base import Message
from regnal.messages.frozen import replace
from regnal.messages.postgres import (
    PostgresObserved,
    PostgresStarted,
    PostmasterExited,
)


@dataclass(frozen=True, slots=True)
class Postmaster:
    """The postmaster of this member, as far as an actor has heard."""

    pid: int | None = None
    """None: none has been seen since the last one ended."""

    former: int | None = None
    """Of the one before, which is gone whether its end was told or not: a data
    directory has one at a time."""

    def is_late(self, message: Message) -> bool:
        """Whether this is the end of one before: what was started since runs on."""
        if not isinstance(message, PostmasterExited):
            return False
        return message.pid == self.former or self.pid not in (None, message.pid)


def heard_of(postmaster: Postmaster, message: Message) -> Postmaster:
    """What is known of the postmaster after the message."""
    match message:
        case PostgresStarted(postmaster_pid=pid):
            return _succeeded(postmaster, pid)
        case PostgresObserved(status=status):
            running = status.postmaster_pid
            if running is None or running == postmaster.former:
                return postmaster
            return _succeeded(postmaster, running)
        case PostmasterExited(pid=pid) if not postmaster.is_late(message):
            return Postmaster(pid=None, former=pid)
        case _:
            return postmaster


def _succeeded(postmaster: Postmaster, pid: int) -> Postmaster:
    if pid == postmaster.pid:
        return postmaster
    return replace(postmaster, pid=pid, former=postmaster.pid or postmaster.former)
