"""What a mutant is: production code with one rule broken, for as long as it is looked at.

Nothing in the sources changes.  A patch replaces a name where it is looked up when the
deciders run: a rule in the table of `election`, a function in the module that calls it.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from regnal.replay.model.bounds import Bounds
from regnal.replay.model.explore import Start


@dataclass(frozen=True)
class Patch:
    """`where.name` becomes `become(what it was)`."""

    where: Any
    name: str
    become: Callable[[Any], Any]


@dataclass(frozen=True)
class Mutant:
    name: str
    """What the broken rule does, as a headline."""

    patches: tuple[Patch, ...]
    bounds: Bounds
    """A world of the model checker that is large enough to show it."""

    begins: Start = "settled"

    recovers: bool = False
    """Whether it is liveness that is broken: from some state there is no way to rest."""


@contextmanager
def broken(mutant: Mutant) -> Iterator[None]:
    """The production code with this rule broken."""
    with ExitStack() as stack:
        for one in mutant.patches:
            new = one.become(getattr(one.where, one.name))
            stack.enter_context(patch.object(one.where, one.name, new))
        yield
