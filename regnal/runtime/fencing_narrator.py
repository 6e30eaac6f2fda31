"""What the log says of the guard and of the hardware watchdog (docs/fencing.md)."""

import logging
from typing import TypeAlias

from regnal.messages.fencing import (
    FencingJudged,
    GuardFailed,
    GuardFenced,
    GuardStarted,
    WatchdogActivated,
    WatchdogFailed,
    WatchdogNotUsable,
)

logger = logging.getLogger("regnal")

FencingMessage: TypeAlias = (
    GuardStarted
    | GuardFailed
    | GuardFenced
    | WatchdogActivated
    | WatchdogFailed
    | WatchdogNotUsable
    | FencingJudged
)

SCHEDULES = {
    "realtime": "it runs before all ordinary processes",
    "preferred": "it has nice -20",
    "normal": "it has to wait for the CPU like everybody: allow LimitRTPRIO=1",
}
"""What the guard was allowed; see deploy/systemd/regnal.service."""


def tell_of_fencing(message: FencingMessage, *, required: bool) -> None:
    """`required`: whether watchdog.mode is; else its troubles interest nobody
    (P-LOG-06)."""
    level = logging.WARNING if required else logging.DEBUG
    match message:
        case GuardStarted(pid=pid, taken_over=True):
            logger.info("The guard of before goes on (pid %s).", pid)
        case GuardStarted(pid=pid, memory_locked=locked, schedule=schedule):
            logger.info(
                "The guard runs (pid %s): %s, %s.",
                pid,
                "its memory is locked"
                if locked
                else "it may be swapped out: allow LimitMEMLOCK=32M",
                SCHEDULES[schedule or "normal"],
            )
        case GuardFailed(error=error):
            logger.error(
                "The guard does not work: %s. What takes writes here could not be "
                "fenced; see docs/fencing.md.",
                error,
            )
        case GuardFenced(postmaster_pid=pid, left=left):
            logger.warning(
                "The guard had to fence PostgreSQL (pid %s): nobody renewed the lease "
                "in time; `regnal explain` tells why%s",
                pid,
                f"; {left} processes hung in the kernel" if left else "",
            )
        case WatchdogActivated(timeout=timeout):
            logger.info(
                "The watchdog resets this host %.0f s after the last renewal of the "
                "lease.",
                timeout,
            )
        case WatchdogFailed(error=error):
            logger.log(level, "The watchdog does not work: %s.", error)
        case WatchdogNotUsable(timeout=timeout, loop_wait=loop_wait):
            logger.log(
                level,
                "The watchdog is not used: its timeout of %.0f s is not longer than "
                "loop_wait, %.0f s; raise ttl or lower watchdog.safety_margin.",
                timeout,
                loop_wait,
            )
        case FencingJudged(verdict="failed", reason=reason):
            logger.error("This member must not lead: %s.", reason)
        case FencingJudged():
            logger.debug("Fencing: %s.", message.verdict)
