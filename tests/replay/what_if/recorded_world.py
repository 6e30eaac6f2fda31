"""A simulated cluster whose members write journals, as daemons do.

world = RecordedWorld(tmp_path, ("pg1", "pg2", "pg3"), ttl=30)
world.start()
world.run(60)
world.close()                   # tmp_path/pg1, tmp_path/pg2, ...
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from regnal.actors.cast import DECIDERS
from regnal.actors.step import Decider
from regnal.configuration.merging import merge
from regnal.journal.entries import message_entry, step_entry
from regnal.journal.ledger import Identity, Ledger
from regnal.journal.options import JournalOptions
from regnal.messages.base import Command, MemberName, Message
from regnal.messages.envelope import Envelope
from regnal.messages.settings import ConfigurationApplied, Settings
from regnal.replay.simulation.member import Daemon, SimulatedMember
from regnal.replay.simulation.world import World

DYNAMIC = (
    "ttl",
    "loop_wait",
    "retry_timeout",
    "maximum_lag_on_failover",
    "synchronous_mode",
    "synchronous_mode_strict",
    "failsafe_mode",
    "primary_start_timeout",
)


class RecordedMember(SimulatedMember):
    """A host whose daemon keeps a journal."""

    directory: Path
    ledger: Ledger | None = None

    def start(self) -> Daemon:
        daemon = super().start()
        identity = Identity(self.name, "demo", (("regnal", "0.1.0"),), "boot")
        self.directory.mkdir(parents=True, exist_ok=True)
        self.ledger = Ledger(
            self.directory, identity, daemon.stamper, DECIDERS, JournalOptions()
        )
        self.ledger.open()
        return daemon

    def kill(self) -> None:
        super().kill()
        self.close()

    def close(self) -> None:
        if self.ledger is not None:
            self.ledger.release()
            self.ledger.write()
            self.ledger.close()
            self.ledger = None

    def say(
        self,
        daemon: Daemon,
        part: str,
        message: Message,
        cause: Envelope[Message] | None = None,
    ) -> None:
        # The daemon's bridge has another name than the actor.
        part = "configuration_files" if part == "configuration" else part
        super().say(daemon, part, message, cause)

    def _deliver(self, daemon: Daemon, envelope: Envelope[Message]) -> None:
        if envelope.said_by not in daemon.states and self.ledger is not None:
            self.ledger.enter(message_entry(envelope))
        super()._deliver(daemon, envelope)

    def _hear(
        self, daemon: Daemon, decider: Decider[Any], envelope: Envelope[Message]
    ) -> None:
        if not daemon.alive:
            return
        if daemon.frozen:
            daemon.backlog.append(lambda: self._hear(daemon, decider, envelope))
            return
        step = decider.handle(daemon.states[decider.name], envelope)
        daemon.states[decider.name] = step.state
        said = [
            daemon.stamper.envelope(
                message, said_by=decider.name, cause=envelope, trace=None
            )
            for message in step.said
        ]
        stamp = daemon.stamper.stamp(), self._scheduler.now
        assert self.ledger is not None
        self.ledger.enter(step_entry(decider.name, envelope, step, said, stamp))
        for one in said:
            self._deliver(daemon, one)
            if isinstance(one.message, Command):
                self._order(daemon, one)  # type: ignore[arg-type]


class RecordedWorld(World):
    """The world, with a journal in `directory` for each member."""

    def __init__(
        self, directory: Path, names: Sequence[MemberName], **settings: Any
    ) -> None:
        super().__init__(names, DECIDERS, **settings)
        members = {}
        for name in names:
            member = RecordedMember(name, self.scheduler, DECIDERS, self._perform)
            member.directory = directory / name
            members[name] = member
        self.members = members  # type: ignore[assignment]

    def close(self) -> None:
        for member in self.members.values():
            assert isinstance(member, RecordedMember)
            member.close()

    def _configuration(self, name: MemberName) -> ConfigurationApplied:
        settings = self.settings_of(name)
        return ConfigurationApplied(
            settings=settings,
            document=json.dumps(document_of(settings)),
            postgres_changed=False,
            dynamic=None,
        )


def document_of(settings: Settings) -> dict[str, Any]:
    """A configuration of which these settings are made."""
    dynamic = {name: getattr(settings, name) for name in DYNAMIC}
    local = {
        "name": settings.name,
        "scope": settings.scope,
        "restapi": {"listen": f"{settings.name}:8008"},
        "postgresql": {
            "listen": f"{settings.name}:5432",
            "data_dir": "/data",
            "use_pg_rewind": settings.use_pg_rewind,
        },
    }
    return merge(dynamic, local)
