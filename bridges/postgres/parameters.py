"""PostgreSQL's parameters as they are to be in force: checked, completed, owned.

The *controlled* ones must be equal on all members or hold the cluster together;
they have defaults and minima of ours, and go onto the server's command line too,
so that ALTER SYSTEM cannot change them (docs/contracts.md 6.5).
"""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from regnal.bridges.postgres.conninfo import listen_hosts
from regnal.bridges.postgres.guc.description import (
    NO_DESCRIPTIONS,
    Description,
    Descriptions,
)
from regnal.bridges.postgres.guc.rules import Rule, ValueType, find_rule
from regnal.bridges.postgres.guc.values import (
    Checked,
    as_text,
    check_value,
    parse_boolean,
    parse_number,
    with_bounds,
)
from regnal.bridges.postgres.options import PostgresOptions

logger = logging.getLogger(__name__)

SEGMENT_MB = 16
"""What a wal_keep_segments of an older configuration counted in."""

NOT_SETTABLE = frozenset(
    {"data_directory", "config_file", "listen_addresses", "port", "cluster_name"}
)
"""They come from other options, or would lead the server elsewhere."""

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

_DOTTED_NAME = re.compile(r"[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)+")


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


@dataclass(frozen=True, slots=True)
class EffectiveParameters:
    values: Mapping[str, str]
    """As they are written to the file, by name as PostgreSQL spells it."""

    controlled: Mapping[str, str]
    """Those of `values` that go onto the command line."""

    complaints: tuple[str, ...] = field(default=())
    """What a person should know: dropped, clamped and replaced values."""

    @property
    def arguments(self) -> tuple[str, ...]:
        return tuple(f"--{name}={value}" for name, value in self.controlled.items())


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


def effective_parameters(
    options: PostgresOptions,
    server_version: int,
    descriptions: Descriptions = NO_DESCRIPTIONS,
    *,
    synchronous_standby_names: str | None = None,
) -> EffectiveParameters:
    """What the configuration means for a server of this version.

    `synchronous_standby_names` overrides the user's; None leaves it to the user,
    unless synchronous mode owns it.
    """
    complaints: list[str] = []
    given = _by_name(options.parameters, complaints)
    wanted = _controlled_values(given, server_version, complaints)
    wanted |= _fixed_values(options, server_version)
    values = dict(wanted)
    for name, value in given.items():
        if name in CONTROLLED_NAMES or (
            name == "synchronous_standby_names" and options.synchronous_mode
        ):
            continue
        _add_checked(values, name, value, server_version, descriptions, complaints)
    if synchronous_standby_names is not None:
        values["synchronous_standby_names"] = synchronous_standby_names
    if options.has_logical_slots:
        values["hot_standby_feedback"] = "on"
    return EffectiveParameters(
        values=dict(sorted(values.items(), key=lambda item: item[0].lower())),
        controlled={k: v for k, v in wanted.items() if k not in NOT_ON_COMMAND_LINE},
        complaints=tuple(complaints),
    )


def raised_for_standby(
    parameters: EffectiveParameters, fields: Mapping[str, str]
) -> dict[str, str]:
    """The controlled values with which a standby can start, from pg_controldata.

    Were one lower than the primary's, PostgreSQL would refuse to start; it gets
    the higher one then, until somebody restarts it after the primary's went down
    (REPL-30).
    """
    raised = dict(parameters.controlled)
    for name, label in NEEDED_BY_STANDBY.items():
        recorded, wanted = fields.get(label, ""), parameters.controlled.get(name)
        if wanted is None or not recorded.isdigit():
            continue
        number = parse_number(wanted, "")
        if number is not None and int(recorded) > number:
            logger.warning(
                "Starting with %s = %s, which the primary had, instead of %s.",
                name,
                recorded,
                wanted,
            )
            raised[name] = recorded
    return raised


def check_parameter(
    name: str, value: object, server_version: int, descriptions: Descriptions
) -> tuple[str, Checked]:
    """The parameter's name as PostgreSQL spells it, and what becomes of its value."""
    rule = find_rule(name, server_version)
    described = descriptions.get(name.lower())
    if rule is not None:
        if described is not None:
            rule = _as_described(rule, described)
        return rule.name, check_value(rule, value)
    if _DOTTED_NAME.fullmatch(name):
        text = as_text(value)
        return name, Checked(text, None if text is not None else "has no usable value")
    if described is not None:
        return described.name, _check_described(described, value)
    return name, Checked(None, "is not a parameter of this version of PostgreSQL")


def log_changes(
    before: Mapping[str, str], after: Mapping[str, str], descriptions: Descriptions
) -> None:
    """Tell each parameter that changes, from what to what (CFG-29)."""
    old = {name.lower(): value for name, value in before.items()}
    new = {name.lower(): value for name, value in after.items()}
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            described = descriptions.get(name)
            logger.info(
                "Changed %s from %s to %s%s.",
                name,
                _shown(name, old),
                _shown(name, new),
                " (a restart may be needed)"
                if described is not None and described.needs_restart
                else "",
            )


def _shown(name: str, values: Mapping[str, str]) -> str:
    if name not in values:
        return "its default"
    return "(hidden)" if "conninfo" in name else repr(values[name])


def _by_name(
    parameters: Mapping[str, object], complaints: list[str]
) -> dict[str, object]:
    """By name in lower case, without those that are not the user's to set."""
    found: dict[str, object] = {}
    for name, value in parameters.items():
        key = str(name).strip().lower()
        if value is None:
            continue
        if key in NOT_SETTABLE:
            complaints.append(f"parameter {key} is ignored: it is set by other options")
            continue
        # The rules know how it is spelled; a dotted one keeps its spelling.
        found[key if "." not in key else str(name).strip()] = value
    return found


def _controlled_values(
    given: Mapping[str, object], server_version: int, complaints: list[str]
) -> dict[str, str]:
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


def _fixed_values(options: PostgresOptions, server_version: int) -> dict[str, str]:
    values = {
        "listen_addresses": ",".join(listen_hosts(options)),
        "port": options.port,
    }
    if server_version >= 90500:
        values["cluster_name"] = options.scope
    return values


def _add_checked(
    values: dict[str, str],
    name: str,
    value: object,
    server_version: int,
    descriptions: Descriptions,
    complaints: list[str],
) -> None:
    spelled, checked = check_parameter(name, value, server_version, descriptions)
    if checked.value is not None:
        values[spelled] = checked.value
        if checked.complaint is not None:
            complaints.append(f"parameter {spelled} {checked.complaint}")
    else:
        complaints.append(
            f"parameter {spelled} is dropped: it {checked.complaint or 'has no value'}"
        )


def _check_described(described: Description, value: object) -> Checked:
    """By what the server tells of a parameter that we do not know: whether it is a
    boolean, and the limits of a number, if that has no unit."""
    text = as_text(value)
    is_bare_number = text is not None and parse_number(text, "") is not None
    match described.type:
        case "bool" as value_type:
            return check_value(_rule_of(described, value_type), value)
        case ("integer" | "real") as value_type if is_bare_number:
            return check_value(_rule_of(described, value_type), value)
    return Checked(text, None if text is not None else "has no usable value")


def _rule_of(described: Description, value_type: ValueType) -> Rule:
    rule = Rule(described.name, (), value_type, "")
    return _as_described(rule, described)


def _as_described(rule: Rule, described: Description) -> Rule:
    if described.minimum is None or described.maximum is None:
        return rule
    return with_bounds(rule, described.minimum, described.maximum)
