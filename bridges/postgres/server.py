"""Our PostgreSQL as the threads of the bridge know it together.

Monitor, operator, tuner and exit watcher share this and nothing else.  Whoever
finds a postmaster tells here; whoever starts or stops one does, too.
"""

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

from regnal.bridges.postgres.connections import Session, connect, libpq_version
from regnal.bridges.postgres.conninfo import connect_parameters
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.postmaster import Postmaster, adopt, launch
from regnal.bridges.postgres.programs import CancelToken
from regnal.messages.base import Seconds
from regnal.messages.postgres import Upstream

Role = Literal["primary", "standby"]

BOOLEANS = {"on": "on", "true": "on", "yes": "on"} | dict.fromkeys(
    ("off", "false", "no"), "off"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Intent:
    """What the server was last told to be: what its configuration files say."""

    role: Role | None = None
    """None: nobody told it since we run."""

    upstream: Upstream | None = None
    synchronous_standby_names: str | None = None
    """None: not ours to set."""

    arguments: Mapping[str, str] = dataclasses.field(
        default_factory=lambda: MappingProxyType({})
    )
    """Settings of the server's command line as they should be at the next start."""

    def differing_arguments(self, actual: Mapping[str, str]) -> dict[str, object]:
        """Those that only a restart brings into force, with both values."""
        return {
            name: {"old_value": actual[name], "new_value": wanted}
            for name, wanted in self.arguments.items()
            if name in actual and _canonical(actual[name]) != _canonical(wanted)
        }


class Server:
    """Safe from any thread."""

    def __init__(self, options: PostgresOptions) -> None:
        self._lock = threading.Lock()
        self._options = options
        self._finding = threading.Lock()
        self._postmaster: Postmaster | None = None
        self._intent = Intent()
        self.writing = threading.Lock()
        """Held while the configuration files are written, and while a promotion
        goes on: the files of a standby, written just after it, would undo it."""

        self.telling = threading.Lock()
        """Held from the check that what is to be told of a standby is not from before the
        end of its promotion, until it is told."""

        self._promoted: Postmaster | None = None
        self._receiver_end_expected_until = 0.0

        self.on_postmaster: Callable[[Postmaster], None] = lambda _: None
        """Told of each postmaster that is new to us, in the thread that found it;
        it must not wait."""

    @property
    def options(self) -> PostgresOptions:
        with self._lock:
            return self._options

    def reconfigure(self, options: PostgresOptions) -> None:
        with self._lock:
            self._options = options

    @property
    def intent(self) -> Intent:
        with self._lock:
            return self._intent

    def intend(self, change: Callable[[Intent], Intent]) -> Intent:
        """Replace the intent by what `change` makes of it."""
        with self._lock:
            self._intent = change(self._intent)
            return self._intent

    def expect_receiver_end(self, seconds: Seconds) -> None:
        """The operator does what ends the WAL receiver, within that time; 0: no
        more."""
        self._receiver_end_expected_until = time.monotonic() + seconds

    @property
    def is_receiver_end_expected(self) -> bool:
        return time.monotonic() < self._receiver_end_expected_until

    def note_promotion(self) -> None:
        """The postmaster that runs has been promoted, which is not told yet."""
        postmaster = self.postmaster()
        with self.telling:
            self._promoted = postmaster

    def is_promoted(self, postmaster: Postmaster | None) -> bool:
        """Whether it was promoted since we run: then it is no standby any more."""
        return postmaster is not None and postmaster == self._promoted

    def postmaster(self) -> Postmaster | None:
        """The one that runs now, found anew if somebody else started it."""
        with self._finding:
            known = self._postmaster
            if known is not None and known.is_running:
                return known
            found = adopt(self.options.data_dir)
            return None if found is None else self._remember(found)

    def launch(self, arguments: tuple[str, ...]) -> Postmaster:
        """Start one.  Raises OperationError.

        Nobody else may find it first, by its pid file: who starts it is its parent,
        and alone learns how it ends.
        """
        with self._finding:
            return self._remember(launch(self.options, arguments))

    def _remember(self, postmaster: Postmaster) -> Postmaster:
        if postmaster == self._postmaster:
            return self._postmaster  # it has ended, and its pid file is still there
        self._postmaster = postmaster
        self.on_postmaster(postmaster)
        return postmaster

    def connect(
        self,
        application_name: str,
        *,
        statement_timeout: Seconds,
        timeout: Seconds,
        cancel: CancelToken | None = None,
        database: str | None = None,
        settings: str = "",
    ) -> Session:
        """A session at our own server.  Raises SessionFailed and Cancelled."""
        parameters = connect_parameters(
            self.options,
            libpq_version=libpq_version(),
            settings=f"-c statement_timeout={statement_timeout * 1000:.0f}"
            f" -c synchronous_commit=local -c datestyle=ISO {settings}",
        )
        if database is not None:
            parameters["dbname"] = database
        return connect(
            parameters,
            application_name=application_name,
            timeout=timeout,
            cancel=cancel,
        )


def _canonical(value: str) -> str:
    """Settings that mean the same are the same text."""
    lowered = value.strip().lower()
    return BOOLEANS.get(lowered, lowered)
