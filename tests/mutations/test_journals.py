"""The way to the law that a mutant breaks, as journals: told by the same tools as real ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from regnal.journal.decoding import step_of
from regnal.replay.evidence.reading import entries
from regnal.replay.explaining.explain import Investigation
from regnal.replay.model.daemon import CAST
from regnal.replay.model.explore import Limits, beginning, explore
from regnal.replay.model.recording import write_journals
from regnal.replay.model.story import taken
from regnal.replay.model.world import World
from regnal.replay.model.worlds import NamedWorld
from regnal.replay.verify import verify_journal
from tests.mutations.mutant import Mutant, broken
from tests.mutations.mutants import MUTANTS
from tests.mutations.test_mutants import STATES


@dataclass(frozen=True)
class Way:
    directory: Path
    decided: list[tuple[str, str, str]]
    """Member, actor and rule of every decision on the way, in the model."""


TOLD = (
    "promote without the lease",
    "renew after the deadline and not step down",
    "create the cluster although another does",
    "lead without the votes",
)
"""A new cluster, three members, a lease that ends, a daemon that starts again."""


@pytest.fixture(scope="module", params=TOLD)
def way(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Way]:
    """While the rule is broken: only so what it decided comes out the same again."""
    mutant: Mutant = next(one for one in MUTANTS if one.name == request.param)
    world = NamedWorld(mutant.name, "a mutant", mutant.bounds, mutant.begins)
    directory = tmp_path_factory.mktemp("way")
    with broken(mutant):
        model = World(mutant.bounds)
        state = beginning(model, mutant.begins)
        report = explore(model, state, Limits(states=STATES))
        assert report.broken is not None
        write_journals(world, report, directory)
        decided = []
        for move in report.path:
            state, rules, _ = taken(model, state, move)
            decided += [
                (model.around.names[i], actor, rule) for i, actor, rule in rules
            ]
        yield Way(directory, decided)


@pytest.mark.invented_steps
def test_the_journals_have_what_was_decided(way: Way) -> None:
    for journal in sorted(way.directory.iterdir()):
        told = (
            (journal.name, step.actor, step.rule)
            for entry in entries(journal)
            if entry.record.kind == "step"
            for step in [step_of(entry.record)]
        )
        # In this order, with others in between: routine, and what came before.
        for decided in (one for one in way.decided if one[0] == journal.name):
            assert decided in told


@pytest.mark.invented_steps
def test_they_replay_to_the_same(way: Way) -> None:
    for journal in sorted(way.directory.iterdir()):
        result = verify_journal(journal, CAST)
        assert result.is_same
        assert not result.troubles
        assert result.steps > 10


@pytest.mark.invented_steps
def test_explain_finds_what_happened(way: Way) -> None:
    journals = {path.name: path for path in sorted(way.directory.iterdir())}
    investigation = Investigation(journals)
    for incident in investigation.incidents:
        assert investigation.story(incident) is not None
    begun = investigation.evidence
    assert {*begun.members} == {*journals}
