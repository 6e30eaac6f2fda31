"""The rules of the timers: ttl must outlast two retries and a heartbeat, as in Patroni;
a lease, whose renewal is one request, must outlast one of each."""

from dataclasses import dataclass

from regnal.configuration.schema import MIN_LOOP_WAIT, MIN_RETRY_TIMEOUT, MIN_TTL


@dataclass(frozen=True, slots=True)
class Timers:
    """Seconds."""

    ttl: int
    loop_wait: int
    retry_timeout: int


def correct(given: Timers) -> tuple[Timers, list[str]]:
    """Timers that are safe together, and what was changed.

    Minima first; then `loop_wait + 2 * retry_timeout <= ttl`, for which first
    loop_wait and, if that is not enough, retry_timeout gives way.
    """
    warnings: list[str] = []
    ttl = _raised("ttl", given.ttl, MIN_TTL, warnings)
    loop_wait = _raised("loop_wait", given.loop_wait, MIN_LOOP_WAIT, warnings)
    retry_timeout = _raised(
        "retry_timeout", given.retry_timeout, MIN_RETRY_TIMEOUT, warnings
    )
    if loop_wait + 2 * retry_timeout <= ttl:
        return Timers(ttl, loop_wait, retry_timeout), warnings
    reason = (
        f"ttl {ttl} is less than loop_wait {loop_wait} + 2 * retry_timeout "
        f"{retry_timeout}"
    )
    loop_wait = ttl - 2 * retry_timeout
    if loop_wait < MIN_LOOP_WAIT:
        loop_wait = MIN_LOOP_WAIT
        retry_timeout = (ttl - loop_wait) // 2
        warnings.append(
            f"{reason}: loop_wait {loop_wait} and retry_timeout {retry_timeout} are used"
        )
    else:
        warnings.append(f"{reason}: loop_wait {loop_wait} is used")
    return Timers(ttl, loop_wait, retry_timeout), warnings


LEAST_MARGIN = 1.0
"""Seconds of a lease that are left for stopping, however short it is."""


def lease_of(
    timers: Timers, wanted: float | None, watchdog_margin: float | None
) -> tuple[float, list[str]]:
    """How many seconds a lease lasts: `ttl`, or less with `fencing.lease`.

    A renewal is due after `loop_wait` and may take `retry_timeout`, after which a
    primary must yet be stopped, by the watchdog too if there may be one
    (`watchdog_margin`: its safety margin; -1: half of the lease).
    """
    if wanted is None:
        return float(timers.ttl), []
    if wanted > timers.ttl:
        return float(timers.ttl), [
            f"fencing.lease {wanted:g} is more than ttl: {timers.ttl} is used"
        ]
    room = timers.loop_wait + timers.retry_timeout + LEAST_MARGIN
    least = room
    sum_of = f"loop_wait {timers.loop_wait} + retry_timeout {timers.retry_timeout} + 1"
    if watchdog_margin is not None and watchdog_margin < 0:
        least, sum_of = 2 * room, f"twice {sum_of}, for watchdog.safety_margin -1"
    elif watchdog_margin is not None:
        least += watchdog_margin
        sum_of += f" + watchdog.safety_margin {watchdog_margin:g}"
    if wanted >= least:
        return wanted, []
    used = min(least, float(timers.ttl))
    remedy = "; with watchdog.mode off it is enough" if wanted >= room else ""
    return used, [
        f"fencing.lease {wanted:g} is less than {sum_of}: {used:g} is used{remedy}"
    ]


def _raised(name: str, value: int, minimum: int, warnings: list[str]) -> int:
    if value >= minimum:
        return value
    warnings.append(f"{name} {value} is less than {minimum}: {minimum} is used")
    return minimum
