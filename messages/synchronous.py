"""Synchronous standbys: what their manager found, and did not set itself.

The commands and outcomes are with PostgreSQL's and the store's others.
"""

from typing import Literal

from regnal.messages.base import LSN, Decision


class StandbyNamesFound(Decision):
    """synchronous_standby_names is this: PostgreSQL started with it, or somebody
    else changed it."""

    kind: Literal["standby_names_found"] = "standby_names_found"
    value: str
    lsn: LSN | None
    """Where our WAL was when it was seen; None: not known."""
