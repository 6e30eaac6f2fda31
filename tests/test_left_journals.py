"""What watches over the journals that tests leave behind."""

from dataclasses import replace
from pathlib import Path

import pytest

from regnal.messages.timers import TimerFired
from tests.journal.builders import TOY, Member
from tests.left_journals import differences, fail_if_any


@pytest.mark.invented_steps
def test_a_journal_that_replays_otherwise_fails_its_test(tmp_path: Path) -> None:
    member = Member(tmp_path).open()
    member.enter(TimerFired(name="heartbeat", due_at=1.0))
    member.memory = replace(member.memory, answers=7)  # nobody told it
    member.hear()
    member.ledger.close()
    diff = differences(tmp_path, (TOY,))
    assert "- facts.memory.answers: 7" in diff
    with pytest.raises(pytest.fail.Exception, match="replays otherwise"):
        fail_if_any(["", diff])


def test_one_that_replays_to_the_same_does_not(tmp_path: Path) -> None:
    member = Member(tmp_path).open()
    member.beat()
    member.ledger.close()
    assert differences(tmp_path, (TOY,)) == ""
    fail_if_any(["", ""])


def test_no_journal_is_no_difference(tmp_path: Path) -> None:
    assert differences(tmp_path / "none", (TOY,)) == ""
    assert differences(tmp_path, (TOY,)) == ""
