"""The worlds that `regnal check-model` explores, by name."""

from dataclasses import dataclass
from typing import Any

from regnal.replay.model.bounds import FAULTS, Bounds
from regnal.replay.model.explore import Start


@dataclass(frozen=True)
class NamedWorld:
    name: str
    what: str
    bounds: Bounds
    begins: Start = "settled"


WITHOUT_HANDS = tuple(kind for kind in FAULTS if kind != "delete leader key")


def _bounds(**fields: Any) -> Bounds:
    return Bounds(**{"kinds": WITHOUT_HANDS, "reorderings": 0, "writes": 0, **fields})


WORLDS: tuple[NamedWorld, ...] = (
    NamedWorld(
        "beginning",
        "two members create the cluster, in every order up to three overtakings",
        _bounds(faults=0, reorderings=3),
        "empty",
    ),
    NamedWorld(
        "one-fault",
        "two members, asynchronous, any one fault at any moment",
        _bounds(faults=1),
    ),
    NamedWorld(
        "one-fault-synchronous",
        "two members, synchronous, a client that writes, any one fault at any moment",
        _bounds(faults=1, writes=1, synchronous_mode="on"),
    ),
    NamedWorld(
        "failover",
        "the leader's host has died; every order up to two overtakings",
        _bounds(faults=0, reorderings=2, mended=()),
        "leaderless",
    ),
    NamedWorld(
        "failover-and-fault",
        "the leader's host has died, it may come back, and one more fault",
        _bounds(faults=1),
        "leaderless",
    ),
    NamedWorld(
        "return",
        "a former primary with a row that nobody else has comes back",
        _bounds(faults=1),
        "diverged",
    ),
    NamedWorld(
        "switchover",
        "a person asks for a switchover, or ends a daemon; one fault",
        _bounds(faults=1, wishes=1),
    ),
    NamedWorld(
        "switchover-every-order",
        "a person asks for a switchover; every order of everything",
        _bounds(faults=0, wishes=1, wished=("switchover",), reorderings=None),
    ),
    NamedWorld(
        "actors",
        "the leader's PostgreSQL may crash; every actor hears message by message, with one"
        " overtaking",
        _bounds(
            faults=1,
            kinds=("crash postgres",),
            reorderings=1,
            interleaved=True,
            mended=(),
        ),
    ),
    NamedWorld(
        "three",
        "three members, synchronous, any one fault at any moment",
        _bounds(members=3, faults=1, synchronous_mode="on"),
    ),
    NamedWorld(
        "two-faults",
        "two members, synchronous, a client that writes, any two faults",
        _bounds(faults=2, writes=1, synchronous_mode="on"),
    ),
)
