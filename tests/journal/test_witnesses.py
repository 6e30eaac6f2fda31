"""Heads of journals in the journals of others."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.journal.ledger import Head, Identity
from regnal.journal.stamps import hlc_text
from regnal.journal.verification import verify
from regnal.journal.witnesses import (
    Owner,
    Witness,
    parse_head,
    seen_by_others,
    without_later_copies,
    witnesses_in,
)
from regnal.journal.writer import JournalWriter
from regnal.messages.cluster import ClusterObserved, StoreUnreachable
from regnal.messages.envelope import HybridTime
from tests.actors.builders import member, view

FIRST = "812:6bb0bd0ef508ec10b2a2885a59e34fda"
HEAD = Head(4711, "0" * 32)
SECOND = "900:0bb0bd0ef508ec10b2a2885a59e34fda"


def write(directory: Path, name: str, *seen: dict[str, str | None]) -> Head:
    """The journal of `name`, who sees these heads in turn; returns its own."""
    identity = Identity(member=name, scope="demo", versions=(), boot_id="b")
    writer = JournalWriter(directory / name, identity, ())
    for heads in seen:
        members = [member(one, journal_head=head) for one, head in heads.items()]
        envelope = writer.stamper.envelope(
            ClusterObserved(view=view(*members)), said_by="dcs", cause=None, trace=None
        )
        writer.message(envelope)
        lost = StoreUnreachable(error="so that the quiet ends", unanswered_for=1.0)
        writer.message(
            writer.stamper.envelope(lost, said_by="dcs", cause=None, trace=None)
        )
    writer.close()
    return verify(directory / name).head


def heads(found: Sequence[object]) -> list[str]:
    return [str(getattr(witness, "head", None)) for witness in found]


def test_what_a_journal_saw_of_others_is_found_once(tmp_path: Path) -> None:
    write(
        tmp_path,
        "pg2",
        {"pg1": None, "pg2": SECOND},
        {"pg1": FIRST, "pg2": SECOND},
        {"pg1": FIRST, "pg2": SECOND},
        {"pg1": SECOND, "pg2": SECOND},
    )
    found = list(witnesses_in(tmp_path / "pg2"))
    assert heads(found) == [FIRST, SECOND], "not what it saw of itself"
    assert {witness.whose for witness in found} == {Owner("demo", "pg1")}
    assert {witness.seen_by for witness in found} == {"pg2"}
    assert all(witness.seen_at.endswith("/pg2") for witness in found)


def test_what_others_have_seen_of_each(tmp_path: Path) -> None:
    for name in ("pg2", "pg3"):
        write(tmp_path, name, {"pg1": FIRST})
    seen = seen_by_others([tmp_path / "pg2", tmp_path / "pg3"])
    assert heads(seen[Owner("demo", "pg1")]) == [FIRST, FIRST]


def test_a_journal_without_others_is_not_read_twice(tmp_path: Path) -> None:
    write(tmp_path, "pg2", {"pg1": FIRST})
    assert seen_by_others([tmp_path / "pg2"]) == {}


@pytest.mark.parametrize(
    "text", ["", "812", ":8a1f", "x:" + "0" * 32, "812:" + "G" * 32, "812:8a1f", "²:0"]
)
def test_a_head_that_is_none(tmp_path: Path, text: str) -> None:
    assert parse_head(text) is None
    write(tmp_path, "pg2", {"pg1": text})
    assert list(witnesses_in(tmp_path / "pg2")) == []


@given(st.integers(1, 10**18), st.text("0123456789abcdef", min_size=32, max_size=32))
def test_a_head_can_be_read_back(number: int, digest: str) -> None:
    head = Head(number, digest)
    assert parse_head(str(head)) == head


def seen_at(seconds: float) -> str:
    return hlc_text(HybridTime(round((1.8e9 + seconds) * 1e6), 0, "pg2"))


@pytest.mark.parametrize(
    ("after", "denied"),
    [
        pytest.param(2.0, (), id="the other journal was copied just after"),
        pytest.param(-2.0, (), id="the clocks differ a little"),
        pytest.param(90.0, (HEAD,), id="what was seen so much later was cut off"),
    ],
)
def test_a_journal_that_was_copied_before_others_is_not_cut_off(
    tmp_path: Path, after: float, denied: tuple[Head, ...]
) -> None:
    write(tmp_path, "pg1", {})
    found = replace(verify(tmp_path / "pg1", [HEAD]), ends_at=seen_at(0))
    witness = Witness(Owner("demo", "pg1"), HEAD, "pg2", seen_at(after))
    assert without_later_copies(found, [witness]).denied == denied


def test_a_record_that_is_another_is_no_matter_of_copies(tmp_path: Path) -> None:
    write(tmp_path, "pg1", {})
    forged = Head(1, HEAD.hash)
    found = replace(verify(tmp_path / "pg1", [forged]), ends_at=seen_at(0))
    witness = Witness(Owner("demo", "pg1"), forged, "pg2", seen_at(1))
    assert without_later_copies(found, [witness]).denied == (forged,)


def test_a_witness_that_was_changed_is_not_believed(tmp_path: Path) -> None:
    write(tmp_path, "pg2", {"pg1": FIRST})
    (segment,) = (tmp_path / "pg2").glob("journal-*.jsonl")
    segment.write_bytes(segment.read_bytes().replace(b":6bb0", b":7bb0"))
    assert list(witnesses_in(tmp_path / "pg2")) == []


def test_what_is_kept_can_be_witnessed(tmp_path: Path) -> None:
    """From the writer's head to the verdict of another's journal."""
    identity = Identity(member="pg1", scope="demo", versions=(), boot_id="b")
    writer = JournalWriter(tmp_path / "pg1", identity, ())
    kept = writer.keep()
    writer.close()
    assert kept is not None
    write(tmp_path, "pg2", {"pg1": str(kept)})
    (witness,) = witnesses_in(tmp_path / "pg2")
    assert verify(tmp_path / "pg1", [witness.head]).confirmed == (kept,)
