"""The bridge to the store: performs the commands, watches the keys.

Three threads, so that no slow thing holds up an urgent one: `watch` reports changes,
`lease` sees to the leader key and nothing else, `keys` to all other keys.
"""

import contextlib
import logging
import queue
import random
import threading
from collections.abc import Callable
from typing import cast, get_args

from regnal.bridges.contract import Clock, Voice
from regnal.bridges.dcs.clock import boottime
from regnal.bridges.dcs.contract import Store, StoreDenied, StoreUnavailable
from regnal.bridges.dcs.key_commands import (
    WriteCommand,
    key_of,
    perform_write,
    request_of,
)
from regnal.bridges.dcs.lease_commands import action_of, perform_lease_command
from regnal.messages.base import Command, Message, Seconds
from regnal.messages.cluster import (
    ClusterObserved,
    ClusterView,
    KeyUnconfirmed,
    StoreAnswered,
    StoreUnreachable,
)
from regnal.messages.envelope import Envelope, PartName
from regnal.messages.lease import LeaseCommand, LeaseUnconfirmed
from regnal.messages.store import KeyCommand, ReadCluster

logger = logging.getLogger(__name__)

QUEUE_LIMIT = 1000
"""Commands that may wait for one thread.  The actors send a handful a heartbeat, and
each ends at its deadline: more means that something is badly wrong."""

WATCH_PAUSE: Seconds = 0.5
"""Before the watch is tried again, less a random part, so that all members do not
come back to a store in trouble at the same moment."""

DENIED_PAUSE: Seconds = 5.0
"""The same after a refusal, which only a person can end."""

JOIN_LIMIT: Seconds = 2.0
"""For a thread to end at `stop`; one that hangs in the network is left behind."""

Order = Envelope[Command] | None
"""None: end the thread."""


class DcsBridge:
    def __init__(self, store: Store, voice: Voice, clock: Clock = boottime) -> None:
        self._store = store
        self._voice = voice
        self._clock = clock
        self._stopping = threading.Event()
        self._lease_orders: queue.Queue[Order] = queue.Queue(QUEUE_LIMIT)
        self._key_orders: queue.Queue[Order] = queue.Queue(QUEUE_LIMIT)
        self._saying = threading.Lock()
        """Guards what follows, and keeps what is said about it in order."""

        self._view: ClusterView | None = None
        self._is_reachable = True
        self._answered_at = clock()
        self._threads = (
            self._thread("dcs-watch", self._watch),
            self._thread("dcs-lease", self._see_to_lease),
            self._thread("dcs-keys", self._see_to_keys),
        )

    @property
    def name(self) -> PartName:
        return "dcs"

    @property
    def performs(self) -> tuple[type[Command], ...]:
        return (*get_args(LeaseCommand), *get_args(KeyCommand))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def perform(self, envelope: Envelope[Command]) -> None:
        is_lease = isinstance(envelope.message, LeaseCommand)
        orders = self._lease_orders if is_lease else self._key_orders
        try:
            orders.put_nowait(envelope)
        except queue.Full:
            self._give_up(envelope, "too many commands wait for the store")

    def stop(self) -> None:
        self._stopping.set()
        self._store.close()
        for orders in (self._lease_orders, self._key_orders):
            # If the queue is full, its thread finds `_stopping` set.
            with contextlib.suppress(queue.Full):
                orders.put_nowait(None)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout=JOIN_LIMIT)

    def _thread(self, name: str, target: Callable[[], None]) -> threading.Thread:
        return threading.Thread(target=target, name=name, daemon=True)

    def _watch(self) -> None:
        while not self._stopping.is_set():
            pause = WATCH_PAUSE
            try:
                self._store.watch(self._report)
            except StoreDenied as error:
                pause = DENIED_PAUSE
                self._note_silence(str(error))
            except StoreUnavailable as error:
                self._note_silence(str(error))
            except Exception:
                logger.exception("The watch of the store failed; it is started anew.")
            # No decision rests on this chance, it only spreads the load.
            self._stopping.wait(pause * random.uniform(0.2, 1))  # noqa: S311

    def _see_to_lease(self) -> None:
        self._serve(self._lease_orders, self._perform_lease)

    def _see_to_keys(self) -> None:
        self._serve(self._key_orders, self._perform_key)

    def _serve(
        self,
        orders: queue.Queue[Order],
        perform: Callable[[Envelope[Command]], None],
    ) -> None:
        while (envelope := orders.get()) is not None:
            if self._stopping.is_set():
                return
            try:
                perform(envelope)
            except Exception:
                logger.exception("A command to the store failed by our own mistake.")
                self._give_up(envelope, "failed by our own mistake; see the log")

    def _perform_lease(self, envelope: Envelope[Command]) -> None:
        command = cast(LeaseCommand, envelope.message)
        outcome = perform_lease_command(self._store, command, self._view, self._clock)
        if isinstance(outcome, LeaseUnconfirmed):
            self._note_silence(outcome.error)
        else:
            self._note_answer()
        self._voice.say(outcome, envelope)

    def _perform_key(self, envelope: Envelope[Command]) -> None:
        command = cast(KeyCommand, envelope.message)
        if isinstance(command, ReadCluster):
            self._read(command, envelope)
            return
        outcome = perform_write(self._store, command, self._view, self._clock)
        if isinstance(outcome, KeyUnconfirmed):
            self._note_silence(outcome.error)
        else:
            self._note_answer()
        self._voice.say(outcome, envelope)

    def _read(self, command: ReadCluster, envelope: Envelope[Command]) -> None:
        try:
            view = self._store.read(command.deadline)
        except StoreUnavailable as error:
            self._note_silence(str(error), envelope)
            return
        self._note_answer()
        with self._saying:
            self._view = view
            self._voice.say(ClusterObserved(view=view), envelope)

    def _give_up(self, envelope: Envelope[Command], error: str) -> None:
        """Answer that nothing is known: the order was not carried out, or failed."""
        command = envelope.message
        outcome: Message
        if isinstance(command, LeaseCommand):
            outcome = LeaseUnconfirmed(action=action_of(command), error=error)
        elif isinstance(command, ReadCluster):
            outcome = StoreUnreachable(error=error, unanswered_for=0.0)
        else:
            write = cast(WriteCommand, command)
            outcome = KeyUnconfirmed(
                key=key_of(write), error=error, request=request_of(write)
            )
        self._voice.say(outcome, envelope)

    def _report(self, view: ClusterView) -> None:
        self._note_answer()
        with self._saying:
            if view != self._view:
                self._view = view
                self._voice.say(ClusterObserved(view=view))

    def _note_answer(self) -> None:
        with self._saying:
            self._answered_at = self._clock()
            if not self._is_reachable:
                self._is_reachable = True
                self._voice.say(StoreAnswered())

    def _note_silence(self, error: str, cause: Envelope[Command] | None = None) -> None:
        """`cause` is answered in any case; else only the change is news."""
        with self._saying:
            if self._is_reachable or cause is not None:
                self._is_reachable = False
                silent_for = max(0.0, self._clock() - self._answered_at)
                self._voice.say(
                    StoreUnreachable(error=error, unanswered_for=silent_for), cause
                )
