"""The time of a deadline, shared out among the servers of etcd."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.bridges.dcs.etcd_time import LEAST_SHARE, TimeShares

seconds = st.floats(0.001, 60)


@pytest.mark.parametrize(
    ("usual", "remaining", "servers_left", "share"),
    [
        pytest.param(0.002, 4.0, 3, 1.0, id="quick answers: equal shares"),
        pytest.param(0.002, 4.0, 1, 2.0, id="one share is kept back"),
        pytest.param(0.0, 0.3, 3, 0.2, id="little time: the least share"),
        pytest.param(0.0, 0.1, 3, 0.1, id="never more than is left"),
        pytest.param(1.8, 5.0, 3, 3.6, id="slow answers: twice as long"),
        pytest.param(1.8, 3.2, 3, 2.8, id="the others get the least share"),
        pytest.param(1.8, 3.2, 1, 3.2, id="nobody else is left"),
        pytest.param(60.0, 0.5, 3, 0.2, id="slow, and little time"),
    ],
)
def test_the_share_of_a_server(
    usual: float, remaining: float, servers_left: int, share: float
) -> None:
    assert TimeShares(usual).share(remaining, servers_left) == pytest.approx(share)


@given(usual=seconds, deadline=seconds, servers=st.integers(1, 9))
def test_whoever_is_slow_leaves_time_for_all_others(
    usual: float, deadline: float, servers: int
) -> None:
    """Each of them is silent for all of its share."""
    shares, remaining = TimeShares(usual), deadline
    for left in range(servers, 0, -1):
        share = shares.share(remaining, left)
        assert 0 <= share <= remaining
        if deadline >= LEAST_SHARE * servers:
            assert share >= LEAST_SHARE - 1e-9
        remaining -= share


def test_after_silence_a_server_is_waited_for_twice_as_long() -> None:
    shares = TimeShares(0.002)
    assert shares.share(5.0, 3) == 1.25
    shares.note_silence(5.0, 3)
    assert shares.share(5.0, 3) == 2.5
    shares.note_silence(5.0, 3)
    assert shares.share(5.0, 3) == 2.5
    shares.note_answer(0.002)
    assert shares.share(5.0, 3) == 1.25
