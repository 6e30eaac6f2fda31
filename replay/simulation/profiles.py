"""Fault profiles: what befalls a cluster, and how often, by name.

Rates are per cluster-hour, so that a profile says what it means whatever the number of
members.  They are higher than life's, since what is asked is how a fault ends.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from regnal.messages.base import Instant, MemberName, Seconds
from regnal.replay.simulation.faults import (
    KINDS,
    PRIMARY,
    STANDBY,
    SYNC,
    Drawn,
    Fault,
    FaultKind,
)
from regnal.replay.simulation.strikes import draw_a_strike

HOUR: Seconds = 3600.0

ZONES = 3
"""Members, and nodes of the store, are spread over so many."""


class Range(NamedTuple):
    """Drawn evenly on a logarithmic scale, so that short and long are as likely."""

    least: float
    most: float

    def draw(self, chance: random.Random) -> float:
        if self.least == self.most:
            return self.least
        value = self.least * (self.most / self.least) ** chance.random()
        return float(f"{value:.3g}")


class Happening(NamedTuple):
    """One way in which a profile's faults come."""

    kind: FaultKind
    duration: Range = Range(1, 1)
    amount: Range = Range(1, 1)
    at_primary: float = 0.5
    """How often the primary is meant; else any member."""

    weight: float = 1.0


Draw = Callable[[random.Random, Instant, Sequence[MemberName]], Drawn]


class Profile(NamedTuple):
    what: str
    per_hour: float
    """Mean number of faults (of zones, for az-loss) in an hour; they come by chance."""

    draw: Draw


MEDIUM, LONG = Range(5, 120), Range(60, 900)

CRASHES = (
    Happening("kill_postgres"),
    Happening("kill_host", MEDIUM),
    Happening("kill_daemon", MEDIUM),
)
FREEZES = (
    Happening("freeze_daemon", MEDIUM),
    Happening("suspend_host", MEDIUM),
)
PARTITIONS = (
    Happening("cut_from_store", MEDIUM),
    Happening("cut_from_peers", MEDIUM),
    Happening("cut_off", MEDIUM),
    Happening("cut_pair", MEDIUM),
    Happening("cut_one_way", MEDIUM),
    Happening("mute", MEDIUM),
    Happening("deafen", MEDIUM),
)
OUTAGES = (
    Happening("store_down", Range(0.5, 5), weight=2),
    Happening("store_down", MEDIUM),
    Happening("store_unreachable", MEDIUM),
    Happening("lose_answers", MEDIUM, Range(0.05, 0.5)),
    Happening("slow_watch", MEDIUM, Range(0.1, 5)),
    Happening("wipe_store", weight=0.3),
)
SLOWNESS = (
    Happening("slow_start", MEDIUM, Range(1, 60)),
    Happening("slow_stop", MEDIUM, Range(1, 30)),
    Happening("slow_checkpoint", MEDIUM, Range(1, 60)),
    Happening("late_promotion", MEDIUM, Range(0.5, 20)),
    Happening("slow_disk", MEDIUM, Range(3, 300)),
    Happening("full_disk", MEDIUM),
    Happening("slow_network", MEDIUM, Range(0.05, 1)),
    Happening("lossy_network", MEDIUM, Range(0.05, 0.6)),
)
CLOCKS = (Happening("set_clock", amount=Range(0.5, 7200)),)
OPERATORS = (
    Happening("switchover", weight=3),
    Happening("pause", MEDIUM),
    Happening("stop_daemon", MEDIUM),
    Happening("restart_postgres"),
    Happening("reinitialize", at_primary=0, weight=0.5),
    Happening("set_ttl", amount=Range(30, 90), weight=0.5),
)


def _one_of(*happenings: Happening) -> Draw:
    weights = [one.weight for one in happenings]

    def draw(chance: random.Random, at: Instant, names: Sequence[MemberName]) -> Drawn:
        (one,) = chance.choices(happenings, weights)
        return [_fault(one, chance, at, names)]

    return draw


def _fault(
    one: Happening, chance: random.Random, at: Instant, names: Sequence[MemberName]
) -> Fault:
    kind = KINDS[one.kind]
    amount = one.amount.draw(chance) if kind.amount else 0.0
    if one.kind == "set_clock" and chance.random() < 0.5:
        amount = -amount
    return Fault(
        at=at,
        kind=one.kind,
        targets=_targets(one, chance, names),
        duration=one.duration.draw(chance) if kind.lasts else 0.0,
        amount=amount,
    )


def _targets(
    one: Happening, chance: random.Random, names: Sequence[MemberName]
) -> tuple[str, ...]:
    count = KINDS[one.kind].targets
    if not count:
        return ()
    if count == 2:
        pair = (PRIMARY, chance.choice((STANDBY, SYNC)))
        if len(names) > 2 and chance.random() >= one.at_primary:
            first, second = chance.sample(list(names), 2)
            return (first, second)
        return pair if chance.random() < 0.5 else (pair[1], pair[0])
    if one.kind == "switchover":
        return () if chance.random() < 0.5 else (chance.choice(list(names)),)
    if one.kind == "reinitialize":
        return (STANDBY,)
    if one.kind in ("slow_network", "lossy_network") and chance.random() < 0.4:
        return ("store",)
    if chance.random() < one.at_primary:
        return (PRIMARY,)
    return (chance.choice((*names, SYNC)),)


def _zone_lost(
    chance: random.Random, at: Instant, names: Sequence[MemberName]
) -> Drawn:
    """All members of a zone lose power, or are cut off; and with them a node of the
    store, which in one case of three was the leader of its nodes."""
    zone = chance.randrange(ZONES)
    kind = chance.choice(("kill_host", "kill_host", "cut_off"))
    duration = LONG.draw(chance)
    lost = [name for number, name in enumerate(names) if number % ZONES == zone]
    faults = [Fault(at, kind, (name,), duration) for name in lost]
    if chance.random() < 1 / ZONES:
        faults.append(Fault(at, "store_down", (), Range(0.5, 5).draw(chance)))
    return faults


PROFILES: Mapping[str, Profile] = {
    "az-loss": Profile("one of three zones is lost for minutes", 0.05, _zone_lost),
    "crashes": Profile("PostgreSQL, daemons and hosts crash", 0.2, _one_of(*CRASHES)),
    "freezes": Profile(
        "daemons are stopped, hosts are suspended", 0.2, _one_of(*FREEZES)
    ),
    "partitions": Profile(
        "members are cut off from the store, from each other, one way",
        0.2,
        _one_of(*PARTITIONS),
    ),
    "dcs-outages": Profile(
        "the store has no leader, no quorum, loses answers or its keys",
        0.2,
        _one_of(*OUTAGES),
    ),
    "slow": Profile(
        "slow disks, starts, checkpoints, promotions and networks; full disks",
        0.2,
        _one_of(*SLOWNESS),
    ),
    "clocks": Profile("wall clocks are set wrong", 0.2, _one_of(*CLOCKS)),
    "operators": Profile(
        "switchovers, pauses, restarts, rebuilds, other settings",
        0.2,
        _one_of(*OPERATORS),
    ),
    "everything": Profile(
        "all of these, one at a time or together",
        1.0,
        _one_of(
            *CRASHES,
            *FREEZES,
            *PARTITIONS,
            *OUTAGES,
            *SLOWNESS,
            *CLOCKS,
            *OPERATORS,
        ),
    ),
    "hell": Profile(
        "all of these, a fault every forty seconds",
        90.0,
        _one_of(
            *CRASHES,
            *FREEZES,
            *PARTITIONS,
            *OUTAGES,
            *SLOWNESS,
            *CLOCKS,
            *OPERATORS,
        ),
    ),
    "hostile": Profile(
        "strikes: faults that belong together, aimed at the moments that matter",
        12.0,
        draw_a_strike,
    ),
}
