"""The rule of the timers: a lease must outlast two retries and a heartbeat."""

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


def _raised(name: str, value: int, minimum: int, warnings: list[str]) -> int:
    if value >= minimum:
        return value
    warnings.append(f"{name} {value} is less than {minimum}: {minimum} is used")
    return minimum
