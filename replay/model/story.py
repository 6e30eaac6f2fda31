"""The way to a broken law, told in order."""

from typing import NamedTuple

from regnal.replay.model.explore import Report, beginning, broken_law
from regnal.replay.model.state import Move, State
from regnal.replay.model.world import World
from regnal.replay.model.worlds import NamedWorld


def story(world: NamedWorld, report: Report) -> list[str]:
    """One line for each move, with the rules that spoke, up to the broken law."""
    model = World(world.bounds)
    names = model.around.names
    state, at = beginning(model, world.begins), 0
    lines: list[str] = []
    for move in report.path:
        state, rules, law = taken(model, state, move)
        if move.kind == "time passes":
            at += int(move.what.split()[0])
            lines += [f"{at:4} s  {law}"] if law is not None else []
            continue
        lines.append(f"{at:4} s  {move_text(move, names)}")
        lines += [f"        {names[i]}: {actor} > {rule}" for i, actor, rule in rules]
        if law is not None:
            lines.append(f"        {law}")
    return lines


class Taken(NamedTuple):
    """What came of a move."""

    after: State
    rules: list[tuple[int, str, str]]
    """Member, actor and rule of what was decided."""

    broken: str | None


def taken(model: World, state: State, wanted: Move) -> Taken:
    """This move of those that may happen now."""
    for move, scene in model.moves(state):
        if move == wanted:
            after = scene.done()
            return Taken(after, scene.rules, broken_law(model, scene, after))
    raise AssertionError(f"the way cannot be gone again: {wanted}")


def move_text(move: Move, names: tuple[str, ...]) -> str:
    who = names[move.member] if move.member is not None else ""
    return " ".join(part for part in (who, move.kind, move.what) if part)
