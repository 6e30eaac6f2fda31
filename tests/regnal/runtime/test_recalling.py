"""After a restart the daemon remembers its incidents, whatever state the journal is in."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.actors.cast import DECIDERS
from regnal.actors.incidents import INCIDENTS
from regnal.actors.incidents_state import Incidents
from regnal.actors.step import Decider
from regnal.journal.encoding import HASH_TAIL, chain
from regnal.journal.entries import message_entry, step_entry
from regnal.journal.ledger import Identity, Ledger
from regnal.journal.options import JournalOptions
from regnal.journal.places import segments
from regnal.journal.retention import compress
from regnal.journal.stamps import Stamper
from regnal.messages.base import Message
from regnal.messages.daemon import ShutdownRequested
from regnal.messages.incidents import IncidentJudged, IncidentsRecalled
from regnal.messages.lease import LeaderHandedOver, LeaderReleased
from regnal.runtime.recalling import Here, recall
from tests.actors.builders import acquired, configured, phase
from tests.actors.incident_stories import WAKE, acknowledged, exited, held_by, stalled
from tests.examples import examples
from tests.journal.builders import FakeTime

OTHERS = tuple(decider for decider in DECIDERS if decider is not INCIDENTS)


@dataclass
class Life:
    """A daemon of which only the incidents actor hears anything."""

    directory: Path
    incarnation: int = 1
    boot: str = "boot-1"
    time: FakeTime = field(default_factory=FakeTime)
    deciders: tuple[Decider[Any], ...] = (INCIDENTS,)
    state: Incidents = field(init=False)
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        identity = Identity("pg1", "demo", (("regnal", "0"),), self.boot)
        self.stamper = Stamper("pg1", self.incarnation, self.time.clocks)
        self.ledger = Ledger(
            self.directory, identity, self.stamper, self.deciders, JournalOptions()
        )
        self.ledger.open()
        self.state = INCIDENTS.initial("pg1")

    def hear(self, *messages: Message) -> "Life":
        for message in messages:
            heard = self.stamper.envelope(
                message, said_by="test", cause=None, trace=None
            )
            self.ledger.enter(message_entry(heard))
            if not isinstance(message, INCIDENTS.hears):
                continue
            step = INCIDENTS.handle(self.state, heard)
            self.state = step.state
            said = [
                self.stamper.envelope(m, said_by="incidents", cause=heard, trace=None)
                for m in step.said
            ]
            stamp = self.stamper.stamp(), self.time.seconds
            self.ledger.enter(step_entry("incidents", heard, step, said, stamp))
        self.ledger.write()
        return self

    def recalled(self) -> IncidentsRecalled:
        """What this daemon finds of those before."""
        here = Here(
            incarnation=self.incarnation,
            boot=self.boot,
            now=self.time.clocks.boot(),
            wall=self.time.clocks.wall() / 1e6,
        )
        return recall(self.directory, here)


BEGIN = (configured(crash_loop_limit=3), phase("primary"), held_by("pg1"))
CRASH_AND_FAILOVER = (
    *BEGIN,
    exited(),
    phase("stopped"),
    held_by("pg2", 33, session="pg2"),
    phase("standby"),
)


def next_life(before: Life, **fields: Any) -> Life:
    """The daemon starts again, without a word of the one before."""
    again = Life(
        before.directory,
        incarnation=before.incarnation + 1,
        time=fields.pop("time", before.time),
        **fields,
    )
    found = again.recalled()
    return again.hear(found)


def test_what_was_open_is_remembered(tmp_path: Path) -> None:
    before = Life(tmp_path).hear(*CRASH_AND_FAILOVER)
    again = next_life(before)
    assert again.state.memory == before.state.memory
    assert again.state.memory.open[0].name == "reign-10"
    assert len(again.state.memory.crashes) == 1


def test_what_was_acknowledged_and_judged_is_remembered(tmp_path: Path) -> None:
    verdict = IncidentJudged(
        incident="reign-10",
        cause="postgres_killed",
        root="postgres_killed",
        sentence="Somebody killed it",
        outage=0.5,
        author=None,
    )
    before = Life(tmp_path).hear(
        *CRASH_AND_FAILOVER, verdict, acknowledged("reign-10", comment="it was me")
    )
    again = next_life(next_life(next_life(before)))
    (incident,) = again.state.memory.incidents
    assert incident.comment == "it was me"
    assert incident.verdict is not None
    assert incident.verdict.cause == "postgres_killed"
    assert not incident.is_open


def test_the_snapshot_of_the_newest_segment_is_enough(tmp_path: Path) -> None:
    before = Life(tmp_path).hear(*CRASH_AND_FAILOVER)
    before.ledger.roll("asked")
    before.hear(stalled(20.0))
    first, *_ = segments(tmp_path)
    first.path.write_bytes(b"")
    assert next_life(before).state.memory == before.state.memory


def test_it_is_remembered_from_a_compressed_segment_too(tmp_path: Path) -> None:
    before = Life(tmp_path).hear(*CRASH_AND_FAILOVER)
    before.ledger.close()
    again = Life(tmp_path, incarnation=2, time=before.time)
    for segment in segments(tmp_path)[:-1]:
        compress(segment.path)
    assert again.recalled().incidents == before.state.memory.incidents


@pytest.mark.parametrize(
    ("story", "is_remembered"),
    [
        pytest.param(BEGIN, True, id="it led to the end"),
        pytest.param((*BEGIN, held_by("pg2", 33)), False, id="another led"),
        pytest.param((*BEGIN, held_by(None)), False, id="nobody led"),
        pytest.param(
            (*BEGIN, ShutdownRequested(signal=15)), False, id="it was told to stop"
        ),
        pytest.param(
            (*BEGIN, LeaderHandedOver(to="pg2")), False, id="it handed the key over"
        ),
        pytest.param(
            (LeaderReleased(member="pg1"), acquired(), *BEGIN), True, id="it came back"
        ),
    ],
)
def test_a_leader_that_died_remembers_its_reign(
    story: tuple[Message, ...], is_remembered: bool, tmp_path: Path
) -> None:
    before = Life(tmp_path).hear(*story)
    found = Life(tmp_path, 2, time=before.time).recalled()
    assert (found.reign is not None) == is_remembered
    if found.reign is not None:
        assert found.reign.revision == 10
        assert found.reign.until == before.time.seconds


def test_a_reign_of_long_ago_is_no_news(tmp_path: Path) -> None:
    before = Life(tmp_path).hear(*BEGIN)
    before.time.seconds += 2 * 86_400
    assert Life(tmp_path, 2, time=before.time).recalled().reign is None


def test_many_lives_in_short_order_lose_nothing(tmp_path: Path) -> None:
    life = Life(tmp_path).hear(*CRASH_AND_FAILOVER)
    for _ in range(5):
        life = next_life(life)
    assert [i.name for i in life.state.memory.open] == ["reign-10"]


def test_instants_are_carried_over_a_reboot_by_the_wall_clock(tmp_path: Path) -> None:
    before = Life(tmp_path).hear(*CRASH_AND_FAILOVER)
    (incident,) = before.state.memory.incidents
    rebooted = FakeTime(seconds=5.0)
    wall = before.time.clocks.wall() + 60_000_000  # a minute later
    rebooted.clocks = rebooted.clocks.__class__(wall=lambda: wall, boot=lambda: 5.0)
    found = Life(tmp_path, 2, boot="boot-2", time=rebooted).recalled()
    assert found.incidents[0].began_at == pytest.approx(5.0 - 60.0, abs=0.01)
    assert found.crashes[0] == pytest.approx(5.0 - 60.0, abs=0.01)
    assert incident.began == found.incidents[0].began


def test_a_wall_clock_that_was_set_back_moves_nothing_into_the_future(
    tmp_path: Path,
) -> None:
    before = Life(tmp_path).hear(*CRASH_AND_FAILOVER)
    rebooted = FakeTime(seconds=5.0)
    wall = before.time.clocks.wall() - 3_600_000_000
    rebooted.clocks = rebooted.clocks.__class__(wall=lambda: wall, boot=lambda: 5.0)
    found = Life(tmp_path, 2, boot="boot-2", time=rebooted).recalled()
    assert found.incidents[0].began_at <= 5.0
    assert before.state.memory.incidents[0].name == found.incidents[0].name


def test_an_empty_journal_has_nothing_to_remember(tmp_path: Path) -> None:
    assert Life(tmp_path).recalled() == IncidentsRecalled(
        incidents=(), crashes=(), reign=None, trouble=None
    )


def test_a_journal_of_an_older_program_is_harmless(tmp_path: Path) -> None:
    """It has no such actor."""
    before = Life(tmp_path, deciders=OTHERS)
    before.ledger.close()
    found = Life(tmp_path, incarnation=2, time=before.time).recalled()
    assert found == IncidentsRecalled(
        incidents=(), crashes=(), reign=None, trouble=None
    )


def test_an_incident_of_another_program_is_read_as_far_as_it_is_known(
    tmp_path: Path,
) -> None:
    before = Life(tmp_path).hear(*CRASH_AND_FAILOVER)
    before.ledger.roll("asked")
    first = segments(tmp_path)[-1].path
    again = Life(tmp_path, incarnation=2, time=before.time)
    lines = first.read_bytes().splitlines(keepends=True)
    changed = [
        line.replace(b'"comment":null', b'"mood":"good"')
        if b'"kind":"snapshot"' in line
        else line
        for line in lines
    ]
    first.write_bytes(rechained(changed))
    (incident,) = again.recalled().incidents
    assert incident.name == "reign-10"


def rechained(lines: list[bytes]) -> bytes:
    """With hashes that fit."""
    previous = json.loads(lines[0])["previous"]
    whole = []
    for line in lines:
        covered = line[:-HASH_TAIL]
        previous = chain(previous, covered)
        whole.append(b'%b,"hash":"%b"}\n' % (covered, previous.encode()))
    return b"".join(whole)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    directory = tmp_path_factory.mktemp("whole")
    Life(directory).hear(
        *CRASH_AND_FAILOVER, stalled(20.0), WAKE, acknowledged("reign-10")
    )
    return segments(directory)[0].path.read_bytes()


@given(data=st.data())
@examples(20)
def test_damage_is_harmless(
    whole: bytes, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Bytes flipped, or the end cut off: what is remembered happened."""
    cut = data.draw(st.integers(0, len(whole)))
    content = bytearray(whole[:cut])
    for _ in range(data.draw(st.integers(0, 3))):
        if content:
            where = data.draw(st.integers(0, len(content) - 1))
            content[where] ^= 1 << data.draw(st.integers(0, 7))
    directory = tmp_path_factory.mktemp("damaged")
    (directory / "journal-000000000001.jsonl").write_bytes(bytes(content))
    here = Here(incarnation=2, boot="boot-1", now=1e6, wall=1.8e9)
    found = recall(directory, here)
    assert {i.name.split("-")[0] for i in found.incidents} <= {
        "reign",
        "postgres",
        "stall",
    }
