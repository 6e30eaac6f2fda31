"""What the track of a member keeps of its journal."""

import json
from typing import Any

from regnal.journal.reader import Record
from regnal.replay.evidence.reading import Entry
from regnal.replay.evidence.tracking import Tracker


class Journal:
    """Messages, one after the other, as a tracker takes them."""

    def __init__(self) -> None:
        self.tracker = Tracker()
        self._number = 0

    def say(self, at: float, what: str, **data: Any) -> str:
        """The id of the message."""
        self._number += 1
        cause = data.pop("cause", None)
        identifier = f"pg1/1/{self._number}"
        fields = {
            "id": identifier,
            "cause": cause,
            "hlc": "2026-11-28T12:00:00.000000Z+0/pg1",
            "type": what,
            "data": data,
        }
        line = json.dumps(fields).encode()
        record = Record(self._number, "message", line)
        self.tracker.take(Entry(record, at, 1))
        return identifier

    def renew(self, at: float, took: float) -> None:
        asked = self.say(at, "renew_leader", member="pg1")
        self.say(at + took, "leader_renewed", cause=asked, member="pg1")

    @property
    def marks(self) -> list[str]:
        return [mark.what for mark in self.tracker.finish().marks]


def test_a_primary_that_restarts_by_itself_takes_no_writes_meanwhile() -> None:
    """It stays the primary in the supervisor's eyes."""
    journal = Journal()
    journal.say(5.0, "phase_changed", phase="primary", state="running")
    status = {"process": "starting", "in_recovery": None}
    journal.say(50.0, "postgres_observed", status=status)
    journal.say(50.0, "phase_changed", phase="primary", state="starting")
    accepting = {"process": "accepting", "in_recovery": False}
    journal.say(52.0, "postgres_observed", status=accepting)
    lane = journal.tracker.finish().lane("postgres")
    assert [(change.when.at, change.state) for change in lane] == [
        (5.0, "primary"),
        (50.0, "starting"),
        (52.0, "primary"),
    ]


def test_renewals_that_are_answered_at_once_leave_no_mark() -> None:
    journal = Journal()
    journal.renew(10.0, took=0.1)
    journal.renew(20.0, took=0.2)
    assert journal.marks == []


def test_the_end_of_a_store_s_trouble_is_marked_once() -> None:
    journal = Journal()
    journal.renew(10.0, took=3.0)
    journal.renew(20.0, took=0.1)
    journal.renew(30.0, took=0.1)
    journal.say(45.0, "lease_unconfirmed", action="renew", error="timed out")
    journal.renew(46.0, took=0.1)
    journal.renew(56.0, took=0.1)
    assert journal.marks == [
        "slow_renewal",
        "prompt_renewal",
        "lease_unconfirmed",
        "prompt_renewal",
    ]
