"""The laboratories: one per module and store, healthy before each test."""

from collections.abc import Iterator

import pytest

from regnal.demo.cluster import Amend, as_it_is
from tests.faults.lab import Lab, laboratory


@pytest.fixture(scope="module")
def synchronous() -> bool:
    return False


@pytest.fixture(scope="module")
def amend() -> Amend:
    """What a module's members have in their configuration over the usual."""
    return as_it_is


@pytest.fixture(scope="module")
def shared_lab(amend: Amend, synchronous: bool) -> Iterator[Lab]:
    with laboratory("etcd3", amend, synchronous=synchronous) as lab:
        yield lab


@pytest.fixture
def lab(shared_lab: Lab) -> Lab:
    """A complete cluster, whatever the test before left behind."""
    shared_lab.heal()
    return shared_lab
