"""Changes: another configuration than the one that was recorded.

    change = parsed_change("pg2:tags.failover_priority=5")
    Changes((change,)).applied("pg2", recorded)    # a ConfigurationApplied

A change is checked against the schema of the configuration, and settings are made of the
changed document, as the daemon does both: what a `--set` brings about is what the same
line in the configuration would have.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from typing import Any

from regnal.configuration.checking import check, with_defaults
from regnal.configuration.layouts import modernise_dynamic, modernise_local
from regnal.configuration.problems import ConfigurationError, OptionPath, Problem
from regnal.configuration.reading import read_yaml
from regnal.configuration.schema import DYNAMIC, LOCAL
from regnal.configuration.settings import make_settings
from regnal.configuration.tree import Document, Origin, Tree
from regnal.messages.base import MemberName
from regnal.messages.frozen import replace
from regnal.messages.settings import ConfigurationApplied, Settings

_IDENTITY = frozenset({"name", "scope", "namespace"})
"""Who a member is: a journal under another name is nobody's."""


@dataclass(frozen=True, slots=True)
class Change:
    """One option with another value."""

    text: str
    """As it was given."""

    member: MemberName | None
    """None: of all members."""

    document: Document
    """The option in its sections, in the types that the program uses."""


def parsed_change(text: str) -> Change:
    """`[MEMBER:]OPTION=VALUE`; the value is written as in YAML.

    Raises ConfigurationError, naming the option.
    """
    name, equals, value = text.partition("=")
    member, colon, option = name.rpartition(":")
    if not equals or not option.strip() or (colon and not member):
        raise ConfigurationError(
            Problem(
                f"--set {text}",
                "is not OPTION=VALUE",
                "write it like --set ttl=15, or for one member "
                "--set pg2:tags.nofailover=true",
            )
        )
    path = tuple(option.strip().split("."))
    if path[0] in _IDENTITY:
        reason = "says who a member is, and is no setting to try out"
        raise ConfigurationError(Problem(path[0], reason, "leave it out"))
    return Change(text, member.strip() or None, _checked(path, value, text))


class Changes:
    """All that is set, in its order."""

    def __init__(self, changes: Sequence[Change] = ()) -> None:
        self._changes = tuple(changes)

    @cached_property
    def members(self) -> tuple[MemberName, ...]:
        """Members that are named, sorted."""
        return tuple(sorted({c.member for c in self._changes if c.member is not None}))

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(change.text for change in self._changes)

    def applied(
        self, member: MemberName, recorded: ConfigurationApplied
    ) -> tuple[ConfigurationApplied, tuple[str, ...]]:
        """What the member would have been told, and what had to be corrected.

        Raises ConfigurationError where the journal does not hold the configuration.
        """
        ours = [c.document for c in self._changes if c.member in (None, member)]
        if not ours:
            return recorded, ()
        before = _document(recorded)
        after = before
        for document in ours:
            after = _laid_over(after, document)
        bootstrap = recorded.settings.bootstrap_config
        was, _ = _settings(before, bootstrap, member)
        now, warnings = _settings(after, bootstrap, member)
        # Only what the change made another counts: an older version made others of
        # the same document, and what was recorded is what was in force.
        changed = {name: value for name, value in now if value != getattr(was, name)}
        settings = recorded.settings.model_copy(update=changed)
        applied = recorded.model_copy(
            update={"settings": settings, "document": json.dumps(after)}
        )
        return applied, tuple(warnings)


def _checked(path: OptionPath, value: str, text: str) -> Document:
    """As it would stand in the dynamic configuration, or else in the local file."""
    problems: list[Problem] = []
    refusals: list[str] = []
    for schema, modernise in (
        (DYNAMIC, modernise_dynamic),
        (LOCAL, modernise_local),
    ):
        tree = _tree(path, value, text)
        modernise(tree)
        checked = check(schema, tree)
        if not checked.problems and not checked.warnings and _leaf(checked.document):
            return checked.document
        problems += checked.problems
        refusals += checked.warnings
    if problems:
        raise ConfigurationError(problems[0])
    reason = refusals[0] if refusals else f"{'.'.join(map(str, path))} has no value"
    named, _, rest = reason.partition(" ")
    raise ConfigurationError(
        Problem(
            named,
            rest.partition(" (")[0] or "cannot be set",
            "docs/configuration.md has all options",
        )
    )


def _tree(path: OptionPath, value: str, text: str) -> Tree:
    source = f"--set {text}"
    read = read_yaml(f"value: {value}", source)
    tree = Tree()
    names = tuple(str(name) for name in path)
    tree.put(names, read.data.get("value"), None)
    for inner, origin in read.origins.items():
        if inner[:1] == ("value",):
            tree.origins[*names, *inner[1:]] = Origin(source, None, origin.text)
    return tree


def _leaf(document: Document) -> bool:
    """Whether anything is left of what was written."""
    return any(
        _leaf(value) if isinstance(value, dict) and value else value is not None
        for value in document.values()
    )


def _document(recorded: ConfigurationApplied) -> Document:
    """The configuration in force, as the journal has it."""
    document = json.loads(recorded.document)
    if not isinstance(document, dict) or "postgresql" not in document:
        raise ConfigurationError(
            Problem(
                "the journal",
                "does not hold the configuration that was in force",
                "use the journal of a daemon, from where its configuration was applied",
            )
        )
    # A version that recorded it may not have known every option.
    return with_defaults(DYNAMIC, with_defaults(LOCAL, document))


def _settings(
    document: Document, bootstrap: str, member: MemberName
) -> tuple[Settings, list[str]]:
    try:
        return make_settings(document, bootstrap)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(
            Problem(
                f"the configuration of {member}",
                f"as its journal has it cannot be used: {error!r}",
                "use a journal of a daemon that this program can run",
            )
        ) from error


def _laid_over(below: Document, above: Document) -> Document:
    """Sections are merged, everything else is replaced."""
    merged: dict[str, Any] = dict(below)
    for name, value in above.items():
        lower = merged.get(name)
        if isinstance(lower, dict) and isinstance(value, dict):
            merged[name] = _laid_over(lower, value)
        else:
            merged[name] = value
    return merged


def with_settings(state: Any, was: Settings, now: Settings) -> Any:
    """The state of an actor, as if it had known the other settings all along."""
    if not is_dataclass(state) or isinstance(state, type):
        return state
    changed = {}
    for field in fields(state):
        value = getattr(state, field.name)
        other = now if value == was else with_settings(value, was, now)
        if other is not value:
            changed[field.name] = other
    return replace(state, **changed) if changed else state
