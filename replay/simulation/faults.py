"""Faults: what befalls a simulated cluster, and when.  A schedule is a tuple of them.

A fault is a value, and has a line of text by which a person repeats it:

    41.5 kill_host @primary 90          for 90 s from second 41.5 on
    60 cut_one_way pg1,pg2 20           what pg1 sends does not reach pg2
    75 slow_network store 30 0.9        0.9 s longer, each way
    40:promote_postgres freeze_daemon @sender 25
                                        aimed: the first time after second 40 that a
                                        daemon gives this order, just before it leaves

Who is meant may be a name, `store`, or what is so at that moment: `@primary`,
`@standby` and `@last` (the first and the last by name), `@sync` (the first synchronous
standby) or, of an aimed fault, `@sender` (whose daemon it is).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from regnal.messages.base import Instant, Seconds

FaultKind: TypeAlias = str
"""A key of `KINDS`."""

PRIMARY, STANDBY, LAST, SYNC = "@primary", "@standby", "@last", "@sync"
SENDER = "@sender"
WHO_IS_MEANT = (PRIMARY, STANDBY, LAST, SYNC, SENDER)

AIMED_FOR: Seconds = 45.0
"""How long an aimed fault waits for its moment; then it lapses."""

MOMENTS: dict[str, str] = {
    "acquire_leader": "a member asks for the lease",
    "leader_acquired": "its answer is there, and not heard yet",
    "renew_leader": "the leader renews the lease",
    "leader_renewed": "its answer is there, and not heard yet",
    "release_leader": "the leader gives the lease up",
    "hand_over_leader": "the leader hands the lease to a candidate",
    "write_sync": "the sync key is about to change",
    "set_synchronous_standbys": "synchronous_standby_names is about to change",
    "probe_peers": "a member asks the others where they stand",
    "start_postgres": "PostgreSQL is about to be started",
    "stop_postgres": "PostgreSQL is about to be stopped",
    "promote_postgres": "PostgreSQL is about to be promoted",
    "postgres_promoted": "it was, and nobody has heard of it yet",
    "check_divergence": "a former primary is about to be compared with the leader",
    "rewind_postgres": "it is about to be rewound",
    "clone_postgres": "a member is about to be cloned",
}
"""What a fault may be aimed at: kinds of orders, and of answers to them."""


class Kind(NamedTuple):
    """What every fault of a kind has."""

    about: str
    """Concerns hosts, processes, PostgreSQL, disks, network, store, clocks, operators."""

    what: str
    targets: int = 1
    """How many names it takes."""

    lasts: bool = True
    """Whether it ends after its duration; False: it happens, and that is that."""

    amount: str = ""
    """What the number says; empty: there is none."""


KINDS: dict[FaultKind, Kind] = {
    "kill_host": Kind("hosts", "the host loses its power"),
    "suspend_host": Kind("hosts", "the host is suspended, its guard with it"),
    "kill_daemon": Kind("processes", "the daemon is killed, and started at the end"),
    "freeze_daemon": Kind("processes", "SIGSTOP to the daemon, SIGCONT at the end"),
    "kill_postgres": Kind("processes", "the postmaster crashes", lasts=False),
    "slow_start": Kind("PostgreSQL", "starts take longer", amount="seconds"),
    "slow_stop": Kind("PostgreSQL", "stops take longer", amount="seconds"),
    "slow_checkpoint": Kind("PostgreSQL", "checkpoints take longer", amount="seconds"),
    "late_promotion": Kind("PostgreSQL", "promotions take longer", amount="seconds"),
    "late_end": Kind(
        "PostgreSQL", "that a postmaster crashed is told late", amount="seconds"
    ),
    "slow_disk": Kind("disks", "what waits for the disk takes longer", amount="times"),
    "full_disk": Kind("disks", "there is no room: a server that writes crashes"),
    "cut_from_store": Kind("network", "a member and the store cannot talk"),
    "cut_from_peers": Kind("network", "a member and all others cannot talk"),
    "cut_off": Kind("network", "a member can talk to nobody, nor to clients"),
    "cut_pair": Kind("network", "two members cannot talk", targets=2),
    "cut_one_way": Kind("network", "what one sends is lost to the other", targets=2),
    "mute": Kind("network", "nothing that a member sends arrives"),
    "deafen": Kind("network", "nothing that is sent to a member arrives"),
    "slow_network": Kind("network", "each way takes longer", amount="seconds"),
    "lossy_network": Kind("network", "packets are lost, sent again", amount="share"),
    "store_down": Kind("store", "no leader among its nodes, or no quorum", targets=0),
    "store_unreachable": Kind("store", "no member reaches it; leases end", targets=0),
    "lose_answers": Kind(
        "store", "requests are lost, late or not answered", targets=0, amount="share"
    ),
    "slow_watch": Kind("store", "changes are told late", targets=0, amount="seconds"),
    "wipe_store": Kind("store", "all keys are removed", targets=0, lasts=False),
    "delete_leader_key": Kind(
        "operators", "the leader key is deleted by hand", targets=0, lasts=False
    ),
    "set_clock": Kind(
        "clocks", "the wall clock is set wrong", lasts=False, amount="seconds"
    ),
    "switchover": Kind("operators", "to this member, or to any", lasts=False),
    "failover": Kind("operators", "to this member, by hand", lasts=False),
    "pause": Kind("operators", "automatic failover is off", targets=0),
    "stop_daemon": Kind("operators", "stopped in good order, started at the end"),
    "restart_postgres": Kind("operators", "asked of the REST API", lasts=False),
    "reinitialize": Kind("operators", "asked of the REST API", lasts=False),
    "set_ttl": Kind(
        "operators", "another ttl", targets=0, lasts=False, amount="seconds"
    ),
}


class FaultRefused(ValueError):
    """The text is no fault; says why, and what would be."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault.  `at` counts from the beginning of the world."""

    at: Instant
    kind: FaultKind
    targets: tuple[str, ...] = ()
    duration: Seconds = 0.0
    amount: float = 0.0
    aim: str = ""
    """A key of `MOMENTS`, the first of which after `at` begins it; empty: `at` does."""

    @property
    def ends_at(self) -> Instant:
        """At the latest."""
        return self.at + self.duration + (AIMED_FOR if self.aim else 0.0)

    def __str__(self) -> str:
        kind = KINDS[self.kind]
        when = f"{self.at:g}:{self.aim}" if self.aim else f"{self.at:g}"
        words = [when, self.kind]
        if kind.targets:
            words.append(",".join(self.targets) or "-")
        if kind.lasts:
            words.append(f"{self.duration:g}")
        if kind.amount:
            words.append(f"{self.amount:g}")
        return " ".join(words)


Schedule: TypeAlias = tuple[Fault, ...]
Drawn: TypeAlias = list[Fault]
"""What one happening brings: faults that belong together."""


def parse_fault(text: str) -> Fault:
    """The fault of this line.  Raises FaultRefused."""
    words = text.split()
    if len(words) < 2 or words[1] not in KINDS:
        known = ", ".join(KINDS)
        raise FaultRefused(
            f"{text!r}: write `SECOND KIND ...`, with one of the kinds {known}"
        )
    name = words[1]
    kind = KINDS[name]
    wanted = _form(name)
    if len(words) != len(wanted.split()):
        raise FaultRefused(f"{text!r}: write `{wanted}`")
    rest = iter(words[2:])
    targets: tuple[str, ...] = ()
    if kind.targets:
        word = next(rest)
        targets = () if word == "-" else tuple(word.split(","))
        if len(targets) != kind.targets and not (name == "switchover" and not targets):
            raise FaultRefused(f"{text!r}: write `{wanted}`")
    when, _, aim = words[0].partition(":")
    at = _number(when, text)
    if aim and aim not in MOMENTS:
        raise FaultRefused(f"{text!r}: aim at one of {', '.join(MOMENTS)}")
    if not aim and SENDER in targets:
        raise FaultRefused(
            f"{text!r}: {SENDER} is known at a moment: write `{when}:MOMENT {name} ...`"
        )
    duration = _number(next(rest), text) if kind.lasts else 0.0
    amount = _number(next(rest), text) if kind.amount else 0.0
    if at < 0 or duration < 0:
        raise FaultRefused(f"{text!r}: time does not go backwards")
    return Fault(at, name, targets, duration, amount, aim)


def _form(name: FaultKind) -> str:
    kind = KINDS[name]
    words = ["SECOND", name]
    if kind.targets:
        words.append("MEMBER,MEMBER" if kind.targets == 2 else "MEMBER")
    if kind.lasts:
        words.append("DURATION")
    if kind.amount:
        words.append(kind.amount.upper())
    return " ".join(words)


def _number(word: str, text: str) -> float:
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise FaultRefused(f"{text!r}: {word!r} is not a number")
    return number


def in_order(faults: Iterable[Fault]) -> Schedule:
    return tuple(sorted(faults))


def last_end(schedule: Schedule) -> Instant:
    """When the last of them ends; 0 without any."""
    return max((fault.ends_at for fault in schedule), default=0.0)
