"""What an actor knew at a record, a moment, or the end."""

from pathlib import Path

import pytest

from regnal.journal.stamps import wall_text
from regnal.replay.rebuild import NoSuchMoment, Rebuilt, When, rebuild
from tests.journal.builders import TOY, Member, records


def rebuilt(directory: Path, when: When = None) -> Rebuilt:
    return rebuild(directory, (TOY,), when)


def beats(found: Rebuilt) -> float | None:
    (actor,) = found.actors
    return None if actor.state is None else actor.state["beat_at"]


@pytest.fixture
def member(tmp_path: Path) -> Member:
    """Three beats and a new segment, twice, at the seconds 1010 to 1060."""
    member = Member(tmp_path).open()
    for _ in range(2):
        for _ in range(3):
            member.beat()
        member.ledger.roll("size")
    member.ledger.close()
    return member


def test_at_every_record_it_is_what_was_heard_by_then(member: Member) -> None:
    beaten, at = 0.0, 0.0
    for record in records(member.directory)[2:]:
        fields = record.fields
        if fields.get("type") == "timer_fired":
            at = fields["data"]["due_at"]
        elif record.kind == "step":
            beaten = at
        assert beats(rebuilt(member.directory, record.n)) == beaten


def test_at_a_moment_it_is_what_was_heard_until_then(member: Member) -> None:
    for second in (1015, 1035, 1059):
        moment = wall_text(1_700_000_000_000_000 + second * 1_000_000)
        assert beats(rebuilt(member.directory, moment)) == second // 10 * 10


def test_at_the_end_it_is_all_that_was_heard(member: Member) -> None:
    found = rebuilt(member.directory)
    assert found.kind == "seal"
    assert found.member == "pg1"
    assert beats(found) == member.memory.beat_at == 1060


def test_what_an_actor_only_learned_is_known_without_a_step(tmp_path: Path) -> None:
    member = Member(tmp_path).open()
    member.beat()
    member.ledger.write()
    (actor,) = rebuilt(tmp_path).actors
    assert actor.state is not None
    assert actor.state["valid_until"] == member.memory.valid_until


def test_an_earlier_snapshot_is_taken_where_one_cannot_be_read(member: Member) -> None:
    last = max(member.directory.glob("journal-*.jsonl"))
    spoil_snapshot(last)
    found = rebuilt(member.directory)
    assert beats(found) == 1060
    assert found.troubles
    assert found.actors[0].is_doubtful


def test_without_any_snapshot_nothing_is_claimed(member: Member) -> None:
    first, second, third = sorted(member.directory.glob("journal-*.jsonl"))
    first.unlink()
    third.unlink()
    spoil_snapshot(second)
    assert beats(rebuilt(member.directory)) is None


def spoil_snapshot(segment: Path) -> None:
    start, snapshot, rest = segment.read_bytes().split(b"\n", 2)
    segment.write_bytes(b"\n".join((start, snapshot.replace(b"}", b"]"), rest)))


@pytest.mark.parametrize(
    ("when", "told"),
    [
        (999, "there is no record 999: the last one is"),
        ("2020-01-01T00:00:00.000000Z", "the journal begins at 2023-11-14T22:30:00"),
    ],
)
def test_a_moment_that_is_not_there_is_said(
    member: Member, when: When, told: str
) -> None:
    with pytest.raises(NoSuchMoment, match=told):
        rebuilt(member.directory, when)


def test_a_record_before_those_that_are_kept_is_said(member: Member) -> None:
    min(member.directory.glob("journal-*.jsonl")).unlink()
    with pytest.raises(NoSuchMoment, match="record 1 is before the first one"):
        rebuilt(member.directory, 1)


def test_of_nothing_that_can_be_read_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "journal-000000000001.jsonl").write_bytes(b"nonsense\n")
    with pytest.raises(NoSuchMoment, match="no record that can be read"):
        rebuilt(tmp_path)
