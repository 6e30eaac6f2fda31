"""Daemon, guard, watchdog: each has its turn, and none comes between two heartbeats."""

from hypothesis import given
from hypothesis import strategies as st

from regnal.actors.lease_margins import fence_lead, reset_lead, step_down_lead
from regnal.configuration.timers import Timers, correct
from tests.actors.builders import settings

TIMERS = st.builds(
    Timers,
    ttl=st.integers(20, 300),
    loop_wait=st.integers(1, 60),
    retry_timeout=st.integers(3, 60),
)


@given(TIMERS, st.floats(0.1, 60), st.none() | st.integers(1, 300))
def test_each_has_its_turn_before_the_lease_ends(
    asked: Timers, margin: float, timeout: int | None
) -> None:
    """Laws 1 and 2, WDOG-02; after a renewal at one heartbeat there is time for the next."""
    timers, _ = correct(asked)
    longest = timers.ttl - timers.loop_wait - timers.retry_timeout
    given_settings = settings(
        ttl=timers.ttl,
        loop_wait=timers.loop_wait,
        retry_timeout=timers.retry_timeout,
        lease_margin=min(margin, longest),
    )
    if timeout is not None and not timers.loop_wait < timeout <= timers.ttl:
        timeout = None  # such a device is not used
    daemon, guard, device = (
        lead(given_settings, timeout)
        for lead in (step_down_lead, fence_lead, reset_lead)
    )
    assert timers.ttl - timers.loop_wait > daemon > guard > device >= 0
