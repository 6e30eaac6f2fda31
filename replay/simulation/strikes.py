"""Strikes: a few faults that belong together, aimed at the moments that matter.

Chance alone seldom freezes a daemon in the milliseconds between a lease and a promotion,
and these are the moments that the rules are about.  A strike is a little story with its
details left to chance; each breaks what at least one rule is there for.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from regnal.messages.base import Instant, MemberName, Seconds
from regnal.replay.simulation.faults import (
    LAST,
    PRIMARY,
    SENDER,
    STANDBY,
    SYNC,
    Drawn,
    Fault,
    in_order,
)

Strike = Callable[[random.Random], Drawn]
"""Its faults, with instants from 0 on."""

GONE: tuple[str, ...] = ("kill_host", "cut_off", "suspend_host")
STUCK: tuple[str, ...] = ("freeze_daemon", "kill_daemon")
AT_SENDER: tuple[str, ...] = (
    "freeze_daemon",
    "kill_daemon",
    "kill_host",
    "cut_from_store",
    "cut_off",
    "suspend_host",
)
TO_LEAD: tuple[str, ...] = (
    "acquire_leader",
    "leader_acquired",
    "write_sync",
    "promote_postgres",
    "postgres_promoted",
)
TO_HAND_OVER: tuple[str, ...] = (
    "stop_postgres",
    "hand_over_leader",
    "release_leader",
    *TO_LEAD,
)
ASKED: tuple[str, ...] = (
    "acquire_leader",
    "renew_leader",
    "release_leader",
    "hand_over_leader",
    "write_sync",
)
TO_RETURN: tuple[str, ...] = (
    "start_postgres",
    "check_divergence",
    "rewind_postgres",
    "clone_postgres",
)


def draw_a_strike(
    chance: random.Random, at: Instant, names: Sequence[MemberName]
) -> Drawn:
    strike = chance.choice(STRIKES)
    return struck_at(at, strike(chance))


def struck_at(at: Instant, faults: Drawn) -> Drawn:
    """These faults, from this instant on."""
    return [replace(fault, at=round(at + fault.at, 2)) for fault in in_order(faults)]


def _some(chance: random.Random, least: Seconds, most: Seconds) -> Seconds:
    return round(chance.uniform(least, most), 1)


def _aimed(chance: random.Random, aims: Sequence[str], kinds: Sequence[str]) -> Fault:
    return Fault(
        0.0,
        chance.choice(kinds),
        (SENDER,),
        _some(chance, 3, 40),
        aim=chance.choice(aims),
    )


def the_leader_is_lost(chance: random.Random) -> Drawn:
    """And whoever is about to succeed it is struck, too."""
    return [
        Fault(0.0, chance.choice((*GONE, *STUCK)), (PRIMARY,), _some(chance, 25, 50)),
        _aimed(chance, TO_LEAD, AT_SENDER),
    ]


def the_leader_is_stuck(chance: random.Random) -> Drawn:
    """Past the end of its lease; nothing else."""
    kind = chance.choice(("freeze_daemon", "kill_daemon", "cut_from_store"))
    return [Fault(0.0, kind, (PRIMARY,), _some(chance, 25, 45))]


def the_store_answers_late(chance: random.Random) -> Drawn:
    """A renewal's answer waits in a stopped daemon, or in a slow network; then nothing is
    heard any more."""
    cut = Fault(0.0, "cut_from_store", (PRIMARY,), _some(chance, 30, 45))
    if chance.random() < 0.5:
        seconds = _some(chance, 3, 12)
        return [
            Fault(0.0, "freeze_daemon", (PRIMARY,), seconds, aim="leader_renewed"),
            replace(cut, targets=(SENDER,), aim="leader_renewed"),
        ]
    pause = _some(chance, 6, 20)
    slow = Fault(0.0, "slow_network", (PRIMARY,), pause, _some(chance, 0.5, 2.4))
    return [slow, replace(cut, at=pause)]


def two_ask_at_once(chance: random.Random) -> Drawn:
    """The best candidate's request is so late that the next one asks, too; and no watch
    tells either that the other was granted it."""
    span, late = _some(chance, 5, 15), _some(chance, 0.3, 2)
    return [
        Fault(0.0, chance.choice(GONE), (PRIMARY,), _some(chance, 25, 40)),
        Fault(0.0, "slow_network", (SENDER,), span, late, aim="acquire_leader"),
        Fault(0.0, "slow_watch", (), span, 2 * late + 1, aim="acquire_leader"),
    ]


def postgres_crashes_and_its_daemon_stops(chance: random.Random) -> Drawn:
    """The order to start it is read late."""
    aims = ("start_postgres", "start_postgres", "acquire_leader", "stop_postgres")
    stopped = Fault(
        0.0,
        chance.choice(("freeze_daemon", "suspend_host")),
        (SENDER,),
        _some(chance, 12, 40),
        aim=chance.choice(aims),
    )
    return [Fault(0.0, "kill_postgres", (PRIMARY,)), stopped]


def a_switchover_is_struck(chance: random.Random) -> Drawn:
    faults = [
        Fault(_some(chance, 0.5, 1), "switchover", ()),
        _aimed(chance, TO_HAND_OVER, (*AT_SENDER, "kill_postgres")),
    ]
    if chance.random() < 0.5:
        faults.append(Fault(0.0, "slow_stop", (PRIMARY,), 20, _some(chance, 1, 12)))
    return faults


def the_last_rows_reach_nobody(chance: random.Random) -> Drawn:
    """The leader is lost after it wrote what no standby has."""
    # Longer than a heartbeat: its position is published.
    pause = _some(chance, 5, 16)
    kind = chance.choice(("kill_host", "kill_host", "cut_off", "suspend_host"))
    faults = [
        Fault(0.0, "cut_from_peers", (PRIMARY,), pause + 1),
        Fault(pause, kind, (PRIMARY,), _some(chance, 25, 40)),
    ]
    if chance.random() < 0.3:
        faults.append(_aimed(chance, TO_RETURN, AT_SENDER))
    return faults


def the_leader_and_its_synchronous_standby_are_lost(chance: random.Random) -> Drawn:
    duration = _some(chance, 30, 60)
    return [
        Fault(0.0, chance.choice(GONE), (SYNC,), duration),
        Fault(_some(chance, 0, 1), chance.choice(GONE), (PRIMARY,), duration),
    ]


def only_one_is_left_that_has_fallen_behind(chance: random.Random) -> Drawn:
    # Whoever is silent for long is named no more.
    pause, duration = _some(chance, 0.3, 3), _some(chance, 30, 60)
    behind, ahead = chance.choice(((STANDBY, LAST), (LAST, STANDBY)))
    return [
        Fault(0.0, "cut_pair", (PRIMARY, behind), pause + 1),
        Fault(pause, chance.choice(GONE), (ahead,), duration),
        Fault(pause, chance.choice(GONE), (PRIMARY,), duration),
    ]


def the_standbys_change(chance: random.Random) -> Drawn:
    """A synchronous standby goes and comes back; half of the times the leader is struck
    amid the change."""
    kinds = ("kill_host", "cut_off", "suspend_host", "cut_from_peers", "stop_daemon")
    gone = Fault(0.0, chance.choice(kinds), (SYNC,), _some(chance, 3, 40))
    if chance.random() < 0.5:
        return [gone]
    aims = ("write_sync", "set_synchronous_standbys")
    return [gone, _aimed(chance, aims, (*AT_SENDER, "kill_postgres"))]


def a_standby_crashes(chance: random.Random) -> Drawn:
    """Its connection is closed at once, and it is back soon."""
    which = chance.choice((SYNC, STANDBY, LAST))
    again = Fault(_some(chance, 2, 20), "restart_postgres", (which,))
    return [Fault(0.0, "kill_postgres", (which,)), again]


def the_leader_stops_late(chance: random.Random) -> Drawn:
    """It steps down, and the order to stop waits."""
    late = Fault(
        0.0, "freeze_daemon", (SENDER,), _some(chance, 10, 40), aim="stop_postgres"
    )
    return [Fault(0.0, "cut_from_store", (PRIMARY,), _some(chance, 25, 45)), late]


def a_former_leader_returns(chance: random.Random) -> Drawn:
    gone = Fault(0.0, "kill_host", (PRIMARY,), _some(chance, 22, 35))
    return [gone, _aimed(chance, TO_RETURN, (*AT_SENDER, "kill_postgres"))]


def answers_are_lost(chance: random.Random) -> Drawn:
    """Many for long, or all of them for some seconds from a moment on: what was asked
    then may be carried out when nobody wants it any more."""
    lossy = Fault(
        0.0, "lose_answers", (), _some(chance, 20, 60), _some(chance, 0.2, 0.6)
    )
    if chance.random() < 0.7:
        span = _some(chance, 0.1, 12)
        aim = chance.choice(ASKED)
        lossy = replace(lossy, duration=span, amount=1.0, aim=aim)
    others = (
        the_leader_is_lost,
        a_switchover_is_struck,
        the_standbys_change,
        a_daemon_is_started_again,
    )
    return [lossy, *chance.choice(others)(chance)]


def a_daemon_is_started_again(chance: random.Random) -> Drawn:
    return [Fault(0.5, "stop_daemon", (PRIMARY,), _some(chance, 2, 15))]


def the_watch_is_late(chance: random.Random) -> Drawn:
    late = Fault(0.0, "slow_watch", (), _some(chance, 20, 60), _some(chance, 0.5, 6))
    other = chance.choice((the_leader_is_lost, a_switchover_is_struck))
    return [late, *other(chance)]


STRIKES: tuple[Strike, ...] = (
    the_last_rows_reach_nobody,
    the_standbys_change,
    only_one_is_left_that_has_fallen_behind,
    two_ask_at_once,
    the_leader_and_its_synchronous_standby_are_lost,
    the_store_answers_late,
    postgres_crashes_and_its_daemon_stops,
    a_switchover_is_struck,
    the_leader_is_lost,
    a_former_leader_returns,
    the_leader_is_stuck,
    the_watch_is_late,
    the_leader_stops_late,
    answers_are_lost,
    a_standby_crashes,
)


def an_end_is_told_late(chance: random.Random) -> Drawn:
    """PostgreSQL has been started again by then; and a switchover is asked for as soon."""
    late = _some(chance, 2, 8)
    return [
        Fault(0.0, "late_end", (PRIMARY,), 30, late),
        Fault(0.1, "kill_postgres", (PRIMARY,)),
        Fault(round(late + _some(chance, 0.1, 0.5), 1), "switchover"),
    ]


def the_leader_key_is_deleted(chance: random.Random) -> Drawn:
    """By a person, while the leader does not see it: alone, since a partition at this
    moment leaves two primaries, whoever decides."""
    return [
        Fault(0.0, "cut_from_store", (PRIMARY,), _some(chance, 3, 10)),
        Fault(0.5, "delete_leader_key"),
    ]
