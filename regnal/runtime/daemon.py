"""The daemon: every part, joined.

    configuration -> journal -> bus -> actors and bridges -> start

This is the only place where the parts know of each other.
"""

import importlib.metadata
import logging
import os
import platform
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from regnal.actors.cast import DECIDERS
from regnal.actors.postgres_supervisor import POSTGRES_SUPERVISOR
from regnal.actors.shell import Shell
from regnal.bridges.contract import Bridge
from regnal.bridges.dcs.bridge import DcsBridge
from regnal.bridges.dcs.contract import Store, StoreDenied, StoreUnavailable
from regnal.bridges.dcs.open import open_store
from regnal.bridges.guard.bridge import GuardBridge
from regnal.bridges.http.bridge import HttpBridge
from regnal.bridges.http.explaining import Question as Asked
from regnal.bridges.http.explaining import Told
from regnal.bridges.http.prober import is_alive
from regnal.bridges.metric import Measured
from regnal.bridges.postgres.bridge import PostgresBridge
from regnal.bridges.watchdog.bridge import WatchdogBridge
from regnal.bridges.watchdog.last_reset import last_reset
from regnal.configuration.logs import LogSystem, log_options
from regnal.configuration.source import ConfigurationSource, Effective
from regnal.journal.ledger import Identity
from regnal.journal.serving import ServedJournal
from regnal.journal.stamps import boot_clock, wall_clock
from regnal.journal.writer import JournalWriter
from regnal.messages.daemon import DaemonStarted, ShutdownCompleted
from regnal.messages.incidents import IncidentsRecalled
from regnal.messages.operations import DemotePostgres
from regnal.messages.reasons import because
from regnal.runtime.bus import Bus
from regnal.runtime.configuration_bridge import ConfigurationBridge
from regnal.runtime.deferred import DeferredEvents, metrics_senders_of, publishers_of
from regnal.runtime.explaining import Explainer, Question, earlier, http_status
from regnal.runtime.incident_keeper import IncidentKeeper
from regnal.runtime.journal_witness import JournalWitness
from regnal.runtime.narrator import Narrator
from regnal.runtime.options import (
    ctl_options,
    dcs_options,
    journal_options,
    postgres_options,
    rest_options,
)
from regnal.runtime.other_clocks import OtherClocks
from regnal.runtime.process_bridge import ProcessBridge
from regnal.runtime.publisher import Publisher, Publishing
from regnal.runtime.publishing_metrics import measured
from regnal.runtime.recalling import Here, recall
from regnal.runtime.service_manager import ServiceManager
from regnal.runtime.stalls import StallWatch
from regnal.runtime.timers import Timers

logger = logging.getLogger(__name__)

GUARD_RECORD = "guard.jsonl"
"""The guard's own small journal, in the journal's directory."""

FIRST_LOOK = 3.0
"""Seconds that the start waits for the store, to see whether our name is free."""

SWITCH_INTERVAL = 0.001
"""Seconds after which a busy thread lets another one run; Python's default of 5 ms
would add up over the threads that a failover passes through."""


class Refused(Exception):
    """The daemon must not run: the store rejects it, or its name is taken."""


class Daemon:
    """One incarnation of the daemon of one member."""

    def __init__(
        self,
        source: ConfigurationSource,
        effective: Effective,
        logs: LogSystem,
        service_manager: ServiceManager,
    ) -> None:
        """Opens the journal and makes all parts; starts nothing yet.

        Raises JournalUnusable, UnusableOptions, StoreMisconfigured: each with one
        line for the operator.
        """
        self._service_manager = service_manager
        self._logs = logs
        self._arena_max = os.environ.get("PG_MALLOC_ARENA_MAX")
        self._client = ctl_options(effective)
        self._settings = effective.settings
        self._journal = open_journal(effective)
        self._clocks = OtherClocks(self._journal.stamper)
        self._bus = Bus(self._journal, self._journal.stamper, self._clocks)
        self._journal_directory = journal_options(effective).directory
        self._explainer = Explainer(self._journal_directory)
        self._explainer.reconfigure(effective.settings.api_url, self._client)
        self._process = ProcessBridge(self._bus.voice("process"))
        self._publishers = self._make_publishers(effective)
        self._metrics_senders = metrics_senders_of(
            effective,
            (self._settings.scope, self._settings.name),
            lambda: self._http.measured(),
        )
        self._postgres = PostgresBridge(
            postgres_options(effective, self._arena_max),
            self._bus.voice("postgres"),
            boot_clock,
        )
        self._http = self._make_http(effective)
        self._store = self._open_store(effective)
        self._dcs = DcsBridge(self._store, self._bus.voice("dcs"), boot_clock)
        self._bridges: tuple[Bridge, ...] = (
            *self._publishers,  # stopped last: they tell of the end, too
            *self._metrics_senders,
            IncidentKeeper(
                self._bus.voice(IncidentKeeper.name),
                self._journal.pins,
                self._recall,
                self._explainer,
            ),
            Timers(self._bus.voice("timers"), boot_clock),
            StallWatch(self._bus.voice("host"), self._bus.mailboxes),
            JournalWitness(self._bus.voice("journal"), self._journal.keep),
            self._process,
            self._http,
            self._postgres,
            self._dcs,
            GuardBridge(
                postgres_options(effective).data_dir,
                self._journal_directory / GUARD_RECORD,
                self._bus.voice("guard"),
                boot_clock,
            ),
            WatchdogBridge(self._bus.voice("watchdog_device")),
            ConfigurationBridge(
                source,
                effective,
                self._bus.voice("configuration_files"),
                self._reconfigure,
            ),
        )
        self._shells: list[Any] = []

    def run(self) -> int:
        """Run until the end; returns the exit status.

        Raises Refused before anything is started.
        """
        self._refuse_a_second_of_our_name()
        sys.setswitchinterval(SWITCH_INTERVAL)
        self._bus.listen(Narrator(self._settings.name))
        self._bus.escalate = self._demote_for_a_broken_actor
        self._start_actors()
        for bridge in self._bridges:
            self._bus.attach(bridge)
        self._bus.connect(
            "process", (ShutdownCompleted,), self._process, takes_steps=False
        )
        self._say_who_we_are()
        for bridge in self._bridges:
            bridge.start()
        self._service_manager.ready()
        end = self._process.wait_for_the_end(self._service_manager.stopping)
        if end.message:
            logger.critical("%s", end.message)
        self._stop()
        return end.status

    def _refuse_a_second_of_our_name(self) -> None:
        """P-ELEC-14.  A store that does not answer yet is waited for by the actors,
        not here: PostgreSQL must be looked after meanwhile."""
        try:
            view = self._store.read(boot_clock() + FIRST_LOOK)
        except StoreDenied as error:
            raise Refused(f"the DCS does not let us in: {error}") from error
        except StoreUnavailable:
            return
        own = view.member(self._settings.name)
        if own is not None and own.api_url and is_alive(own.api_url, self._client):
            raise Refused(
                f"name: a member {own.name!r} of the cluster {self._settings.scope!r} "
                f"runs already and answers at {own.api_url}; give each member a name "
                "of its own"
            )

    def _start_actors(self) -> None:
        for decider in DECIDERS:
            shell: Any = Shell.start(decider, self._settings.name, self._bus)
            self._bus.connect(decider.name, decider.hears, shell)
            self._shells.append(shell)

    def _say_who_we_are(self) -> None:
        stamper = self._journal.stamper
        self._bus.say(
            "process",
            DaemonStarted(
                member=self._settings.name,
                scope=self._settings.scope,
                incarnation=stamper.incarnation,
                versions=versions(),
                boot_id=boot_id(),
                pid=os.getpid(),
                last_reset=last_reset(),
            ),
            None,
        )

    def _stop(self) -> None:
        """End the parts, those that hear from outside first."""
        for publisher in self._publishers:
            publisher.finish()  # all at once: one after the other they would take long
        for bridge in reversed(self._bridges):
            bridge.stop()
        for shell in self._shells:
            shell.stop(block=False)
        self._journal.close()

    def _reconfigure(self, effective: Effective) -> None:
        self._logs.configure(log_options(effective.document))
        self._postgres.reconfigure(postgres_options(effective, self._arena_max))
        client = ctl_options(effective)
        self._http.reconfigure(rest_options(effective), client)
        self._explainer.reconfigure(effective.settings.api_url, client)

    def _demote_for_a_broken_actor(self, actor: str) -> None:
        """An actor fails on message after message: better no primary than one that
        nobody looks after."""
        if actor == POSTGRES_SUPERVISOR.name:
            self._process.give_up(f"actor {actor} fails again and again")
            return
        self._bus.say(
            "process",
            DemotePostgres(
                mode="immediate", reason=because("ACTOR_BROKEN", actor=actor)
            ),
            None,
        )

    def _make_publishers(self, effective: Effective) -> tuple[Publisher[Any], ...]:
        whose = (self._settings.scope, self._settings.name)
        return publishers_of(effective, whose, self._journal_directory, self._journal)

    def _make_http(self, effective: Effective) -> HttpBridge:
        stamper = self._journal.stamper
        return HttpBridge(
            member=self._settings.name,
            scope=self._settings.scope,
            incarnation=stamper.incarnation,
            peer_version=self._settings.version,
            options=rest_options(effective),
            client=ctl_options(effective),
            voice=self._bus.voice("http"),
            clock=boot_clock,
            hybrid_clock=self._clocks,
            journal=ServedJournal(
                self._journal_directory,
                self._journal.wait_beyond,
                wall_clock,
                "regnal " + importlib.metadata.version("regnal"),
            ),
            explain=self._tell,
            events=DeferredEvents(
                self._journal_directory,
                (self._settings.scope, self._settings.name),
                lambda: self._journal.head.number,
                self._journal.wait_beyond,
            ),
            more_metrics=self._measure_publishers if self._publishing else None,
            ask_postgres=self._postgres.takes_writes,
        )

    def _recall(self) -> IncidentsRecalled:
        here = Here(
            incarnation=self._journal.stamper.incarnation,
            boot=boot_id(),
            now=boot_clock(),
            wall=wall_clock() / 1e6,
        )
        return recall(self._journal_directory, here)

    def _tell(self, asked: Asked, dropped: threading.Event) -> Told:
        """For a client of the REST API, who does not wait for another explanation."""
        since = None if asked.since is None else earlier(asked.since)
        question = Question(asked.incident, asked.form, since)
        explained = self._explainer.explain(question, dropped, waits=False)
        return Told(
            http_status(explained), explained.output or explained.error.encode()
        )

    def _measure_publishers(self) -> Sequence[Measured]:
        return measured(self._publishing)

    @property
    def _publishing(self) -> Sequence[Publishing]:
        return (*self._publishers, *self._metrics_senders)

    def _open_store(self, effective: Effective) -> Store:
        where = dcs_options(effective)
        return open_store(
            where.section,
            where.options,
            namespace=where.namespace,
            scope=where.scope,
            member=self._settings.name,
            ttl=self._settings.ttl,
        )


def open_journal(effective: Effective) -> JournalWriter:
    """The journal of this member, in the place that the configuration names."""
    place = journal_options(effective)
    return JournalWriter(
        place.directory,
        Identity(
            member=effective.settings.name,
            scope=effective.settings.scope,
            versions=versions(),
            boot_id=boot_id(),
        ),
        DECIDERS,
        place.options,
    )


def versions() -> tuple[tuple[str, str], ...]:
    """Of what matters to a replay."""
    return (
        ("regnal", importlib.metadata.version("regnal")),
        ("python", platform.python_version()),
        ("kernel", platform.release()),
        ("pykka", importlib.metadata.version("pykka")),
    )


def boot_id() -> str:
    """Of this boot of the host; instants compare only within one."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
