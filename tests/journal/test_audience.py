"""The state of every actor of the daemon survives the journal, whatever it heard."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.actors.cast import DECIDERS
from regnal.actors.step import Decider
from regnal.journal.audience import Audience
from regnal.journal.decoding import state_of
from regnal.journal.encoding import NO_HASH, line
from regnal.journal.entries import Learned
from regnal.journal.reader import Record
from regnal.messages.envelope import Envelope, HybridTime
from regnal.messages.vocabulary import VOCABULARY
from tests.examples import examples
from tests.journal.words import models


def restored(decider: Decider[Any], state: object) -> object:
    """The state, by way of a snapshot in a journal."""
    audience = Audience("pg1", [decider])
    audience.learn({decider.name: Learned(state, "pg1/1/7")})
    (body,) = audience.snapshot({"hlc": "2026-11-23T07:31:02.114901Z+3/pg1", "at": 1.0})
    text, _ = line(1, body, NO_HASH)
    record = Record(1, "snapshot", text)
    assert record.fields["heard"] == "pg1/1/7"
    return state_of(record, decider)


@pytest.mark.parametrize("decider", DECIDERS, ids=lambda decider: str(decider.name))
@given(data=st.data())
@examples(8)
def test_a_state_comes_back_as_it_was(
    decider: Decider[Any], data: st.DataObject
) -> None:
    words = [w for w in VOCABULARY.values() if issubclass(w, decider.hears)]
    heard = data.draw(st.lists(st.sampled_from(words).flatmap(models), max_size=5))
    state = decider.initial("pg1")
    assert restored(decider, state) == state
    for number, message in enumerate(heard, 1):
        envelope = Envelope(
            id=f"pg1/1/{number}",
            hlc=HybridTime(1_795_000_000_000_000 + number, 0, "pg1"),
            at=1000.0 + number,
            said_by="dcs",
            cause=None,
            trace=None,
            message=message,
        )
        try:
            state = decider.handle(state, envelope).state
        except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError):
            return  # nonsense that no bridge says
        assert restored(decider, state) == state
