"""What holds for every test: how often properties are tried, and which worker runs what."""

import gc
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.examples import QUICK, THOROUGH

pytest_plugins = ["tests.left_journals"]

# A machine that is busy with real servers is no reason to call a property slow.  The quick
# suite tries the same examples every time: new ones are for `make test-slow`.
settings.register_profile("regnal", deadline=None, max_examples=QUICK, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=THOROUGH)
settings.load_profile("regnal")

CLUSTERS = "tests/scenarios/test_"
"""How the files begin that play on whole clusters: three daemons, three PostgreSQL."""


class OneClusterAtATime(LoadFileScheduling):  # type: ignore[misc]  # it has no types
    """A worker takes a whole file, so that the servers of a module start once.

    The files on whole clusters count as one: their deadlines hold on a machine that
    runs one cluster beside other tests, not on one that runs two.
    """

    def _split_scope(self, nodeid: str) -> str:
        return CLUSTERS if nodeid.startswith(CLUSTERS) else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(
    config: pytest.Config, log: Producer
) -> OneClusterAtATime:
    config.option.loadscopereorder = False
    return OneClusterAtATime(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """What a worker reports may hold half a character, from a hostile value; xdist would
    end with an error of its own, and not run the rest."""
    return _encodable((yield))


def _encodable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _encodable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_encodable(inner) for inner in value]
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    return value


def pytest_collection_finish() -> None:
    """Thousands of tests are there to the end: the collector of garbage need not look at
    them over and over."""
    gc.collect()
    gc.freeze()


LONGEST = (CLUSTERS, "tests/scenarios/")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first: the workers end together."""
    items.sort(key=lambda item: [not item.nodeid.startswith(one) for one in LONGEST])
