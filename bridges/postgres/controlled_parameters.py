"""The controlled parameters: equal on all members, or what holds the cluster together.

Only the dynamic configuration sets them.  They have defaults and minima of ours,
and go onto the server's command line too, so that ALTER SYSTEM cannot change them
(docs/contracts.md 6.5).
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from regnal.bridges.postgres.guc.rules import find_rule
from regnal.bridges.postgres.guc.values import (
    Checked,
    as_text,
    check_value,
    parse_boolean,
    parse_number,
)

logger = logging.getLogger(__name__)

SEGMENT_MB = 16
"""What a wal_keep_segments of an older configuration counted in."""

NOT_ON_COMMAND_LINE = frozenset({"wal_keep_segments", "wal_keep_size"})

NEEDED_BY_STANDBY = {
    "max_connections": "max_connections setting",
    "max_prepared_transactions": "max_prepared_xacts setting",
    "max_locks_per_transaction": "max_locks_per_xact setting",
    "max_worker_processes": "max_worker_processes setting",
    "max_wal_senders": "max_wal_senders setting",
}
"""Parameters that a standby must not have lower than its primary had, with their
labels in the output of pg_controldata (manual, 27.4.3)."""


@dataclass(frozen=True, slots=True)
class ControlledParameter:
    """A parameter that only the dynamic configuration may set."""

    name: str
    default: str
    is_valid: Callable[[str], bool]
    valid: str
    """What is valid, for people."""

    since: int = 90300
    end: int = 10**9
    """The version from which on it does not exist."""

    def __contains__(self, server_version: int) -> bool:
        return self.since <= server_version < self.end


def at_least(minimum: int, unit: str = "") -> Callable[[str], bool]:
    """Whether a text is a number, in `unit` unless it says otherwise, and big enough."""

    def check(text: str) -> bool:
        number = parse_number(text, unit)
        return number is not None and number >= minimum

    return check


def _is_boolean(text: str) -> bool:
    return parse_boolean(text) is not None


def _is_true(text: str) -> bool:
    return parse_boolean(text) is True


def _is_wal_level(text: str) -> bool:
    return text.strip().lower() in ("hot_standby", "replica", "logical")


CONTROLLED = (
    ControlledParameter(
        "wal_level", "replica", _is_wal_level, "hot_standby, replica or logical"
    ),
    ControlledParameter("hot_standby", "on", _is_true, "on"),
    ControlledParameter("max_connections", "100", at_least(25), "at least 25"),
    ControlledParameter("max_wal_senders", "10", at_least(3), "at least 3"),
    ControlledParameter(
        "wal_keep_segments", "8", at_least(1), "at least 1", end=130000
    ),
    ControlledParameter(
        "wal_keep_size", "128MB", at_least(16, "MB"), "at least 16MB", since=130000
    ),
    ControlledParameter("max_prepared_transactions", "0", at_least(0), "0 or more"),
    ControlledParameter("max_locks_per_transaction", "64", at_least(32), "at least 32"),
    ControlledParameter(
        "track_commit_timestamp", "off", _is_boolean, "a boolean", since=90500
    ),
    ControlledParameter(
        "max_replication_slots", "10", at_least(4), "at least 4", since=90400
    ),
    ControlledParameter(
        "max_worker_processes", "8", at_least(2), "at least 2", since=90400
    ),
    ControlledParameter("wal_log_hints", "on", _is_boolean, "a boolean", since=90400),
)
CONTROLLED_NAMES = frozenset(parameter.name for parameter in CONTROLLED)


def controlled_values(
    given: Mapping[str, object], server_version: int, complaints: list[str]
) -> dict[str, str]:
    """All that this version has, by name; what is wrong is added to `complaints`."""
    values: dict[str, str] = {}
    converted = {**given, **_converted_wal_keep(given, server_version)}
    for parameter in CONTROLLED:
        if server_version not in parameter:
            continue
        value = parameter.default
        if parameter.name in converted:
            checked = _check_controlled(
                parameter, converted[parameter.name], server_version
            )
            value = parameter.default if checked.value is None else checked.value
            if checked.complaint is not None:
                complaints.append(f"parameter {parameter.name} {checked.complaint}")
        values[parameter.name] = value
    values["wal_level"] = _wal_level(values["wal_level"], server_version)
    return values


def _check_controlled(
    parameter: ControlledParameter, given: object, server_version: int
) -> Checked:
    text = as_text(given)
    if text is None or not parameter.is_valid(text):
        return Checked(
            None,
            f"is {given!r}, but must be {parameter.valid}; {parameter.default} is taken",
        )
    rule = find_rule(parameter.name, server_version)
    return check_value(rule, given) if rule is not None else Checked(text)


def _converted_wal_keep(
    given: Mapping[str, object], server_version: int
) -> dict[str, str]:
    """Whichever of the two the user gave, in the terms of this version."""
    if server_version >= 130000:
        segments = parse_number(str(given.get("wal_keep_segments", "")), "")
        if segments is not None and "wal_keep_size" not in given:
            return {"wal_keep_size": f"{round(segments) * SEGMENT_MB}MB"}
    else:
        size = parse_number(str(given.get("wal_keep_size", "")), "MB")
        if size is not None and "wal_keep_segments" not in given:
            return {"wal_keep_segments": str((round(size) + 8) // SEGMENT_MB)}
    return {}


def _wal_level(value: str, server_version: int) -> str:
    """`hot_standby` and `replica` are the same level by its old and new name."""
    level = value.strip().lower()
    if level == "logical" and server_version >= 90400:
        return level
    return "replica" if server_version >= 90600 else "hot_standby"


def raised_for_standby(
    controlled: Mapping[str, str], fields: Mapping[str, str]
) -> dict[str, str]:
    """The controlled values with which a standby can start, from pg_controldata.

    Were one lower than the primary's, PostgreSQL would refuse to start; it gets
    the higher one then, until somebody restarts it after the primary's went down
    (REPL-30).
    """
    raised = dict(controlled)
    for name, label in NEEDED_BY_STANDBY.items():
        recorded, wanted = fields.get(label, ""), controlled.get(name)
        if wanted is None or not recorded.isdigit():
            continue
        number = parse_number(wanted, "")
        if number is not None and int(recorded) > number:
            logger.warning(
                "This standby needs %s = %s, as the primary had, and starts with that; "
                "%s is configured.",
                name,
                recorded,
                wanted,
            )
            raised[name] = recorded
    return raised
