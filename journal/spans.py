"""Spans from records: the traces that a journal tells.

One reader follows one member's journal; what it remembers between two records is a
small text, with which another can go on.
"""

import contextlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from regnal.events.cloud import Reporter
from regnal.events.spans.loom import Clock
from regnal.events.spans.memory import Rule
from regnal.events.spans.span import Span
from regnal.events.spans.weaver import Weaver
from regnal.journal.decoding import Undecodable, envelope_of
from regnal.journal.reader import Record
from regnal.journal.stamps import Microseconds
from regnal.messages.base import Instant, JsonText, Message, Seconds
from regnal.messages.envelope import Envelope

_TYPE = re.compile(rb'"type":"(\w+)"')
"""Of the message, in the head of its record: a quote within a text has a backslash."""

FOREVER: Seconds = 1e10
"""No host runs for three hundred years."""

LATEST: Microseconds = 2**63 // 1000
"""Later is no moment that nanoseconds can tell."""

_SAID = re.compile(rb'"said":\[')


class SpanReader:
    """Tells the spans that are over with each record; records in their order."""

    def __init__(
        self,
        reporter: Reporter,
        memory: JsonText | None = None,
        *,
        share: float = 0.0,
        clock: Clock | None = None,
    ) -> None:
        """See `Weaver`."""
        self._weaver = Weaver(reporter, memory, share=share, clock=clock)

    @property
    def memory(self) -> JsonText:
        return self._weaver.memory

    def read(self, record: Record) -> Sequence[Span]:
        """What is held, and what this program does not know, tells nothing."""
        if record.is_held:
            return ()
        if record.kind == "start":
            self._weaver.at_boot(str(record.fields.get("boot", "")))
            return ()
        if record.kind == "step":
            if _SAID.search(record.line):
                self._heed(record.fields)
            return ()
        if record.kind != "message":
            return ()
        kind = _TYPE.search(record.line)
        if kind is None or not self._weaver.wants(kind[1].decode()):
            return self._pass_time(record)
        try:
            envelope = envelope_of(record)
        except Undecodable:
            return ()
        if not _is_sound(envelope):
            return ()
        return self._weaver.weave(envelope)

    def tick(self, at: Instant) -> Sequence[Span]:
        """It is so late, and all that is written was read: an idle member writes nothing
        for long."""
        return self._weaver.tick(at)

    def finish(self) -> Sequence[Span]:
        """The journal ends here: what is under way, as far as it is known."""
        return self._weaver.finish()

    def _pass_time(self, record: Record) -> Sequence[Span]:
        if self._weaver.is_idle:
            return ()
        at = record.fields.get("at")
        if not isinstance(at, int | float) or not 0 <= at < FOREVER:
            return ()
        return self._weaver.tick(float(at))

    def _heed(self, fields: Mapping[str, Any]) -> None:
        said, facts = fields.get("said"), fields.get("facts")
        if not isinstance(said, list):
            return
        candidates = facts.get("candidates") if isinstance(facts, dict) else None
        with contextlib.suppress(ValidationError):  # half a character, which is no text
            rule = Rule(
                actor=str(fields.get("actor", "")),
                rule=str(fields.get("rule") or ""),
                said=[str(one) for one in said],
                candidates=_verdicts(candidates),
            )
            self._weaver.heed(rule)


def _is_sound(envelope: Envelope[Message]) -> bool:
    """False: somebody made it up."""
    texts = (envelope.id, envelope.said_by, envelope.cause or "")
    if not all(isinstance(text, str) and text.isprintable() for text in texts):
        return False
    return 0 <= envelope.at < FOREVER and 0 <= envelope.wall_us < LATEST


def _verdicts(candidates: object) -> list[str]:
    """`pg3 CANDIDATE_LAG`, as the facts of an election have it."""
    found = []
    for one in candidates if isinstance(candidates, list) else ():
        if isinstance(one, dict) and isinstance(one.get("verdict"), dict):
            found.append(f"{one.get('member')} {one['verdict'].get('code')}")
    return found
