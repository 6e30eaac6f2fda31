"""Alignment: how the clocks of the hosts lie to one another.

Wall clocks may be wrong by hours; boot clocks begin anywhere, but run evenly.  What
bends neither: a stamp that a member published was written before anybody saw it.
So each stamp seen is a bound, `written + offset <= seen`, and stamps in both
directions enclose the offset of two boot clocks (as in Cristian, "Probabilistic
clock synchronization", 1989).  Where nobody saw the other's stamps, the leader key
helps: all who watch see one revision at nearly the same time.  Where that is missing
too, the wall clocks are believed, and that is told.

An order made so contradicts no cause that crossed from one host to another.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from regnal.messages.base import MemberName, Seconds
from regnal.replay.evidence.track import Boot, Track, When

STRETCH: Seconds = 60.0
"""So long the drift of two clocks does not matter."""

DRIFT = 50e-6
"""Seconds a second by which two quartz clocks part, at most (RFC 5905 allows 15 ppm for
a disciplined one): a bound of one time holds at another with so much more room."""

SIMULTANEOUS: Seconds = 0.25
"""How far apart watchers may see a revision of the leader key, each way."""

SKEW_WORTH_TELLING: Seconds = 0.5


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an offset is enclosed by, in one stretch of time."""

    least: Seconds
    most: Seconds

    @property
    def middle(self) -> Seconds:
        return (self.least + self.most) / 2


@dataclass(frozen=True, slots=True)
class Skew:
    """How a member's wall clock differs from that of most of them."""

    member: MemberName
    ahead: Seconds
    """Negative: behind."""


class Offsets:
    """From one boot clock to another: `of(at)` is to be added to `at`."""

    def __init__(self, stretches: Sequence[tuple[Seconds, Seconds]]) -> None:
        """Offsets, each with the instant that it was found for, in order."""
        self._stretches = stretches

    def of(self, at: Seconds) -> Seconds:
        """Between two stretches in proportion; beyond them as at their end."""
        before, after = None, None
        for instant, offset in self._stretches:
            if instant <= at:
                before = (instant, offset)
            else:
                after = (instant, offset)
                break
        if before is None or after is None:
            nearest = before or after
            assert nearest is not None
            return nearest[1]
        share = (at - before[0]) / (after[0] - before[0])
        return before[1] + share * (after[1] - before[1])


class Clocks:
    """One time for all: seconds since 1970, by the wall clock of most members."""

    def __init__(
        self,
        chains: dict[Boot, tuple[Offsets, ...]],
        by_wall: dict[Boot, Seconds],
        epoch: Seconds,
        skews: tuple[Skew, ...],
    ) -> None:
        self._chains = chains
        self._by_wall = by_wall
        self._epoch = epoch
        self.skews = skews
        """Of the members whose clock is off by more than is worth telling."""

    def moment(self, when: When) -> Seconds:
        """Seconds since 1970."""
        chain = self._chains.get(when.boot)
        if chain is None:
            return when.at + self._by_wall.get(when.boot, 0.0)
        at = when.at
        for offsets in chain:
            at += offsets.of(at)
        return at + self._epoch

    def is_sure_of(self, boot: Boot) -> bool:
        """False: for this boot only its wall clock tells."""
        return boot in self._chains


def aligned(tracks: Iterable[Track]) -> Clocks:
    """The clocks of all boots in these tracks."""
    tracks = tuple(tracks)
    boots = _boots(tracks)
    samples = _samples(tracks)
    if not boots:
        return Clocks({}, {}, 0.0, ())
    reference = max(boots, key=lambda boot: (_reach(samples, boot), boots[boot]))
    chains = _chains(reference, samples)
    opinions = _opinions(tracks, chains)
    epoch = _agreed(opinions)
    skews = tuple(
        Skew(member, opinion - epoch)
        for member, opinion in sorted(opinions.items())
        if abs(opinion - epoch) >= SKEW_WORTH_TELLING
    )
    by_wall = {
        life.boot: life.wall_offset
        for track in tracks
        for life in track.lives
        if life.boot not in chains
    }
    return Clocks(chains, by_wall, epoch, skews)


def _agreed(opinions: dict[MemberName, Seconds]) -> Seconds:
    """That of most; of two that differ nobody knows which is right: the first's."""
    if len(opinions) < MAJORITY:
        return next(iter(opinions.values()))
    return median(opinions.values())


MAJORITY = 3
"""Clocks that are needed to outvote one."""

Samples = dict[tuple[Boot, Boot], list[tuple[Seconds, Seconds]]]
"""By the boots of writer and reader: the instant of writing, and how much later by
the reader's clock it was seen."""


def _boots(tracks: Sequence[Track]) -> dict[Boot, int]:
    """Every boot, with how many records it has."""
    boots: dict[Boot, int] = defaultdict(int)
    for track in tracks:
        for life in track.lives:
            boots[life.boot] += max(0, life.last_record - life.first_record) + 1
    return dict(boots)


def _samples(tracks: Sequence[Track]) -> Samples:
    published = {track.member: track.published for track in tracks}
    samples: Samples = defaultdict(list)
    for track in tracks:
        for stamp in track.seen:
            written = published.get(stamp.member, {}).get(stamp.hlc)
            if written is not None and written.boot != stamp.seen.boot:
                pair = (written.boot, stamp.seen.boot)
                samples[pair].append((written.at, stamp.seen.at - written.at))
    return dict(samples) | _simultaneous(tracks, samples)


def _simultaneous(tracks: Sequence[Track], known: Samples) -> Samples:
    """The leader key as all saw it, for pairs that have no stamps in both directions."""
    first: dict[str, dict[Boot, Seconds]] = defaultdict(dict)
    for track in tracks:
        for key in track.leader_keys:
            if key.revision:
                first[key.revision].setdefault(key.when.boot, key.when.at)
    samples: Samples = defaultdict(list)
    for seen in first.values():
        for one, at in seen.items():
            for other, other_at in seen.items():
                if one == other or ((one, other) in known and (other, one) in known):
                    continue
                samples[one, other].append((at, other_at - at + SIMULTANEOUS))
    return {pair: [*known.get(pair, ()), *found] for pair, found in samples.items()}


def _reach(samples: Samples, boot: Boot) -> int:
    return sum(len(found) for pair, found in samples.items() if boot in pair)


def _chains(reference: Boot, samples: Samples) -> dict[Boot, tuple[Offsets, ...]]:
    """How to come from each boot that can be reached to the reference."""
    chains: dict[Boot, tuple[Offsets, ...]] = {reference: ()}
    frontier = [reference]
    while frontier:
        near = frontier.pop(0)
        for far in sorted({boot for pair in samples for boot in pair} - set(chains)):
            offsets = _offsets(far, near, samples)
            if offsets is not None:
                chains[far] = (offsets, *chains[near])
                frontier.append(far)
    return chains


def _offsets(far: Boot, near: Boot, samples: Samples) -> Offsets | None:
    """To be added to `far` to come to `near`; None: nothing encloses it."""
    least: dict[int, Seconds] = {}
    most: dict[int, Seconds] = {}
    for written, later in samples.get((far, near), ()):
        stretch = int(written // STRETCH)
        most[stretch] = min(later, most.get(stretch, later))
    for written, later in samples.get((near, far), ()):
        stretch = int((written + later) // STRETCH)
        least[stretch] = max(-later, least.get(stretch, -later))
    stretches = sorted(least.keys() | most.keys())
    if not stretches:
        return None
    bounds = [
        Bounds(least.get(one, -UNBOUNDED), most.get(one, UNBOUNDED))
        for one in stretches
    ]
    spread = _spread(stretches, bounds)
    return Offsets(
        [
            ((stretch + 0.5) * STRETCH, _within(bound))
            for stretch, bound in zip(stretches, spread, strict=True)
        ]
    )


UNBOUNDED: Seconds = 1e18


def _spread(stretches: Sequence[int], bounds: Sequence[Bounds]) -> list[Bounds]:
    """What is known of one stretch tells of its neighbours, too, but for the drift.

    Where that contradicts what is known there, a clock jumped (a machine was halted and
    went on): then only what is known there counts.
    """
    spread = list(bounds)
    forwards = range(1, len(stretches))
    backwards = range(len(stretches) - 2, -1, -1)
    for order, step in ((forwards, -1), (backwards, 1)):
        for index in order:
            near = spread[index + step]
            room = abs(stretches[index] - stretches[index + step]) * STRETCH * DRIFT
            both = Bounds(
                max(spread[index].least, near.least - room),
                min(spread[index].most, near.most + room),
            )
            if both.least <= both.most:
                spread[index] = both
    return spread


def _within(bound: Bounds) -> Seconds:
    """In the middle; at the bound, where there is one only."""
    if bound.least <= -UNBOUNDED / 2:
        return bound.most
    if bound.most >= UNBOUNDED / 2:
        return bound.least
    return bound.middle


def _opinions(
    tracks: Sequence[Track], chains: dict[Boot, tuple[Offsets, ...]]
) -> dict[MemberName, Seconds]:
    """What each member's wall clock says of the reference's boot clock's beginning."""
    opinions = {}
    for track in tracks:
        for life in reversed(track.lives):
            chain = chains.get(life.boot)
            if chain is None:
                continue
            at = life.began.at
            for offsets in chain:
                at += offsets.of(at)
            steps = sum(
                step for when, step in track.wall_steps if when.boot == life.boot
            )
            opinions[track.member] = life.wall_offset + life.began.at - at + steps
            break
    return opinions
