"""The clock that leases are measured with."""

import time

from regnal.messages.base import Instant


def boottime() -> Instant:
    """Seconds since boot, suspend included.

    A host that was suspended must find that its lease has ended meanwhile, which
    CLOCK_MONOTONIC would hide.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)
