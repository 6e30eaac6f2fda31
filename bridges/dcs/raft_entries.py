"""Log entries that a Raft follower has already, taken out of what it is sent.

A Raft leader that heard of an older confirmation sends entries again which are on
their way already.  Raft says to delete from the log only what conflicts (Ongaro and
Ousterhout, 2014, figure 2, AppendEntries 3); pysyncobj deletes whatever follows
`prevLogIdx`, so that for a moment entries are missing that were confirmed, and says
so as a critical error.  So the message is made to start after what is there.
"""

from collections.abc import Sequence
from typing import Any

LogEntry = tuple[bytes, int, int]
"""Command, index, term."""


def without_repetition(
    log: Sequence[LogEntry], message: dict[str, Any]
) -> dict[str, Any]:
    """The same message for a follower with `log`; unchanged if it is no repetition.

    An entry of ours is the sender's too if it has the same term as the one sent for
    that index, or the term that the sender leads: only it made entries in that term.
    """
    previous = message.get("prevLogIdx")
    if not isinstance(previous, int) or "transmission" in message or not log:
        return message
    sent = {entry[1]: entry[2] for entry in message["entries"]}
    position = previous - log[0][1]
    if not 0 <= position < len(log) or log[position][2] != message["prevLogTerm"]:
        return message
    while position + 1 < len(log):
        _, index, term = log[position + 1]
        if term != sent.get(index, message["term"]):
            break
        position += 1
    last, last_term = log[position][1:]
    left = [entry for entry in message["entries"] if entry[1] > last]
    return message | {"prevLogIdx": last, "prevLogTerm": last_term, "entries": left}
