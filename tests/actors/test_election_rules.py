"""The decision table as a whole: names, order, and that every rule has its tests."""

from types import ModuleType
from typing import Any

from regnal.actors.election import BEFORE_ALL_IS_KNOWN, RULES
from tests.actors import (
    test_election_creation,
    test_election_fencing,
    test_election_following,
    test_election_lease,
    test_election_policy,
    test_election_race,
    test_election_rest,
    test_election_shutdown,
)

TABLES = (
    test_election_creation,
    test_election_fencing,
    test_election_following,
    test_election_lease,
    test_election_policy,
    test_election_race,
    test_election_shutdown,
)
"""Modules with cases in `SPEAKS` and `SILENT`; test_election_rest has parameters."""

ALWAYS_SPEAKS = ("keep_following",)


def parameters_of(test: Any) -> list[Any]:
    (mark,) = test.pytestmark
    return [getattr(case, "values", case) for case in mark.args[1]]


def tried(where: str, module: ModuleType, *tests: str) -> set[str]:
    names = {
        case.rule.__name__
        for table in TABLES
        for case in getattr(table, where).values()
    }
    for test in tests:
        names |= {case[0].__name__ for case in parameters_of(getattr(module, test))}
    return names


def test_every_rule_is_tried_where_it_speaks() -> None:
    speaking = tried(
        "SPEAKS",
        test_election_rest,
        "test_it_speaks",
        "test_it_decides_that_nothing_is_to_be_done",
    )
    assert [rule.__name__ for rule in RULES if rule.__name__ not in speaking] == []


def test_every_rule_is_tried_where_it_must_not_speak() -> None:
    silent = tried("SILENT", test_election_rest, "test_it_is_silent")
    silent |= set(ALWAYS_SPEAKS)
    assert [rule.__name__ for rule in RULES if rule.__name__ not in silent] == []


def test_names_are_unique_and_say_why() -> None:
    """The name is what the journal, `explain` and the log call the decision."""
    names = [rule.__name__ for rule in RULES]
    assert len(names) == len(set(names))
    assert [rule.__name__ for rule in RULES if not rule.__doc__] == []


def test_what_applies_before_all_is_known_applies_afterwards() -> None:
    assert [rule for rule in BEFORE_ALL_IS_KNOWN if rule not in RULES] == []


def test_who_must_stop_comes_before_everything_else() -> None:
    """Law 1: nothing else matters while these apply."""
    names = [rule.__name__ for rule in RULES]
    first = [name for name in names if name.startswith("step_down")]
    others = [n for n in names[: len(first) + 1] if not n.startswith("step_down")]
    assert others == ["ask_the_members_before_stepping_down"]
