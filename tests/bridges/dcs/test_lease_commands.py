"""From an answer of the store to a lease: it is worth what was asked, however late."""

from typing import Any, cast

import pytest

from regnal.bridges.dcs.contract import LeaseAnswer, Store
from regnal.bridges.dcs.lease_commands import perform_lease_command
from regnal.messages.base import Instant, MemberName, Seconds
from regnal.messages.lease import (
    AcquireLeader,
    LeaderAcquired,
    LeaderRenewed,
    LeaseUnconfirmed,
    RenewLeader,
)

TTL = 30.0
TERMS: dict[str, Any] = {"member": "pg1", "ttl": TTL, "deadline": 1000.0}


class SlowStore:
    """Grants the lease, and answers `took` seconds after it was asked at 100."""

    def __init__(self, took: Seconds) -> None:
        self.now: Instant = 100.0
        self._took = took

    def renew_leader(
        self, member: MemberName, ttl: Seconds, deadline: Instant
    ) -> LeaseAnswer:
        asked_at = self.now
        self.now += self._took
        return LeaseAnswer(True, member, asked_at)

    acquire_leader = renew_leader


@pytest.mark.parametrize("took", [0.0, 9.0, 29.9])
def test_a_late_answer_is_worth_no_more(took: Seconds) -> None:
    """Law 1: another member may lead from `asked_at + ttl` on, whenever we hear."""
    for command, kind in (
        (RenewLeader(**TERMS), LeaderRenewed),
        (AcquireLeader(**TERMS), LeaderAcquired),
    ):
        store = SlowStore(took)
        granted = perform_lease_command(
            cast(Store, store), command, None, lambda store=store: store.now
        )
        assert granted == kind(member="pg1", valid_until=130.0)


def test_an_answer_after_the_end_grants_nothing() -> None:
    store = SlowStore(took=30.0)
    told = perform_lease_command(
        cast(Store, store), RenewLeader(**TERMS), None, lambda: store.now
    )
    assert isinstance(told, LeaseUnconfirmed)
