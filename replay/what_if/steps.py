"""Steps: what this program makes of a recording, as lines that another version can read.

    {"member":"pg2","actor":"election","heard":"pg2/1/559","kind":"cluster_observed",
     "record":559,"rule":"keep_following","facts":{},"said":[{"kind":"set_timer",...}]}

One JSON object a line, in the order of the journal; `error` where the decider raised.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from regnal.actors.cast import DECIDERS
from regnal.actors.step import Step
from regnal.journal.encoding import kind_of
from regnal.journal.reader import Window
from regnal.messages.base import MemberName
from regnal.replay.playback.differing import as_json
from regnal.replay.playback.player import Replayed, play

Line = dict[str, Any]


def step_lines(member: MemberName, directory: Path, window: Window) -> Iterator[Line]:
    """Steps that say something, or go by a rule.  Raises OSError."""
    for played in play(directory, DECIDERS, window):
        if not isinstance(played, Replayed) or played.is_doubtful:
            continue
        step = played.step
        if step is None or step.said or step.facts or step.rule is not None:
            yield {
                "member": member,
                "actor": played.actor,
                "heard": played.heard.id,
                "kind": kind_of(type(played.heard.message)),
                "record": played.record,
                "at": played.heard.hlc.wall_us / 1e6,
                **_decided(step, played.error),
            }


def _decided(step: Step[Any] | None, error: Exception | None) -> Line:
    if step is None:
        return {"error": repr(error)}
    return {
        "rule": step.rule,
        "facts": as_json(step.facts),
        "said": as_json(step.said),
    }
