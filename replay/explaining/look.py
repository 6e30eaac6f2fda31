"""A look at one outage: what the rules of `cause_rules` ask of the evidence."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from regnal.messages.base import MemberName, Seconds
from regnal.replay.evidence.evidence import Evidence, Happening, LifeSpan, Moment
from regnal.replay.evidence.gaps import (
    JUST_NOW,
    LOOK_BACK,
    Gap,
    renewal_troubles,
    stalls_around,
)

UNFENCED = ("GUARD_FAILED", "WATCHDOG_FAILED", "WATCHDOG_NOT_USABLE")
"""Codes of the reasons for which a leader steps down that could not be fenced."""

NO_ROOM_BYTES = 16 * 1024 * 1024
"""A file system with less room cannot take the next segment of WAL."""

NO_ROOM_SHARE = 0.002


@dataclass(frozen=True)
class Look:
    """One gap in writing, and what surrounds it."""

    evidence: Evidence
    gap: Gap

    @property
    def member(self) -> MemberName:
        """Who wrote before."""
        return self.gap.member

    @property
    def ended_writing(self) -> Moment:
        return self.gap.before.until

    @property
    def end(self) -> Moment:
        """When somebody wrote again, or the journals end."""
        return self.evidence.end if self.gap.ended is None else self.gap.ended

    @property
    def just_before(self) -> Moment:
        """A little before writing ended; not so early that it had ended before."""
        return max(self.gap.before.since, self.ended_writing - JUST_NOW)

    @cached_property
    def life(self) -> LifeSpan | None:
        """Of the daemon, when writing ended; None: its journal is missing."""
        return self.evidence.life_at(self.member, self.ended_writing)

    @cached_property
    def vanished(self) -> bool:
        """Whether the daemon was gone, without a word, when writing ended."""
        life = self.life
        return life is not None and life.last < self.ended_writing - CLOSE

    @cached_property
    def next_life(self) -> LifeSpan | None:
        return self.evidence.life_after(self.life) if self.life is not None else None

    @cached_property
    def began_switchover(self) -> Happening | None:
        """The step with which the former leader began a planned change."""
        step = self._last("election/begin_the_switchover", LOOK_BACK)
        return None if step is None or step.data.get("refused") else step

    @cached_property
    def told_to_stop(self) -> Happening | None:
        """The daemon's own end, asked for."""
        return self.evidence.last(
            max(self.gap.began - JUST_NOW, self.gap.before.since),
            self.ended_writing + JUST_NOW,
            "shutdown_requested",
            member=self.member,
        )

    @cached_property
    def restarted_by_request(self) -> Happening | None:
        return self._last("election/restart_this_member", JUST_NOW)

    @cached_property
    def exits(self) -> tuple[Happening, ...]:
        """Ends of the postmaster that nobody had ordered, until somebody wrote again."""
        return tuple(
            exited
            for exited in self.evidence.between(
                self.just_before,
                self.end,
                "postmaster_exited",
                member=self.member,
            )
            if not exited.data.get("expected")
        )

    @cached_property
    def exit(self) -> Happening | None:
        """The one with which writing ended, seen by a daemon that ran."""
        for exited in self.exits:
            if exited.moment <= self.ended_writing + JUST_NOW:
                return exited
        return None

    @cached_property
    def fenced(self) -> Happening | None:
        """What the guard did, whenever it was told."""
        for told in self.evidence.between(
            self.just_before,
            self.evidence.end,
            "guard_fenced",
            member=self.member,
        ):
            if self.gap.before.known in ("fenced", "late"):
                return told
        return None

    @cached_property
    def demoted(self) -> Happening | None:
        """The order to stop writing at once."""
        for order in self.evidence.between(
            max(self.gap.before.since, self.gap.began - JUST_NOW),
            self.ended_writing + JUST_NOW,
            "demote_postgres",
            member=self.member,
        ):
            if order.data.get("mode") != "graceful":
                return order
        return None

    @cached_property
    def stopped_unfenced(self) -> Happening | None:
        """The order to stop in good order, since nothing would have ended writing with
        the lease."""
        for order in self.evidence.between(
            max(self.gap.before.since, self.gap.began - LOOK_BACK),
            self.ended_writing + JUST_NOW,
            "demote_postgres",
            member=self.member,
        ):
            reason = order.data.get("reason")
            if isinstance(reason, dict) and reason.get("code") in UNFENCED:
                return order
        return None

    @cached_property
    def demotion_reason(self) -> str:
        """Code of the reason of that order; empty: there was none."""
        reason = self.demoted.data.get("reason") if self.demoted is not None else None
        return str(reason.get("code", "")) if isinstance(reason, dict) else ""

    @cached_property
    def stall(self) -> Happening | None:
        """The absence of the daemon in which writing ended."""
        return next(iter(stalls_around(self.evidence, self.gap.before)), None)

    @cached_property
    def lease_troubles(self) -> tuple[Happening, ...]:
        """Renewals without an answer, or with a no, before writing ended."""
        return tuple(renewal_troubles(self.evidence, self.gap.before))

    @cached_property
    def others(self) -> tuple[MemberName, ...]:
        return tuple(m for m in self.evidence.members if m != self.member)

    def lost_the_store(self, member: MemberName) -> bool | None:
        """Whether the member, too, was without answers at any time from the first trouble
        until writing ended; None: its journal does not tell."""
        life = self.evidence.life_at(member, self.ended_writing)
        if life is None or life.last < self.gap.began:
            return None
        since = self.ended_writing - JUST_NOW
        if self.lease_troubles:
            since = min(since, self.lease_troubles[0].moment)
        until = self.ended_writing + JUST_NOW
        return any(
            self.evidence.overlapping(member, "store", "unreachable", since, until)
        )

    def request_in_key(self) -> dict[str, Any] | None:
        """The failover key, as the successor last saw it before it led."""
        for member in (self.gap.successor, *self.evidence.members):
            track = self.evidence.tracks.get(member or "")
            if track is None:
                continue
            found = [
                key.request
                for key in track.leader_keys
                if key.request is not None
                and self.gap.began - JUST_NOW
                <= self.evidence.clocks.moment(key.when)
                <= self.end + JUST_NOW
            ]
            return found[-1] if found else None
        return None

    def _last(self, what: str, back: Seconds) -> Happening | None:
        return self.evidence.last(
            max(self.gap.before.since, self.ended_writing - back),
            self.ended_writing + JUST_NOW,
            what,
            member=self.member,
        )


CLOSE: Seconds = 0.05
"""What a daemon writes down last may be that much older than what it saw last."""


def has_no_room(exited: Happening) -> dict[str, Any] | None:
    """The file system without room just after this end, if there is one."""
    for disk in exited.data.get("disks") or ():
        if not isinstance(disk, dict):
            continue
        free, size = disk.get("free"), disk.get("size")
        if not isinstance(free, int) or not isinstance(size, int):
            continue
        if free < NO_ROOM_BYTES or free < NO_ROOM_SHARE * size:
            return disk
    return None
