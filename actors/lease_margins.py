"""Who ends a primary whose lease is not renewed, and how long before the lease ends.

    valid_until - step_down_lead    election steps down, in good order
    valid_until - fence_lead        the guard kills PostgreSQL, whatever the daemon does
    valid_until - reset_lead        an active hardware watchdog resets the host
    valid_until                     another member may lead

Without a watchdog the first is `fencing.margin` before the end (at most a quarter of
the ttl), the second half of that.  The watchdog's own margin comes on top (WDOG-02: it
fires a safety margin before the end), so that it stands behind the guard and not in its
place, and no mere outage of the store resets a host.
"""

from regnal.messages.base import Seconds
from regnal.messages.settings import Settings


def step_down_lead(settings: Settings, device_timeout: Seconds | None) -> Seconds:
    """`device_timeout`: of the hardware watchdog; None: none is active."""
    return reset_lead(settings, device_timeout) + _margin(settings, device_timeout)


def fence_lead(settings: Settings, device_timeout: Seconds | None) -> Seconds:
    return reset_lead(settings, device_timeout) + _margin(settings, device_timeout) / 2


def reset_lead(settings: Settings, device_timeout: Seconds | None) -> Seconds:
    """The device counts from the keep-alive after a renewal, so no earlier."""
    if device_timeout is None:
        return 0.0
    return max(0.0, settings.ttl - device_timeout)


def _margin(settings: Settings, device_timeout: Seconds | None) -> Seconds:
    margin = min(settings.lease_margin, settings.ttl / 4)
    if device_timeout is None:
        return margin
    # A short timeout leaves little between the next heartbeat and the reset.
    return max(0.0, min(margin, (device_timeout - settings.loop_wait) / 2))
