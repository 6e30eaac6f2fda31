"""Scenes: the tracks of a cluster, made by hand, for tests of what is concluded of them.

    scene = Scene("pg1", "pg2", "pg3")          # pg1 leads from second 5 on
    scene.exit("pg1", 50.0, signal=9)
    scene.leads("pg2", 52.0, timeline=2)
    evidence = scene.evidence()

Seconds are those of the boot clock of each host; all hosts have one boot, unless a scene
says otherwise.
"""

from dataclasses import replace
from typing import Any

from regnal.messages.base import MemberName, Seconds
from regnal.replay.evidence.evidence import Evidence, evidence_of
from regnal.replay.evidence.gaps import Gap, gaps
from regnal.replay.evidence.incidents import Incident, incidents
from regnal.replay.evidence.reigns import reigns
from regnal.replay.evidence.track import (
    Boot,
    End,
    KeySeen,
    LaneName,
    Life,
    Mark,
    Position,
    SettingsSeen,
    Stamp,
    Track,
    When,
)

BOOT: Boot = "boot"
WALL = 1_800_000_000.0
"""Seconds since 1970 when the boot clock began."""

END: Seconds = 200.0

SETTINGS: dict[str, Any] = {
    "ttl": 30.0,
    "loop_wait": 10.0,
    "retry_timeout": 10.0,
    "synchronous_mode": "off",
    "failsafe_mode": False,
    "primary_start_timeout": 300.0,
    "guard": True,
    "paused": False,
    "use_pg_rewind": True,
}


class Scene:
    """A healthy cluster, to which a test adds what happened."""

    def __init__(
        self, *members: MemberName, leader: MemberName = "pg1", **settings: Any
    ) -> None:
        self.tracks = {name: Track(member=name) for name in members}
        self._numbers = dict.fromkeys(members, 0)
        self._revision = 10
        self._dead: set[MemberName] = set()
        for name in members:
            self._begin(name, BOOT, 0.0, 1)
            values = {**SETTINGS, **settings, "name": name}
            self.tracks[name].settings.append(SettingsSeen(self.when(1.0), values, 0))
            self.lane(name, "store", 1.0, "reachable")
            self.lane(name, "paused", 1.0, "automatic")
        self.key(leader, 5.0)
        self.mark(leader, 5.0, "leader_acquired")
        self.lane(leader, "lease", 5.0, "held")
        self.lane(leader, "postgres", 5.0, "primary")
        for name in members:
            if name != leader:
                self.lane(name, "postgres", 6.0, "standby")
                self.lane(name, "replication", 6.0, "streaming")

    # What a test says.

    def when(self, at: Seconds, boot: Boot = BOOT) -> When:
        return When(boot, at)

    def mark(
        self, member: MemberName, at: Seconds, what: str, /, **data: Any
    ) -> "Scene":
        """A message of this type, or `election/rule` with its facts."""
        self._numbers[member] += 1
        number = self._numbers[member]
        life = self.tracks[member].lives[-1]
        self.tracks[member].marks.append(
            Mark(
                When(life.boot, at),
                what,
                data,
                number,
                f"{member}/{life.incarnation}/{number}",
                life.incarnation,
            )
        )
        return self

    def lane(
        self, member: MemberName, lane: LaneName, at: Seconds, state: str
    ) -> "Scene":
        boot = self.tracks[member].lives[-1].boot
        self.tracks[member].change(lane, When(boot, at), state, 0)
        return self

    def key(
        self,
        holder: MemberName | None,
        at: Seconds,
        request: dict[str, Any] | None = None,
        seen_by: tuple[MemberName, ...] | None = None,
    ) -> "Scene":
        """From now on all that live (or these) see this leader key."""
        if holder is not None:
            self._revision += 1
        for name, track in self.tracks.items():
            sees = name not in self._dead if seen_by is None else name in seen_by
            if sees:
                when = When(track.lives[-1].boot, at)
                revision = str(self._revision) if holder is not None else ""
                names = tuple(self.tracks)
                track.leader_keys.append(
                    KeySeen(when, holder, revision, request, names, 0)
                )
                track.change("leader", when, holder or "nobody", 0)
        return self

    def exit(self, member: MemberName, at: Seconds, **data: Any) -> "Scene":
        """Its postmaster ends unasked, under the daemon's eyes."""
        self.lane(member, "postgres", at, "absent")
        return self.mark(
            member,
            at,
            "postmaster_exited",
            **{
                "pid": 1,
                "exit_status": None,
                "signal": None,
                "expected": False,
                "oom_killed": False,
                **data,
            },
        )

    def vanish(self, member: MemberName, at: Seconds) -> "Scene":
        """The daemon writes nothing after this."""
        life = self.tracks[member].lives[-1]
        life.last = When(life.boot, at)
        life.end = "vanished"
        self.tracks[member].change("daemon", life.last, "absent", 0)
        self._dead.add(member)
        return self

    def start(
        self,
        member: MemberName,
        at: Seconds,
        *,
        boot: Boot = BOOT,
        last_reset: str | None = None,
    ) -> "Scene":
        """Another life of its daemon."""
        self._dead.discard(member)
        lives = self.tracks[member].lives
        self._begin(member, boot, at, lives[-1].incarnation + 1)
        lives[-1].last_reset = last_reset
        for lane in ("postgres", "replication", "lease", "store", "leader"):
            self.lane(member, lane, at, "unknown")
        self.lane(member, "store", at + 0.1, "reachable")
        return self

    def streams_end(self, at: Seconds, *members: MemberName) -> "Scene":
        """The streams of these standbys end, or of all."""
        for name in members or self._standbys():
            self.lane(name, "replication", at, "ended")
            self.mark(name, at, "replication_ended", received_lsn=1000)
        return self

    def leads(
        self,
        member: MemberName,
        at: Seconds,
        *,
        timeline: int = 2,
        key_gone: Seconds = -1,
    ) -> "Scene":
        """It takes the lease, and is promoted a tenth of a second later."""
        if key_gone >= 0:
            self.key(None, key_gone)
        self.mark(member, at, "leader_acquired", member=member)
        self.lane(member, "lease", at, "held")
        self.key(member, at + 0.01)
        self.mark(
            member,
            at + 0.1,
            "postgres_promoted",
            timeline=timeline,
            lsn=1100,
            history=[{"timeline": timeline - 1, "lsn": 1000, "reason": "x"}],
        )
        self.lane(member, "replication", at + 0.1, "none")
        self.lane(member, "postgres", at + 0.1, "primary")
        for name in self._standbys():
            if name != member:
                self.lane(name, "replication", at + 0.5, "streaming")
        return self

    def restarts(self, member: MemberName, at: Seconds) -> "Scene":
        """Its PostgreSQL takes writes again."""
        self.mark(member, at, "postgres_started", role="primary")
        return self.lane(member, "postgres", at, "primary")

    def cut_from_store(
        self, member: MemberName, at: Seconds, until: Seconds | None = None
    ) -> "Scene":
        self.lane(member, "store", at, "unreachable")
        self.mark(member, at, "store_unreachable", error="timed out")
        if until is not None:
            self.lane(member, "store", until, "reachable")
        return self

    def steps_down(self, member: MemberName, at: Seconds, code: str) -> "Scene":
        """At once, for this reason."""
        self.mark(
            member,
            at,
            "demote_postgres",
            mode="offline",
            reason={"code": code, "parameters": []},
        )
        return self.lane(member, "postgres", at + 0.05, "stopping")

    def position(self, member: MemberName, at: Seconds, lsn: int) -> "Scene":
        self.tracks[member].positions.append(Position(self.when(at), lsn))
        return self

    def stamp(
        self, writer: MemberName, written: When, reader: MemberName, seen: When
    ) -> "Scene":
        """A hybrid stamp that one published and another saw."""
        text = f"{writer}@{written.at}"
        self.tracks[writer].published[text] = written
        self.tracks[reader].seen.append(Stamp(writer, text, seen))
        return self

    def without(self, *members: MemberName) -> "Scene":
        """The journals of these are not there."""
        for name in members:
            del self.tracks[name]
        return self

    # What a test asks.

    def evidence(self) -> Evidence:
        return evidence_of(self.tracks.values())

    def incidents(self) -> tuple[Incident, ...]:
        return incidents(self.evidence())

    def gap(self) -> Gap:
        """The first outage."""
        evidence = self.evidence()
        return next(gaps(evidence, reigns(evidence)))

    def _begin(
        self, member: MemberName, boot: Boot, at: Seconds, incarnation: int
    ) -> None:
        track = self.tracks[member]
        track.lives.append(
            Life(
                incarnation=incarnation,
                boot=boot,
                began=When(boot, at),
                last=When(boot, END),
                wall_offset=WALL,
                scope="demo",
                end="open",
                first_record=incarnation * 1000,
                last_record=incarnation * 1000 + 900,
            )
        )
        track.change("daemon", When(boot, at), "running", 0)

    def _standbys(self) -> list[MemberName]:
        return [
            name
            for name, track in self.tracks.items()
            if name not in self._dead
            and track.lane("postgres")
            and track.lane("postgres")[-1].state == "standby"
        ]


def ended(scene: Scene, member: MemberName, end: End) -> Scene:
    """The same, but this member's last life ended so."""
    lives = scene.tracks[member].lives
    lives[-1] = replace(lives[-1], end=end)
    return scene
