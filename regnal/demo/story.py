"""What the demonstration does, step by step, and what it tells of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from regnal.demo.binaries import NothingToRun
from regnal.demo.cluster import Cluster, Member
from regnal.demo.writer import Writer
from regnal.replay.explaining.explain import Investigation
from regnal.replay.explaining.story import Story
from regnal.replay.telling.text import story_text

Tell = Callable[[str], None]

START_WITHIN = 60.0
FAILOVER_WITHIN = 60.0
REJOIN_WITHIN = 60.0
SWITCHOVER_WITHIN = 30.0
"""Seconds."""

COMMITS_BEFORE_THE_NEXT_STEP = 200


@dataclass
class Report:
    """What came of it."""

    outages: dict[str, float] = field(default_factory=dict)
    """Longest time without an acknowledged commit, by what caused it."""

    acknowledged: int = 0
    missing: list[int] = field(default_factory=list)
    stories: list[Story] = field(default_factory=list)
    """Of the failover and of the switchover."""


class Demonstration:
    """The main job: a failover under load, a rejoin, a switchover."""

    def __init__(self, cluster: Cluster, *, synchronous: bool, tell: Tell) -> None:
        self._cluster = cluster
        self._synchronous = synchronous
        self._tell = tell
        self._began_at = time.monotonic()
        self.report = Report()

    def run(self) -> Report:
        """Raises NothingToRun when a step does not come to its end."""
        self._start()
        writer = Writer(self._cluster.connection_string())
        writer.start()
        try:
            self._let_it_write(writer)
            victim = self._kill_the_primary(writer)
            self._bring_back(victim)
            self._switch_over(writer)
        finally:
            writer.stop()
        self._count(writer)
        self._explain()
        return self.report

    def _start(self) -> None:
        self._step("Starting three members with embedded Raft")
        for member in self._cluster.members:
            self._cluster.start(member)
        self._cluster.wait(
            "a primary", START_WITHIN, lambda: self._leader() is not None
        )
        self._step(f"{self._name()} created the cluster and leads; others copy it")
        self._cluster.wait(
            "two streaming standbys", START_WITHIN, self._cluster.is_complete
        )
        self._table("The cluster at the start")

    def _let_it_write(self, writer: Writer) -> None:
        since = time.monotonic()
        self._step("A client commits a row every few milliseconds")
        self._cluster.wait(
            "commits",
            FAILOVER_WITHIN,
            lambda: writer.commits_since(since) >= COMMITS_BEFORE_THE_NEXT_STEP,
        )

    def _kill_the_primary(self, writer: Writer) -> Member:
        victim = self._leader()
        if victim is None:
            raise NothingToRun("there is no primary to kill")
        since = time.monotonic()
        self._step(f"SIGKILL to the daemon and PostgreSQL of {victim.name} together")
        self._cluster.kill(victim)
        self._cluster.wait(
            "a new primary",
            FAILOVER_WITHIN,
            lambda: self._leader() not in (None, victim),
        )
        self._step(f"{self._name()} is the new primary")
        self._let_it_write(writer)
        self._note_outage(writer, "host of the primary killed", since)
        return victim

    def _bring_back(self, victim: Member) -> None:
        self._step(f"Starting {victim.name} again; it must rejoin by itself")
        self._cluster.start(victim)
        self._cluster.wait(
            f"{victim.name} to stream", REJOIN_WITHIN, self._cluster.is_complete
        )
        self._table("The cluster after the failover")

    def _switch_over(self, writer: Writer) -> None:
        former = self._leader()
        since = time.monotonic()
        self._step("Switchover, asked for with regnalctl")
        done = self._cluster.ctl("switchover", "--force")
        if done.returncode != 0:
            raise NothingToRun(f"regnalctl switchover failed: {done.stderr.strip()}")
        self._cluster.wait(
            "the switchover",
            SWITCHOVER_WITHIN,
            lambda: self._leader() not in (None, former),
        )
        self._cluster.wait(
            "everybody to follow", SWITCHOVER_WITHIN, self._cluster.is_complete
        )
        self._let_it_write(writer)
        self._note_outage(writer, "switchover", since)
        self._table("The cluster after the switchover")

    def _count(self, writer: Writer) -> None:
        self.report.acknowledged = len(writer.acknowledged)
        self.report.missing = writer.missing()

    def _explain(self) -> None:
        """Every change of leader, now that all members are back and can tell."""
        journals = {member.name: member.journal for member in self._cluster.members}
        investigation = Investigation(journals)
        changes = [i for i in investigation.incidents if i.kind == "leader_changed"]
        self.report.stories.extend(map(investigation.story, changes))

    def _note_outage(self, writer: Writer, what: str, since: float) -> None:
        outage = writer.longest_outage(since)
        self.report.outages[what] = outage.seconds
        self._step(f"Nobody could commit for {outage.seconds:.2f} s")

    def _leader(self) -> Member | None:
        return self._cluster.leader()

    def _name(self) -> str:
        leader = self._leader()
        return leader.name if leader else "nobody"

    def _table(self, title: str) -> None:
        shown = self._cluster.ctl("list")
        self._tell(f"\n{title}:\n{shown.stdout.rstrip() or shown.stderr.rstrip()}\n")

    def _step(self, text: str) -> None:
        self._tell(f"[{time.monotonic() - self._began_at:6.1f} s] {text}")


WIDTH = 100
"""Columns of the explanations."""


def summary(report: Report, *, synchronous: bool) -> str:
    """The figures, and what a missing row means."""
    lines = ["", "Write outages (longest time without an acknowledged commit):"]
    lines += [f"  {seconds:8.2f} s  {what}" for what, seconds in report.outages.items()]
    present = report.acknowledged - len(report.missing)
    lines.append(
        f"Rows acknowledged {report.acknowledged}, of these present {present}."
    )
    if report.missing:
        shown = ", ".join(map(str, report.missing[:10]))
        lines.append(f"Missing: {len(report.missing)} ({shown} ...).")
        lines.append(
            "Replication was asynchronous: the primary acknowledged these rows before "
            "a standby had them, and was killed. --sync forbids it."
            if not synchronous
            else "That must not happen in synchronous mode."
        )
    for story in report.stories:
        lines += [
            "",
            "Explained from the journals:",
            "",
            story_text(story, width=WIDTH),
        ]
    return "\n".join(lines)
