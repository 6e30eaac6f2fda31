"""Writes the journals of simulated members, as their daemons would.

    Recorder(directory / name, name, scope, deciders)

so that whatever reads journals (`regnal explain`, `regnal replay verify`) reads those
of a simulation, too.  Same run, same bytes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from regnal.actors.step import Decider, Step
from regnal.journal.entries import Entry, message_entry, step_entry
from regnal.journal.ledger import Identity, Ledger
from regnal.journal.options import MEBIBYTE, JournalOptions
from regnal.journal.stamps import Stamper
from regnal.messages.base import MemberName, Message
from regnal.messages.envelope import Envelope, PartName

OPTIONS = JournalOptions(quiet_bytes=1024 * MEBIBYTE)
"""Nothing is left out of a quiet stretch: a simulated one is short."""

VERSIONS = (("regnal", "simulated"),)


class Recorder:
    """The journal of one member, over all incarnations of its daemon."""

    def __init__(
        self,
        directory: Path,
        member: MemberName,
        scope: str,
        deciders: Sequence[Decider[Any]],
    ) -> None:
        self._directory = directory
        self._member = member
        self._scope = scope
        self._deciders = deciders
        self._ledger: Ledger | None = None
        self._stamper: Stamper | None = None

    def begin(self, stamper: Stamper, boot_id: str) -> None:
        """A new incarnation writes.  Raises OSError."""
        self._directory.mkdir(parents=True, exist_ok=True)
        identity = Identity(self._member, self._scope, VERSIONS, boot_id)
        self._stamper = stamper
        self._ledger = Ledger(
            self._directory, identity, stamper, self._deciders, OPTIONS
        )
        self._ledger.open()

    def message(self, envelope: Envelope[Message]) -> None:
        self._enter(message_entry(envelope))

    def step(
        self,
        actor: PartName,
        heard: Envelope[Message],
        step: Step[Any],
        said: Sequence[Envelope[Message]],
    ) -> None:
        assert self._stamper is not None
        if said:
            stamp = said[0].hlc, said[0].at
        else:
            stamp = self._stamper.stamp(), self._stamper.clocks.boot()
        self._enter(step_entry(actor, heard, step, said, stamp))

    def end(self, *, orderly: bool) -> None:
        """The daemon is gone.  One that was killed seals nothing; what it held back is
        in its quiet file.  Raises OSError."""
        ledger, self._ledger = self._ledger, None
        if ledger is None:
            return
        if orderly:
            ledger.close()
        elif ledger.file is not None:
            ledger.file.close()

    def close(self) -> None:
        """The run is over: the journal ends as one that is read while its daemon writes
        on, since nobody stopped it."""
        self.end(orderly=False)

    def _enter(self, entry: Entry) -> None:
        if self._ledger is not None:
            self._ledger.enter(entry)
            self._ledger.tick()
