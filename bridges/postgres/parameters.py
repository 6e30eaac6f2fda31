"""PostgreSQL's parameters as they are to be in force: checked and completed."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from regnal.bridges.postgres.conninfo import listen_hosts
from regnal.bridges.postgres.controlled_parameters import (
    CONTROLLED_NAMES,
    NOT_ON_COMMAND_LINE,
    controlled_values,
)
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
    parse_number,
    with_bounds,
)
from regnal.bridges.postgres.options import PostgresOptions

logger = logging.getLogger(__name__)

NOT_SETTABLE = frozenset(
    {"data_directory", "config_file", "listen_addresses", "port", "cluster_name"}
)
"""They come from other options, or would lead the server elsewhere."""

_DOTTED_NAME = re.compile(r"[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)+")


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
    wanted = controlled_values(given, server_version, complaints)
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


def checked_settings(
    given: Mapping[str, str], server_version: int, descriptions: Descriptions
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Recovery settings as they can be written, and what is to be complained of.

    Up to 11 they were no parameters, and nobody but the server can judge them.
    """
    if server_version < 120000:
        return dict(given), ()
    values: dict[str, str] = {}
    complaints: list[str] = []
    for name, value in given.items():
        _add_checked(values, name, value, server_version, descriptions, complaints)
    return values, tuple(complaints)


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
