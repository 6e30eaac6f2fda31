"""What became of work that goes out, counted for metrics and told the log once."""

import logging
import time

from regnal.bridges.outgoing import PartlyTaken
from regnal.messages.base import Seconds
from regnal.messages.envelope import PartName

TELL_EVERY: Seconds = 60.0
"""So often the log hears that the trouble is another one now."""


class Tally:
    """Written by one thread, read by all."""

    def __init__(self) -> None:
        self.sent = 0
        self.failures = 0
        self.refused = 0
        """Of what was sent: the receiver does not want it."""

        self.lost_records = 0
        self.trouble: str | None = None
        """Why nothing is taken at present; None: it is, as far as known."""


class TroubleLog:
    """Keeps the tally and tells of its changes."""

    def __init__(self, name: PartName, tally: Tally, logger: logging.Logger) -> None:
        self._name = name
        self._tally = tally
        self._logger = logger
        self._told_at = 0.0
        self._refusal_told_at = float("-inf")

    def fail(self, why: str, then: str) -> None:
        """`then`: what becomes of what was not sent."""
        tally = self._tally
        tally.failures += 1
        now = time.monotonic()
        is_news = tally.trouble is None
        if is_news or (why != tally.trouble and now >= self._told_at + TELL_EVERY):
            self._told_at = now
            self._logger.warning("%s: not published, %s: %s", self._name, then, why)
        tally.trouble = why

    def succeed(self, count: int) -> None:
        if self._tally.trouble is not None:
            self._logger.info("%s: publishing works again.", self._name)
        self._tally.trouble = None
        self._tally.sent += count

    def refuse(self, error: PartlyTaken) -> None:
        self.succeed(error.taken)
        self._tally.refused += error.refused
        now = time.monotonic()
        if now >= self._refusal_told_at + TELL_EVERY:
            self._refusal_told_at = now
            self._logger.warning(
                "%s: %s: %d of %d were refused and are not sent again",
                self._name,
                error,
                error.refused,
                error.taken + error.refused,
            )
