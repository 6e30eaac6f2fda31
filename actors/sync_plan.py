"""In which order the `sync` key and synchronous_standby_names may change.

The law.  Let the key name the voters K with quorum q, and let PostgreSQL wait for
n of the standbys V.  A commit is acknowledged when n of V have it.  A member is
promoted when it is level with q others of K besides itself; with q = 0 (priority
mode) every member of K may be promoted as it is.  So nothing acknowledged is lost
if every q + 1 of K and every n of V have a member in common:

    K is empty, or  |K and V together| <= q + n                (P-QUORUM-02)

For priority mode that says: K is part of V, and V must acknowledge as a whole.
It holds at every moment, in the store and in PostgreSQL as they really are, since
a step is only taken if it holds before and after for each value that the other one
may have: an unanswered write counts as both done and not done (`may_write_key`,
`may_set_value`).

What was acknowledged before V came into force is the other half.  Commits up to
the WAL position where it did are only known to be on standbys that have flushed
that far (P-SYNC-05).  So a new key must have at most q members that have not; or be
no weaker than the old one: whoever it would let win would have won before.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from regnal.actors.standby_names import EVERYBODY, NOBODY, StandbyNames, standby_names


@dataclass(frozen=True, slots=True)
class Electors:
    """Whom the key lets be promoted."""

    names: tuple[str, ...] = ()
    """In lower case, sorted."""

    quorum: int = 0


NO_ELECTORS = Electors()
"""Nobody but the leader itself."""


@dataclass(frozen=True, slots=True)
class SyncSituation:
    """Key and parameter as they may be, and as they are wanted."""

    keys: tuple[Electors | None, ...]
    """What the key may say, the first is what we know; None: it restricts nobody."""

    values: tuple[StandbyNames | None, ...]
    """What PostgreSQL may wait for, likewise; None: not known."""

    wanted: tuple[str, ...]
    """In lower case, sorted."""

    count: int
    """How many of `wanted` must acknowledge."""

    by_quorum: bool
    single: bool
    """Whether PostgreSQL is too old to wait for more than one (P-SYNC-16)."""

    strict: bool
    """Whether commits wait for anybody where there is nobody in particular."""

    streaming: tuple[str, ...]
    caught_up: tuple[str, ...]
    """Who has flushed all that was there when the value came into force."""

    reported: tuple[str, ...]
    """Whom PostgreSQL itself calls synchronous."""

    @property
    def key(self) -> Electors | None:
        return self.keys[0]

    @property
    def value(self) -> StandbyNames | None:
        return self.values[0]

    @property
    def target(self) -> StandbyNames:
        """The value that is wanted in the end."""
        if not self.wanted:
            return EVERYBODY if self.strict else NOBODY
        return standby_names(self.wanted, self.count, by_quorum=self.by_quorum)


@dataclass(frozen=True, slots=True)
class WriteKey:
    electors: Electors
    why: str


@dataclass(frozen=True, slots=True)
class SetValue:
    value: StandbyNames
    why: str


Change = WriteKey | SetValue


def is_safe(value: StandbyNames | None, key: Electors | None) -> bool:
    """The law above."""
    if key is None:
        return False
    if not key.names:
        return True
    if value is None or value.everybody:
        return False
    together = len(_all_of(key.names, value.names))
    return together <= key.quorum + value.count


def may_set_value(situation: SyncSituation, value: StandbyNames) -> bool:
    return all(is_safe(value, key) for key in situation.keys)


def may_write_key(situation: SyncSituation, new: Electors) -> bool:
    if not new.names or new == situation.key:
        return True
    if not all(is_safe(value, new) for value in situation.values):
        return False
    return _is_proven(situation, new) or all(
        _is_no_weaker(new, old) for old in situation.keys
    )


def next_change(situation: SyncSituation) -> Change | None:
    """The first change on the way that is allowed and changes something."""
    for change in _proposals(situation):
        if not _is_so_already(situation, change) and _is_allowed(situation, change):
            return change
    return None


def _is_allowed(situation: SyncSituation, change: Change) -> bool:
    match change:
        case WriteKey(electors=electors):
            return may_write_key(situation, electors)
        case SetValue(value=value):
            return may_set_value(situation, value)


def _is_so_already(situation: SyncSituation, change: Change) -> bool:
    """Whether it is known to be so: what may be otherwise is written again."""
    match change:
        case WriteKey(electors=electors):
            return situation.keys == (electors,)
        case SetValue(value=value):
            known = situation.value
            if known is None or len(situation.values) > 1:
                return False
            return value.says_the_same(known)


def _proposals(situation: SyncSituation) -> Iterator[Change]:
    key, value = situation.key, situation.value
    if key is None:
        yield WriteKey(NO_ELECTORS, "claim_the_sync_key")
        return
    if not is_safe(value, key):
        yield from _corrections(key, value)
        return
    if situation.by_quorum or key.quorum > 0:
        yield from _towards_quorum(situation, key)
    else:
        yield from _towards_priority(situation, key)
    # Where nothing else is allowed because of what may be otherwise: ask for what we
    # know once more.  A granted answer settles it, and changes nothing.
    yield WriteKey(key, "settle_the_sync_key")
    if value is not None:
        yield SetValue(value, "settle_the_standby_names")


def _corrections(key: Electors, value: StandbyNames | None) -> Iterator[Change]:
    """P-SYNC-08: somebody changed one of the two: the key is corrected first."""
    why = "correct_the_sync_key"
    if value is not None and not value.everybody and value.count:
        if key.quorum > 0:
            together = len(_all_of(key.names, value.names))
            yield WriteKey(Electors(key.names, together - value.count), why)
        elif value.needs_all:
            both = tuple(name for name in key.names if name in value.names)
            yield WriteKey(Electors(both), why)
    yield WriteKey(NO_ELECTORS, why)


def _towards_priority(situation: SyncSituation, key: Electors) -> Iterator[Change]:
    """SYNC-02: out of the key before out of PostgreSQL, into PostgreSQL before into
    the key."""
    there = tuple(name for name in key.names if name in situation.streaming)
    if there != key.names:
        yield WriteKey(Electors(there), "withdraw_lost_standbys")
    value = situation.value
    ready = tuple(
        name
        for name in situation.wanted
        if name in key.names or _is_synchronous(situation, name)
    )
    if len(ready) < len(situation.wanted):
        # A standby that works is let go when the one in its place is in the key.
        ready = _all_of(ready, there)
    yield WriteKey(Electors(ready), "publish_synchronous_standbys")
    names = _all_of(situation.wanted, key.names)
    if situation.single and len(names) > 1:
        yield WriteKey(NO_ELECTORS, "withdraw_replaced_standby")
    elif names:
        yield SetValue(standby_names(names, len(names)), "choose_synchronous_standbys")
    elif value is not None:
        yield SetValue(situation.target, "choose_synchronous_standbys")


def _is_synchronous(situation: SyncSituation, name: str) -> bool:
    value = situation.value
    return (
        value is not None
        and value.needs_all
        and name in value.names
        and name in situation.caught_up
        and name in situation.reported
    )


def _towards_quorum(situation: SyncSituation, key: Electors) -> Iterator[Change]:
    """P-QUORUM-02: at most three steps, since the first may always be to let nobody
    win who does not have the votes under both the old and the new value."""
    target = situation.target
    voters = situation.wanted
    electors = Electors(voters, len(voters) - target.count if voters else 0)
    yield WriteKey(electors, "publish_voters")
    yield SetValue(target, "choose_synchronous_standbys")
    value = situation.value
    if value is None or value.everybody or target.everybody:
        return
    together = _all_of(key.names, value.names, voters)
    if may_set_value(situation, target):
        return
    yield WriteKey(
        Electors(together, len(together) - min(value.count, target.count)),
        "ask_for_more_votes",
    )


def _is_proven(situation: SyncSituation, new: Electors) -> bool:
    """Whether what was acknowledged so far is with all but `quorum` of them."""
    key = situation.key
    # With q = 0 everybody in the key has everything: that is what it says.
    proven = key.names if key is not None and key.quorum == 0 else ()
    have = [n for n in new.names if n in proven or n in situation.caught_up]
    return len(have) >= len(new.names) - new.quorum


def _is_no_weaker(new: Electors, old: Electors | None) -> bool:
    """Whether all who could win with the new key would have had the votes before."""
    if old is None:
        return False
    added = sum(1 for name in new.names if name not in old.names)
    return new.quorum - added >= old.quorum


def _all_of(*groups: tuple[str, ...]) -> tuple[str, ...]:
    """Every name of them once, sorted."""
    return tuple(sorted(dict.fromkeys(name for group in groups for name in group)))
