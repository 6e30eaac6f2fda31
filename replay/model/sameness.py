"""Which states are the same: those that differ only in which member is which.

Members are alike in everything but their names, and names decide nothing but whom of
two level candidates comes first (and whom of two equal standbys is synchronous).  That
is not quite a symmetry: `Bounds.symmetric` says whether it is used all the same.
"""

from itertools import permutations
from typing import Any

from regnal.replay.model.postgres import ROWS_BELOW, Server
from regnal.replay.model.state import Host, State
from regnal.replay.model.values import Token, Tokens, renamed

Places = tuple[int, ...]
"""Where each member goes."""


class Sameness:
    def __init__(
        self, names: tuple[str, ...], tokens: Tokens, *, symmetric: bool
    ) -> None:
        self._names = names
        self._tokens = tokens
        # The first leads where we begin, and is not like the others.
        rest = permutations(range(1, len(names)))
        places = [(0, *others) for others in rest]
        self._others = places[1:] if symmetric else []
        self._renamed: dict[tuple[Any, Places], Any] = {}

    def key(self, state: State) -> int:
        """The same for states that are the same, and (but for chance: 1 in 2^63 for
        each pair) for no others."""
        own = hash(state)
        others = (hash(self._placed(state, places)) for places in self._others)
        return min(own, min(others, default=own))

    def _placed(self, state: State, places: Places) -> State:
        hosts: list[Any] = [None] * len(places)
        for index, place in enumerate(places):
            hosts[place] = self._remembered(state.hosts[index], places)
        return state._replace(
            hosts=tuple(hosts),
            store=self._remembered(state.store, places),
            strays=tuple(
                sorted(
                    (
                        s._replace(
                            member=places[s.member],
                            command=self._remembered(s.command, places),
                        )
                        for s in state.strays
                    ),
                    key=lambda s: (s.member, s.command.number, s.is_current),
                )
            ),
            cut=tuple(
                sorted(
                    (min(pair), max(pair))
                    for pair in ((places[a], places[b]) for a, b in state.cut)
                )
            ),
            waiting=tuple((row, places[writer]) for row, writer in state.waiting),
        )

    def _remembered(self, value: Any, places: Places) -> Any:
        key = value, places
        found = self._renamed.get(key)
        if found is None:
            names = {
                name: self._names[place]
                for name, place in zip(self._names, places, strict=True)
            }
            found = self._renamed[key] = self._rename(value, places, names)
        return found

    def _rename(self, value: Any, places: Places, names: dict[str, str]) -> Any:
        match value:
            case Token():
                return self._tokens.of(renamed(value.value, names))
            case Server():
                log = tuple(_record(record, places) for record in value.log)
                return value._replace(
                    upstream=renamed(value.upstream, names),
                    names=_standbys(value.names, names),
                    log=log,
                )
            case str():
                return renamed(value, names)
            case tuple():
                items = [self._rename(item, places, names) for item in value]
                if hasattr(value, "_fields"):
                    if isinstance(value, Host):
                        return Host(*items)
                    return type(value)(*items)
                return _sorted_if(value, items)
            case _:
                return value


def _sorted_if(before: tuple[Any, ...], items: list[Any]) -> tuple[Any, ...]:
    """Member keys stand in the order of their names."""
    if len(items) > 1 and all(hasattr(item, "view") for item in before):
        return tuple(sorted(items))
    return tuple(items)


def _standbys(value: str, names: dict[str, str]) -> str:
    """synchronous_standby_names, which lists them in their order."""
    text = renamed(value, names)
    head, bracket, inner = text.rpartition("(")
    listed = ",".join(sorted(inner.rstrip(")").split(",")))
    return f"{head}{bracket}{listed})" if bracket else listed


def _record(record: int, places: Places) -> int:
    """Records of PostgreSQL itself tell in their last digit who wrote them."""
    if record < ROWS_BELOW:
        return record
    return record - record % 10 + places[record % 10]
