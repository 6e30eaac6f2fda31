"""Other code: the same recording through another version of this program.

    for line in steps_of(Path("/src/regnal-next"), directories): ...

The other version runs in a process of its own, and prints its steps.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from regnal.messages.base import MemberName, Seconds
from regnal.replay.what_if.findings import CodeAnswer, CodeDifference
from regnal.replay.what_if.steps import Line

PATIENCE: Seconds = 3600.0
"""So long another version may take."""

_SHOWN = 500

Place: TypeAlias = tuple[MemberName, int, str]
"""Of a step: whose, the record of the message, and the actor that heard it."""


class CannotRun(Exception):
    """The other version does not run, or cannot print its steps."""


def steps_of(
    code: Path, directories: Mapping[MemberName, Path], window: Sequence[str] = ()
) -> list[Line]:
    """All steps of the version at `code`, a checkout.  Raises CannotRun.

    `window`: options that say which records, such as `--since`, and their values.
    """
    program, environment = _program(code)
    arguments = [
        *program,
        "replay",
        "steps",
        *window,
        *(str(one.resolve()) for one in directories.values()),
    ]
    try:
        done = subprocess.run(
            arguments,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env=environment,
            cwd="/",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotRun(f"{code}: {error}") from error
    if done.returncode != 0:
        if "No such command" in done.stderr:
            raise CannotRun(
                f"{code}: this version has no `regnal replay steps`; it is too old to be "
                "compared with"
            )
        raise CannotRun(f"{code}: it ended with {_end_of(done.stderr)}")
    return list(_lines(code, done.stdout))


def compared(ours: Iterable[Line], theirs: Iterable[Line]) -> CodeAnswer:
    """The first difference of each member, and how many there are."""
    here, there = _by_place(ours), _by_place(theirs)
    first: dict[MemberName, CodeDifference] = {}
    count = 0
    for place in sorted(here.keys() | there.keys(), key=lambda one: (one[0], one[1])):
        then, now = here.get(place), there.get(place)
        if _decision(then) == _decision(now):
            continue
        count += 1
        known = then or now
        assert known is not None
        first.setdefault(
            place[0],
            CodeDifference(
                member=place[0],
                actor=known["actor"],
                record=known["record"],
                moment=known["at"],
                heard=known["kind"],
                here=_decision(then),
                there=_decision(now),
            ),
        )
    return CodeAnswer(
        verdict="differs" if count else "same",
        steps=len(here),
        count=count,
        differences=tuple(first.values()),
    )


def _program(code: Path) -> tuple[list[str], dict[str, str]]:
    """How to run it: as a checkout by its own environment or else by ours, or as an
    environment in which it is installed.  Raises CannotRun."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    if (code / "regnal" / "__main__.py").is_file():
        own = code / ".venv" / "bin" / "python"
        python = str(own) if own.is_file() else sys.executable
        return [python, "-m", "regnal"], {**environment, "PYTHONPATH": str(code)}
    if (code / "bin" / "regnal").is_file():
        return [str(code / "bin" / "regnal")], environment
    raise CannotRun(
        f"{code}: there is no Regnal; name a checkout, or an environment in which it is "
        "installed"
    )


def _decision(line: Line | None) -> dict[str, Any] | None:
    """What is compared; None: nothing was said."""
    if line is None:
        return None
    names = ("rule", "facts", "said", "error")
    return {name: line[name] for name in names if name in line}


def _by_place(lines: Iterable[Line]) -> dict[Place, Line]:
    return {(one["member"], one["record"], one["actor"]): one for one in lines}


def _end_of(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:_SHOWN] if lines else "no word"


def _lines(code: Path, text: str) -> Iterator[Line]:
    for line in text.splitlines():
        try:
            found: Line = json.loads(line)
            assert {"member", "record", "actor", "at", "kind"} <= found.keys()
        except (ValueError, AttributeError, AssertionError) as error:
            raise CannotRun(f"{code}: {line[:80]!r} is no step") from error
        yield found
