"""Tones: the few looks that the many states of the lanes have.

Each has a colour and a pattern (page.css, and `PATTERNS` in legend.py), so that neither
has to be told from the other by colour alone.
"""

from typing import Literal

Tone = Literal["leads", "well", "moves", "gone", "unknown"]

MEANINGS: dict[str, str] = {
    "leads": "leads: primary, lease held, writable",
    "well": "as it should be: standby, running, reachable",
    "moves": "on its way: starting, promoting, rewinding …",
    "gone": "not there: absent, stopped, unreachable",
}
"""In the legend; a state without a look of its own is dotted, and has its name."""

_STATES: dict[Tone, tuple[str, ...]] = {
    "leads": ("primary", "held", "writable"),
    "well": ("standby", "running", "reachable"),
    "moves": (
        "bootstrapping",
        "checking",
        "checkpointing",
        "cloning",
        "following",
        "promoting",
        "recovering",
        "removing",
        "restarting",
        "rewinding",
        "starting",
        "stopping",
    ),
    "gone": ("absent", "frozen", "lost", "none", "stopped", "unreachable"),
}

_TONES = {state: tone for tone, states in _STATES.items() for state in states}


def tone_of(state: str) -> Tone:
    return _TONES.get(state, "unknown")
