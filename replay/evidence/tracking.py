"""Tracking: makes a member's track of its journal, in one pass.

Read `Tracker._MARKED`: what is worth a mark by itself; the methods below keep the lanes.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from regnal.journal.chain_check import Damage
from regnal.journal.reader import EVERYTHING, Window
from regnal.messages.base import Seconds
from regnal.replay.evidence.reading import Entry, entries
from regnal.replay.evidence.track import (
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
from regnal.replay.evidence.wall import wall_seconds

KEEP_STAMPS = 50_000
"""Stamps of a track; of more, every other is dropped."""

POSITION_EVERY: Seconds = 1.0
"""Of the WAL positions of a primary that writes all the time."""

MARKED = frozenset(
    {
        # The daemon and its host.
        "daemon_started",
        "shutdown_requested",
        "shutdown_completed",
        "actor_failed",
        "actors_late",
        "stall_noticed",
        "clock_stepped",
        "clock_skew_seen",
        "exit_daemon",
        # Fencing.
        "guard_fenced",
        "guard_failed",
        "guard_started",
        "fencing_judged",
        "watchdog_failed",
        "watchdog_activated",
        "watchdog_not_usable",
        # The lease and the store.
        "leader_acquired",
        "leader_released",
        "leader_handed_over",
        "lease_refused",
        "lease_unconfirmed",
        "release_leader",
        "withdraw_hand_over",
        "store_unreachable",
        "store_answered",
        "key_refused",
        "key_unconfirmed",
        "failsafe_answered",
        "peers_probed",
        # PostgreSQL.
        "postmaster_exited",
        "replication_ended",
        "postgres_started",
        "postgres_stopped",
        "postgres_promoted",
        "postgres_rewound",
        "postgres_cloned",
        "crash_recovered",
        "data_directory_removed",
        "database_initialised",
        "divergence_checked",
        "pre_promote_ended",
        "operation_failed",
        "stop_postgres",
        "demote_postgres",
        "become_primary",
        "intent_failed",
        "intent_refused",
        # Who is there, and who is synchronous.
        "leader_elected",
        "leader_lost",
        "member_joined",
        "member_left",
        "write_sync",
        "synchronous_standbys_set",
        # What people asked for.
        "switchover_requested",
        "switchover_cancel_requested",
        "restart_requested",
        "reinitialize_requested",
        "config_patch_requested",
        "config_replace_requested",
        "request_rejected",
        "request_answered",
        "configuration_rejected",
        # Incidents.
        "incident_opened",
        "incident_settled",
        "incident_acknowledged",
    }
)
"""Messages that are marks by themselves."""

UNREMARKABLE_RULES = frozenset(
    {
        "",
        "keep_leading",
        "keep_following",
        "keep_hands_off_in_pause",
        "wait_for_the_supervisor",
        "wait_to_be_informed",
        "wait_for_the_answers",
        "wait_for_the_last_record",
        "look_whether_we_stream",
    }
)
"""Rules of election that say that there is nothing to do, or not yet."""


def track_of(
    directory: Path,
    window: Window = EVERYTHING,
    progress: Callable[[int], None] = lambda size: None,
) -> Track:
    """The track of the journal in `directory`.  Raises OSError.

    `progress` is told of bytes read.
    """
    tracker = Tracker()
    for entry in entries(
        directory, window, wanted=tracker.wants, damaged=tracker.note_damage
    ):
        tracker.take(entry)
        progress(len(entry.record.line))
    return tracker.finish()


class Tracker:
    """Takes the entries of one journal in their order."""

    def __init__(self) -> None:
        self.track = Track(member="")
        self._boot = ""
        self._hlc_seen: dict[str, str] = {}
        self._misfits = 0
        self._sent: dict[str, When] = {}
        """Renewals of the lease that are not answered yet."""

        self._renewals_trouble = False
        """Whether the last renewal was answered late, or not at all."""

        self._observers: Mapping[str, Callable[[Entry, When], None]] = {
            "cluster_observed": self._cluster,
            "configuration_applied": self._configuration,
            "postgres_observed": self._postgres,
            "phase_changed": self._phase,
            "touch_member": self._touched,
            "renew_leader": self._asked_to_renew,
            "leader_renewed": self._renewed,
        }
        self._seen_types = {name.encode() for name in (*MARKED, *self._observers)}

    def wants(self, what: bytes) -> bool:
        """Whether records of this type, or of this `actor/rule`, are of use here."""
        actor, slash, rule = what.partition(b"/")
        if not slash:
            return what in self._seen_types
        return actor == b"election" and rule.decode() not in UNREMARKABLE_RULES

    def note_damage(self, damage: Damage) -> None:
        if damage.is_serious:
            self.track.troubles.append(str(damage))

    def take(self, entry: Entry) -> None:
        self.track.records += 1
        self._misfits += bool(entry.misfits)
        match entry.kind:
            case "start":
                self._begin(entry)
            case "seal":
                self._seal(entry)
            case "gap":
                self._gap(entry)
            case "message" | "step":
                self._live(entry)

    def finish(self) -> Track:
        if self._misfits:
            self.track.troubles.append(
                f"{self._misfits} records say what no message of their type can say; "
                "that was left out"
            )
        return self.track

    # Lives.

    def _begin(self, entry: Entry) -> None:
        fields = entry.fields
        track = self.track
        track.member = track.member or str(fields.get("member", ""))
        boot = str(fields.get("boot", ""))
        life = self._life()
        if life is not None and life.incarnation == entry.incarnation:
            return  # another segment of the same life
        when = When(boot, entry.at)
        if life is not None and life.end == "open":
            life.end = "vanished"
            track.change("daemon", life.last, "absent", life.last_record)
        self._boot = boot
        versions = fields.get("versions")
        track.lives.append(
            Life(
                incarnation=entry.incarnation,
                boot=boot,
                began=when,
                last=when,
                wall_offset=wall_seconds(str(fields.get("wall", ""))) - entry.at,
                scope=str(fields.get("scope", "")),
                versions=versions if isinstance(versions, dict) else {},
                first_record=entry.number,
            )
        )
        track.change("daemon", when, "running", entry.number)
        for lane in FORGOTTEN:
            track.change(lane, when, "unknown", entry.number)

    def _seal(self, entry: Entry) -> None:
        life = self._life()
        if life is None or entry.fields.get("why") != "closed":
            return
        life.end = "stopped"
        life.last = When(self._boot, entry.at)
        self.track.change("daemon", life.last, "absent", entry.number)

    def _gap(self, entry: Entry) -> None:
        lost, why = entry.fields.get("lost"), entry.fields.get("why")
        self.track.troubles.append(
            f"{lost} records are missing before record {entry.number}: {why}"
        )

    def _live(self, entry: Entry) -> None:
        life = self._life()
        when = When(self._boot, entry.at)
        if life is not None:
            life.last, life.last_record = when, entry.number
        if entry.kind == "step":
            self._mark(entry, when, f"election/{entry.rule}")
            return
        observer = self._observers.get(entry.type)
        if observer is not None:
            observer(entry, when)
        if entry.type in MARKED:
            self._mark(entry, when, entry.type)
            self._follow(entry, when)

    def _life(self) -> Life | None:
        return self.track.lives[-1] if self.track.lives else None

    def _mark(self, entry: Entry, when: When, what: str) -> None:
        fields = entry.fields
        is_step = entry.kind == "step"
        data = fields.get("facts") if is_step else entry.data
        self.track.marks.append(
            Mark(
                when=when,
                what=what,
                data=data if isinstance(data, dict) else {},
                record=entry.number,
                id=str(fields.get("heard" if is_step else "id", "")),
                incarnation=entry.incarnation,
            )
        )

    # Lanes.

    def _follow(self, entry: Entry, when: When) -> None:
        """What a mark changes in the lanes."""
        track, number = self.track, entry.number
        match entry.type:
            case "leader_acquired":
                track.change("lease", when, "held", number)
            case "leader_released" | "leader_handed_over":
                track.change("lease", when, "none", number)
            case "lease_refused" if entry.data.get("action") == "renew":
                track.change("lease", when, "lost", number)
            case "lease_unconfirmed" if entry.data.get("action") == "renew":
                self._renewals_trouble = True
            case "store_unreachable":
                track.change("store", when, "unreachable", number)
            case "store_answered":
                track.change("store", when, "reachable", number)
            case "replication_ended":
                track.change("replication", when, "ended", number)
            case "postmaster_exited":
                track.change("postgres", when, "absent", number)
            case "postgres_promoted":
                track.change("postgres", when, "primary", number)
                self._position(when, entry.data.get("lsn"))
            case "stop_postgres":
                track.change("postgres", when, "stopping", number)
            case "daemon_started":
                life = self._life()
                if life is not None:
                    life.last_reset = entry.data.get("last_reset")
            case "clock_stepped":
                track.wall_steps.append((when, float(entry.data.get("step", 0.0))))

    def _phase(self, entry: Entry, when: When) -> None:
        phase = str(entry.data.get("phase", ""))
        self.track.change("phase", when, phase, entry.number)
        if phase in ("primary", "standby"):
            # One that restarts by itself after a crash keeps its phase meanwhile.
            if entry.data.get("state") != "starting":
                self.track.change("postgres", when, phase, entry.number)
        elif phase in ("stopped", "absent"):
            self.track.change("postgres", when, "absent", entry.number)

    def _postgres(self, entry: Entry, when: When) -> None:
        status = _mapping(entry.data.get("status"))
        state, recovery = _state_of(status), status.get("in_recovery")
        lane = self.track.lane("postgres")
        if not (lane and lane[-1].state == "stopping" and state != "absent"):
            self.track.change("postgres", when, state, entry.number)
        receiver = _mapping(status.get("receiver"))
        if receiver.get("status") == "streaming":
            self.track.change("replication", when, "streaming", entry.number)
        elif recovery is not True:
            self.track.change("replication", when, "none", entry.number)
        if state == "primary":
            self._position(when, status.get("write_lsn"))

    def _position(self, when: When, lsn: Any) -> None:
        if not isinstance(lsn, int):
            return
        known = self.track.positions
        if len(known) > 1 and _is_soon_after(known[-2].when, when):
            known[-1] = Position(when, lsn)
        else:
            known.append(Position(when, lsn))

    def _configuration(self, entry: Entry, when: When) -> None:
        values = _mapping(entry.data.get("settings"))
        seen = self.track.settings
        if not seen or seen[-1].values != values:
            seen.append(SettingsSeen(when, values, entry.number))
        paused = "paused" if values.get("paused") else "automatic"
        self.track.change("paused", when, paused, entry.number)

    def _cluster(self, entry: Entry, when: When) -> None:
        view = _mapping(entry.data.get("view"))
        leader = _mapping(view.get("leader"))
        holder, revision = leader.get("name"), str(leader.get("revision", ""))
        members = [_mapping(one) for one in view.get("members") or ()]
        seen = self.track.leader_keys
        request = view.get("failover")
        is_news = not seen or (
            seen[-1].holder,
            seen[-1].revision,
            seen[-1].request,
        ) != (
            holder,
            revision,
            request,
        )
        if is_news:
            names = tuple(str(one.get("name")) for one in members)
            seen.append(KeySeen(when, holder, revision, request, names, entry.number))
        self.track.change("leader", when, str(holder or "nobody"), entry.number)
        self.track.change("store", when, "reachable", entry.number)
        for one in members:
            self._stamp(str(one.get("name")), one.get("hlc"), when)

    # The clocks.

    def _stamp(self, member: str, hlc: Any, when: When) -> None:
        if member == self.track.member or not isinstance(hlc, str):
            return
        if self._hlc_seen.get(member) != hlc:
            self._hlc_seen[member] = hlc
            self.track.seen.append(Stamp(member, hlc, when))
            if len(self.track.seen) > KEEP_STAMPS:
                del self.track.seen[::2]

    def _touched(self, entry: Entry, when: When) -> None:
        document = str(entry.data.get("document", ""))
        _, found, rest = document.partition('"hlc":"')
        if found:
            published = self.track.published
            published.setdefault(rest.partition('"')[0], when)
            if len(published) > KEEP_STAMPS:
                for stamp in list(published)[::2]:
                    del published[stamp]

    # The store's answers.

    def _asked_to_renew(self, entry: Entry, when: When) -> None:
        self._sent = {str(entry.fields.get("id")): when}

    def _renewed(self, entry: Entry, when: When) -> None:
        """A renewal that took long is a mark, and so is the first one after it, or after
        one without an answer, that did not; the others are not worth one."""
        self.track.change("lease", when, "held", entry.number)
        asked = self._sent.pop(str(entry.fields.get("cause")), None)
        if asked is None:
            return
        took = when.at - asked.at
        was_trouble = self._renewals_trouble
        self._renewals_trouble = took >= SLOW_ANSWER
        if self._renewals_trouble or was_trouble:
            self.track.marks.append(
                Mark(
                    when,
                    "slow_renewal" if self._renewals_trouble else "prompt_renewal",
                    {"took": took, **entry.data},
                    entry.number,
                    str(entry.fields.get("id")),
                    entry.incarnation,
                )
            )


FORGOTTEN: tuple[LaneName, ...] = (
    "phase",
    "postgres",
    "replication",
    "lease",
    "store",
    "leader",
)
"""Lanes of which a daemon that has just started knows nothing."""

SLOW_ANSWER: Seconds = 1.0
"""From which on a renewal is worth a mark."""


def _state_of(status: dict[str, Any]) -> str:
    """Of the lane `postgres`."""
    process = str(status.get("process"))
    if process in ("absent", "starting"):
        return process
    if status.get("in_recovery") is None:
        return "unknown"
    return "standby" if status["in_recovery"] else "primary"


def _is_soon_after(earlier: When, later: When) -> bool:
    return earlier.boot == later.boot and later.at - earlier.at < POSITION_EVERY


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
