"""What verifying finds in journals of all kinds: whole, pruned, damaged, old."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from regnal.actors.step import Decider, Step
from regnal.journal.options import JournalOptions
from regnal.messages.base import Message
from regnal.messages.cluster import StoreUnreachable
from regnal.messages.daemon import ActorFailed, ObservationSuperseded
from regnal.messages.envelope import Envelope
from regnal.messages.lease import LeaderRenewed
from regnal.messages.timers import TimerFired
from regnal.replay.verify import Verification, verify_journal
from tests.journal.builders import TOY, Member, Memory, remember


def beating(directory: Path, beats: int = 5) -> Member:
    """A member that has something to say at each beat."""
    member = Member(directory).open()
    for _ in range(beats):
        member.beat()
        member.tell(StoreUnreachable(error="read", unanswered_for=1.0))
    return member


def verified(directory: Path, *deciders: Decider[Any]) -> Verification:
    return verify_journal(directory, deciders or (TOY,))


def changed(handle: Any) -> Decider[Any]:
    """The toy actor, as somebody has changed it since."""
    return replace(TOY, handle=handle)


def test_a_journal_replays_to_the_same(tmp_path: Path) -> None:
    beating(tmp_path).ledger.close()
    result = verified(tmp_path)
    assert result.is_same
    assert not result.troubles
    assert result.steps == 10
    assert result.messages == 15
    assert result.states == 1  # at the start; the end has no snapshot


def test_each_aspect_of_a_step_is_compared(tmp_path: Path) -> None:
    beating(tmp_path, 1).ledger.close()

    def other(memory: Memory, envelope: Envelope[Message]) -> Step[Memory]:
        step = remember(memory, envelope)
        if isinstance(envelope.message, TimerFired):
            later = step.said[0].model_copy(update={"ttl": 99})
            return replace(step, rule="renew_anew", said=(later,), facts={"why": 1})
        return step

    result = verified(tmp_path, changed(other))
    told = {one.what: one for one in result.differences}
    assert set(told) == {"rule", "facts", "said"}
    (rule,) = told["rule"].changes
    assert (rule.path, rule.recorded, rule.replayed) == ("", "renew", "renew_anew")
    (said,) = told["said"].changes
    assert (said.path, said.recorded, said.replayed) == ("[0].ttl", 30.0, 99)
    assert told["facts"].rule == "renew"
    assert told["facts"].heard == "timer_fired"
    assert told["facts"].actor == "election"


def test_an_actor_that_only_learned_and_would_speak_today_differs(
    tmp_path: Path,
) -> None:
    beating(tmp_path, 1).ledger.close()

    def other(memory: Memory, envelope: Envelope[Message]) -> Step[Memory]:
        step = remember(memory, envelope)
        if isinstance(envelope.message, LeaderRenewed):
            return replace(step, rule="be_glad")
        return step

    (difference,) = verified(tmp_path, changed(other)).differences
    assert difference.what == "silence"
    assert difference.heard == "leader_renewed"
    assert difference.changes[0].replayed["rule"] == "be_glad"


def test_a_state_is_compared_with_the_next_snapshot(tmp_path: Path) -> None:
    member = beating(tmp_path)
    member.ledger.roll("size")
    member.ledger.close()

    def other(memory: Memory, envelope: Envelope[Message]) -> Step[Memory]:
        step = remember(memory, envelope)
        if isinstance(envelope.message, LeaderRenewed):
            return replace(step, state=replace(step.state, beat_at=-1.0))
        return step

    facts, *_, state = verified(tmp_path, changed(other)).differences
    assert facts.what == "facts"
    assert not facts.follows
    assert state.what == "state"
    assert state.follows
    (beat,) = (one for one in state.changes if one.path == "beat_at")
    assert (beat.recorded, beat.replayed) == (member.memory.beat_at, -1.0)


def test_a_journal_that_begins_in_the_middle_is_replayed_from_its_snapshot(
    tmp_path: Path,
) -> None:
    member = beating(tmp_path)
    member.ledger.roll("size")
    member.beat()
    member.ledger.close()
    min(tmp_path.glob("journal-*.jsonl")).unlink()
    result = verified(tmp_path)
    assert result.is_same
    assert result.steps == 1
    assert result.passed == 0


def test_a_quiet_stretch_is_replayed_from_its_snapshot(tmp_path: Path) -> None:
    options = JournalOptions(quiet_bytes=1000)
    member = Member(tmp_path, options).open()
    for _ in range(50):
        member.beat()
    assert verified(tmp_path).is_same  # what is held as well
    member.tell(StoreUnreachable(error="read", unanswered_for=1.0))
    member.ledger.close()
    result = verified(tmp_path)
    assert result.is_same
    assert not result.troubles
    assert result.steps >= 1


@dataclass(frozen=True, slots=True)
class Newer(Memory):
    """A state that remembers more than the recorded one."""

    beats: int = 0


def test_what_an_actor_remembers_only_since_is_no_difference(tmp_path: Path) -> None:
    member = beating(tmp_path)
    member.ledger.roll("size")
    member.beat()
    member.ledger.close()

    def other(memory: Newer, envelope: Envelope[Message]) -> Step[Newer]:
        old = Memory(memory.beat_at, memory.valid_until, memory.answers)
        step = remember(old, envelope)
        state = Newer(
            step.state.beat_at,
            step.state.valid_until,
            step.state.answers,
            beats=memory.beats + isinstance(envelope.message, TimerFired),
        )
        return Step(state, step.said, step.rule, step.facts)

    newer = Decider(
        name=TOY.name,
        hears=TOY.hears,
        state=Newer,
        initial=lambda member: Newer(),
        handle=other,
    )
    result = verified(tmp_path, newer)
    assert result.is_same
    assert result.states == 2
    assert not result.troubles


def test_an_actor_that_the_daemon_did_not_have_is_not_compared(tmp_path: Path) -> None:
    member = beating(tmp_path)
    member.ledger.roll("size")
    member.ledger.close()
    chatterbox = replace(
        TOY, name="chatterbox", handle=lambda state, heard: Step(state, rule="talk")
    )
    result = verified(tmp_path, TOY, chatterbox)
    assert result.is_same
    assert result.steps == 10


def test_an_actor_that_this_program_has_not_is_told_once(tmp_path: Path) -> None:
    beating(tmp_path).ledger.close()
    result = verified(tmp_path, replace(TOY, name="other"))
    assert result.is_same
    assert result.troubles == ["record 2: this program has no actor 'election'"]


@pytest.mark.invented_steps
def test_a_failure_that_happens_again_is_no_difference(tmp_path: Path) -> None:
    member = Member(tmp_path).open()
    heard = member.enter(StoreUnreachable(error="odd", unanswered_for=1.0))
    member.mailbox.clear()
    failed = ActorFailed(
        actor="election",
        heard=heard.id,
        error="ValueError: odd",
        traceback="",
        failures=1,
    )
    member.enter(failed, by="election")
    member.beat()
    member.ledger.close()

    def other(memory: Memory, envelope: Envelope[Message]) -> Step[Memory]:
        match envelope.message:
            case StoreUnreachable(error=error):
                raise ValueError(error)
        return remember(memory, envelope)

    assert verified(tmp_path, changed(other)).is_same
    (difference,) = [d for d in verified(tmp_path).differences if d.what == "error"]
    assert difference.changes[0].recorded == "ValueError: odd"
    assert difference.changes[0].replayed is None


def test_a_decider_that_raises_today_differs_and_the_rest_is_compared(
    tmp_path: Path,
) -> None:
    beating(tmp_path, 2).ledger.close()

    def other(memory: Memory, envelope: Envelope[Message]) -> Step[Memory]:
        if isinstance(envelope.message, StoreUnreachable):
            raise KeyError("store")
        return remember(memory, envelope)

    result = verified(tmp_path, changed(other))
    assert [d.what for d in result.differences] == ["error", "facts", "error"]
    assert result.differences[0].changes[0].replayed == "KeyError: 'store'"


def test_a_superseded_observation_is_not_heard(tmp_path: Path) -> None:
    member = Member(tmp_path).open()
    first = member.enter(StoreUnreachable(error="read", unanswered_for=1.0))
    second = member.enter(StoreUnreachable(error="read", unanswered_for=2.0))
    member.mailbox.popleft()
    skipped = ObservationSuperseded(actor="election", skipped=first.id, newer=second.id)
    member.enter(skipped, by="bus")
    member.hear()
    member.ledger.close()
    result = verified(tmp_path)
    assert result.is_same
    assert result.messages == 1


@pytest.mark.parametrize("kind", ["message", "step"])
def test_behind_damage_nothing_is_a_difference_until_the_next_snapshot(
    tmp_path: Path, kind: str
) -> None:
    member = beating(tmp_path, 3)
    member.ledger.roll("size")
    for _ in range(3):
        member.beat()
    member.ledger.close()
    damaged = min(tmp_path.glob("journal-*.jsonl"))
    lines = damaged.read_bytes().splitlines(keepends=True)
    wanted = b'"kind":"%b"' % kind.encode()
    index = next(index for index, line in enumerate(lines) if wanted in line)
    lines[index] = lines[index].replace(b'"at":', b'"at":1', 1)
    damaged.write_bytes(b"".join(lines))
    result = verified(tmp_path)
    assert result.is_same
    assert any("not as it was written" in text for text in result.troubles)
    assert result.doubtful
    assert result.steps >= 3  # those behind the snapshot
