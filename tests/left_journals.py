"""Every journal that a test leaves behind replays to the same with today's deciders.

Journals that are written in the tests' process are replayed when their test ends, those of
the daemons of a cluster when it has stopped.  A test that writes steps which no decider
took says so with the mark `invented_steps`.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from regnal.actors.cast import DECIDERS
from regnal.actors.step import Decider
from regnal.demo.cluster import Cluster
from regnal.journal.ledger import Ledger
from regnal.journal.places import segments
from regnal.replay.telling.differences import difference_text
from regnal.replay.verify import verify_journal

_SHOWN = 10

_written: dict[Path, Sequence[Decider[Any]]] = {}
"""Journals begun since the last test ended, and the actors in them."""


@pytest.fixture(scope="session", autouse=True)
def journals_are_noticed() -> Iterator[None]:
    begin, stop = Ledger.__init__, Cluster.stop

    def begin_noticed(
        ledger: Ledger,
        directory: Path,
        identity: Any,
        stamper: Any,
        deciders: Sequence[Decider[Any]],
        *others: Any,
        **more: Any,
    ) -> None:
        _written[directory] = deciders
        begin(ledger, directory, identity, stamper, deciders, *others, **more)

    def stop_and_replay(cluster: Cluster) -> None:
        stop(cluster)
        fail_if_any(differences(one.journal, DECIDERS) for one in cluster.members)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "__init__", begin_noticed)
        patch.setattr(Cluster, "stop", stop_and_replay)
        yield


@pytest.fixture(autouse=True)
def journals_replay(request: pytest.FixtureRequest) -> Iterator[None]:
    """What the test wrote comes out the same again."""
    _written.clear()
    yield
    if request.node.get_closest_marker("invented_steps") is None:
        fail_if_any(differences(journal, cast) for journal, cast in _written.items())
    _written.clear()


def fail_if_any(diffs: Iterable[str]) -> None:
    found = [diff for diff in diffs if diff]
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def differences(journal: Path, deciders: Sequence[Decider[Any]]) -> str:
    """As a diff; empty: there are none, or there is no journal."""
    if not journal.is_dir() or not segments(journal):
        return ""
    result = verify_journal(journal, deciders)
    if result.is_same:
        return ""
    return (
        f"{journal} replays otherwise:\n{difference_text(result.differences[:_SHOWN])}"
    )
