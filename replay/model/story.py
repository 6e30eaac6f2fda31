"""The way to a broken law, told in order."""

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
        made = _made(model, state, move)
        assert made is not None, f"the way cannot be gone again: {move}"
        state, rules, law = made
        if move.kind == "time passes":
            at += int(move.what.split()[0])
            lines += [f"{at:4} s  {law}"] if law is not None else []
            continue
        lines.append(f"{at:4} s  {move_text(move, names)}")
        lines += [f"        {names[i]}: {actor} > {rule}" for i, actor, rule in rules]
        if law is not None:
            lines.append(f"        {law}")
    return lines


def _made(
    model: World, state: State, wanted: Move
) -> tuple[State, list[tuple[int, str, str]], str | None] | None:
    for move, scene in model.moves(state):
        if move == wanted:
            after = scene.done()
            return after, scene.rules, broken_law(model, scene, after)
    return None


def move_text(move: Move, names: tuple[str, ...]) -> str:
    who = names[move.member] if move.member is not None else ""
    return " ".join(part for part in (who, move.kind, move.what) if part)
