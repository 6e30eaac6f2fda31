"""The bridge to the configuration: files, environment, dynamic configuration.

What can be used is handed to the other bridges first and then told to the
actors, so that no command finds its bridge behind its actor.
"""

import logging
import queue
import threading
from collections.abc import Callable
from typing import Literal

from regnal.bridges.contract import Voice
from regnal.bridges.postgres.options import PostgresOptions
from regnal.configuration.problems import ConfigurationError
from regnal.configuration.source import ConfigurationSource, Effective
from regnal.messages.base import Command, Message
from regnal.messages.envelope import Envelope, PartName
from regnal.messages.settings import (
    ApplyDynamicConfiguration,
    ConfigurationApplied,
    ConfigurationRejected,
    KeepDynamicCopy,
    ReloadConfiguration,
)
from regnal.runtime.options import postgres_options

logger = logging.getLogger(__name__)

Reconfigure = Callable[[Effective], None]


class ConfigurationBridge:
    """See `bridges.contract.Bridge`."""

    name: PartName = "configuration_files"
    performs: tuple[type[Command], ...] = (
        ReloadConfiguration,
        ApplyDynamicConfiguration,
        KeepDynamicCopy,
    )

    def __init__(
        self,
        source: ConfigurationSource,
        effective: Effective,
        voice: Voice,
        reconfigure: Reconfigure,
    ) -> None:
        self._source = source
        self._voice = voice
        self._reconfigure = reconfigure
        self._effective = effective
        self._postgres: PostgresOptions | None = None
        self._orders: queue.SimpleQueue[Envelope[Command] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._run, name="configuration", daemon=True
        )

    def start(self) -> None:
        self._apply(self._effective, None, forced=False)
        self._thread.start()

    def stop(self) -> None:
        self._orders.put(None)
        self._thread.join()

    def perform(self, envelope: Envelope[Command]) -> None:
        self._orders.put(envelope)

    def _run(self) -> None:
        while (order := self._orders.get()) is not None:
            self._perform(order)

    def _perform(self, order: Envelope[Command]) -> None:
        source: Literal["file", "dynamic"]
        if isinstance(order.message, KeepDynamicCopy):
            self._source.keep_copy()
            return
        match order.message:
            case ReloadConfiguration():
                source, load = "file", self._source.reload
            case ApplyDynamicConfiguration(document=document):
                source, load = "dynamic", lambda: self._source.with_dynamic(document)
            case _:
                raise AssertionError(order.message)
        try:
            effective = load()
        except ConfigurationError as error:
            logger.error(
                "The new configuration is not used, the old one stays: %s", error
            )
            self._voice.say(
                ConfigurationRejected(source=source, error=str(error)), order
            )
            return
        # A reload always reaches PostgreSQL: other files of it may have been
        # edited (CFG-14).
        self._apply(effective, order, forced=source == "file")

    def _apply(
        self, effective: Effective, cause: Envelope[Message] | None, *, forced: bool
    ) -> None:
        for warning in effective.warnings:
            if warning not in self._effective.warnings or cause is None:
                logger.warning("%s", warning)
        options = postgres_options(effective)
        changed = self._postgres is not None and options != self._postgres
        self._postgres = options
        self._effective = effective
        self._reconfigure(effective)
        self._voice.say(
            ConfigurationApplied(
                settings=effective.settings,
                document=effective.masked,
                postgres_changed=changed or forced,
                dynamic=effective.dynamic,
            ),
            cause,
        )
