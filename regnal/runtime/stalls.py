"""The watch over the daemon itself: a thread that sleeps a little and looks at the clock.

Where it slept much longer than it should, the daemon did not run: stopped, starved,
suspended.  It says so, with what the kernel counted meanwhile, and decides nothing.
It also tells of a wall clock that was set, and of actors that do not get through.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from regnal.bridges.contract import Voice
from regnal.bridges.host.accounts import Accounts, Reading
from regnal.messages.base import Command, Instant, Seconds
from regnal.messages.envelope import Envelope, PartName
from regnal.messages.host import (
    ActorsLate,
    ClockStepped,
    MailboxAge,
    StallNoticed,
)

NAP: Seconds = 0.25
"""A nap with its look costs 80 microseconds of CPU, that is 0.02 s a minute."""

STALL: Seconds = 1.0
"""What is missing from a nap that is worth a word: a tenth of the shortest lease's
safety margin would do no harm, and a busy machine is late by tenths of a second."""

STEP: Seconds = 0.5
SLEW = 0.1
"""A wall clock that is off by more than STEP, and by more than this share of the time
since, was set.  NTP slews it by a twelfth of the time at most (chrony), mostly by far
less, and that is no step."""

READ: Seconds = 5.0
"""How often the kernel's counters are read, so that what they grew by during a stall
is not mixed with much of before; it costs more than a nap."""

CHECK: Seconds = 1.0
"""How often the mailboxes are looked at."""

LATE: Seconds = 2.0
"""A message that waits longer than that in a mailbox.  An actor needs milliseconds,
and waits half a second for a disk at most."""

SIGNAL_GRACE: Seconds = 0.02
"""After a stall: until the signal that ended it has been delivered."""

SIGNALS_KEPT = 65536
"""What the pipe holds."""

logger = logging.getLogger(__name__)

Mailboxes: TypeAlias = Callable[[], tuple[MailboxAge, ...]]
"""Those that are not empty."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """What the three clocks of the host show, in seconds."""

    boot: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME)
    monotonic: Callable[[], float] = time.monotonic
    """Stands still during suspend."""

    wall: Callable[[], float] = time.time


class Look(NamedTuple):
    """What is cheap enough to be looked at after every nap."""

    boot: Seconds
    monotonic: Seconds
    wall: Seconds
    ran: Seconds
    """CPU time of the daemon."""


def absence(before: Look, now: Look) -> Seconds:
    """How much longer than a nap passed between two looks, suspend included."""
    return now.boot - before.boot - NAP


def suspended(before: Look, now: Look) -> Seconds:
    passed = now.boot - before.boot
    return max(0.0, passed - (now.monotonic - before.monotonic))


def wall_step(before: Look, now: Look) -> Seconds:
    """By how much the wall clock moved against the others."""
    return (now.wall - before.wall) - (now.boot - before.boot)


def is_step(before: Look, now: Look) -> bool:
    """Whether the wall clock was set between two looks, and not only slewed."""
    passed = now.boot - before.boot
    return abs(wall_step(before, now)) > max(STEP, SLEW * passed)


@dataclass(slots=True)
class Baseline:
    """What the next look is compared with; moves on with it."""

    look: Look
    reading: Reading
    in_time: Look
    """The last one at which no actor was late."""

    checked_at: Instant
    """When the mailboxes were looked at last."""


class Lateness:
    """Which actors are late, and which of them were told of."""

    def __init__(self) -> None:
        self._told: dict[str, Seconds] = {}

    def news(self, ages: tuple[MailboxAge, ...]) -> tuple[MailboxAge, ...]:
        """The late ones, if one of them is late for the first time, or twice as late
        as when it was told; `ages` of all that are not in time."""
        self._told = {age.actor: self._told.get(age.actor, 0.0) for age in ages}
        if not any(age.oldest >= 2 * self._told[age.actor] for age in ages):
            return ()
        self._told = {age.actor: age.oldest for age in ages}
        return ages


class StallWatch:
    """See `bridges.contract.Bridge`."""

    name: PartName = "host"
    performs: tuple[type[Command], ...] = ()

    def __init__(
        self, voice: Voice, mailboxes: Mailboxes, clocks: Clocks | None = None
    ) -> None:
        self._voice = voice
        self._mailboxes = mailboxes
        self._clocks = clocks or Clocks()
        self._lateness = Lateness()
        self._signals, self._signal_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        """Every signal that Python handles, a byte each.  Its handlers run in the main
        thread, when that gets to it; this is told at once, whichever thread the
        kernel chose."""

        self._back_at: Instant = 0.0
        """The end of the last stall: nobody is late for what came before it."""

        # A lock to wait for: a nap then costs less than with an Event.
        self._stopping = threading.Lock()
        self._stopping.acquire()
        self._begun = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="stall-watch", daemon=True
        )

    def start(self) -> None:
        """From the main thread, the only one that may choose to hear signals.  What
        happens after this is noticed."""
        signal.signal(signal.SIGCONT, lambda number, frame: None)
        signal.set_wakeup_fd(self._signal_writer, warn_on_full_buffer=False)
        self._thread.start()
        self._begun.wait()

    def stop(self) -> None:
        self._stopping.release()
        self._thread.join()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCONT, signal.SIG_DFL)
        os.close(self._signals)
        os.close(self._signal_writer)

    def perform(self, envelope: Envelope[Command]) -> None:
        raise AssertionError(envelope.message)

    def _run(self) -> None:
        accounts = Accounts()
        baseline = self._begin(accounts)
        self._begun.set()
        while not self._stopping.acquire(timeout=NAP):
            try:
                baseline = self._look_about(baseline, accounts)
            except Exception:  # the edge of the thread
                logger.exception("The watch over the daemon failed; it goes on.")
        accounts.close()

    def _look_about(self, baseline: Baseline, accounts: Accounts) -> Baseline:
        """Say what there is to say; what to compare the next look with."""
        now = self._look()
        if absence(baseline.look, now) > STALL:
            self._tell_stall(baseline, now, accounts)
            self._back_at = now.boot
            # Anew: to say it took time as well, which is no absence.
            return self._begin(accounts)
        if is_step(baseline.look, now):
            step = round(wall_step(baseline.look, now), 3)
            self._voice.say(ClockStepped(step=step))
        baseline.look = now
        if now.boot >= baseline.checked_at + CHECK:
            self._check(baseline, accounts)
        return baseline

    def _check(self, baseline: Baseline, accounts: Accounts) -> None:
        """Look for late actors; while there are none, let the account begin anew."""
        now = baseline.look
        baseline.checked_at = now.boot
        late = self._late(now)
        news = self._lateness.news(late)
        if news:
            ran = now.ran - baseline.in_time.ran
            counted = accounts.since(baseline.reading, ran)
            self._voice.say(ActorsLate(mailboxes=news, account=counted))
            baseline.look = self._look()
        if late:
            return
        baseline.in_time = now
        if now.monotonic >= baseline.reading.at + READ:
            baseline.reading = accounts.read()
            self._signals_since()  # what came before a stall has not ended it

    def _begin(self, accounts: Accounts) -> Baseline:
        look = self._look()
        return Baseline(look, accounts.read(), in_time=look, checked_at=look.boot)

    def _tell_stall(self, baseline: Baseline, now: Look, accounts: Accounts) -> None:
        time.sleep(SIGNAL_GRACE)
        before = baseline.look
        self._voice.say(
            StallNoticed(
                missing=round(absence(before, now), 3),
                suspended=round(suspended(before, now), 3),
                wall_step=round(wall_step(before, now), 3),
                continued=signal.SIGCONT in self._signals_since(),
                account=accounts.since(baseline.reading, now.ran - before.ran),
                mailboxes=self._mailboxes(),
            )
        )

    def _late(self, now: Look) -> tuple[MailboxAge, ...]:
        if now.boot - self._back_at <= LATE:
            return ()
        return tuple(age for age in self._mailboxes() if age.oldest > LATE)

    def _look(self) -> Look:
        clocks = self._clocks
        return Look(
            clocks.boot(), clocks.monotonic(), clocks.wall(), time.process_time()
        )

    def _signals_since(self) -> bytes:
        """Numbers of the signals that came since this was last asked."""
        try:
            return os.read(self._signals, SIGNALS_KEPT)
        except BlockingIOError:
            return b""
