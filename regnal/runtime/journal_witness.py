"""Asking for witnesses: our journal's head is told now and then, for the member key.

The other members journal what they see of our key.  So their journals show whether
the end of ours was cut off, or all of it written anew.
"""

import threading
from collections.abc import Callable

from regnal.bridges.contract import Voice
from regnal.journal.ledger import Head
from regnal.messages.base import Command, Seconds
from regnal.messages.daemon import JournalKept
from regnal.messages.envelope import Envelope, PartName

WITNESS_EVERY: Seconds = 300.0
"""What a forger may cut off unseen; each time costs a write of our key, and on every
member an observation that is not kept."""


class JournalWitness:
    """See `bridges.contract.Bridge`."""

    name: PartName = "journal"
    performs: tuple[type[Command], ...] = ()

    def __init__(
        self,
        voice: Voice,
        keep: Callable[[], Head | None],
        every: Seconds = WITNESS_EVERY,
    ) -> None:
        """`keep` is that of the journal's writer: only what is on the disk may be
        witnessed, or a failure of the power would look like forgery."""
        self._voice = voice
        self._keep = keep
        self._every = every
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="journal-witness", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def perform(self, envelope: Envelope[Command]) -> None:
        raise AssertionError(envelope.message)

    def _run(self) -> None:
        last: Head | None = None
        while True:
            head = self._keep()
            if head is not None and head != last:
                self._voice.say(JournalKept(head=str(head)))
                last = head
            if self._stopping.wait(self._every):
                return
