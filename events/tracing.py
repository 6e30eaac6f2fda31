"""Trace context: ids on which members agree without talking.

What belongs to one incident is one trace, whoever tells it: the id of the trace is made
from the incident's name, which all who watched agree on (actors/incident_names.py).
"""

import hashlib
from typing import TypeAlias

TraceName: TypeAlias = str
"""What a trace is about: the name of an incident, or the id of a message."""


def reign_trace(revision: str) -> TraceName:
    """Of all that belongs to the end of this reign."""
    return f"reign-{revision}"


def trace_id(scope: str, name: TraceName) -> str:
    """32 hexadecimal digits, never all zero."""
    return _digest("trace", scope, name)[:32]


def span_id(scope: str, name: str) -> str:
    """16 hexadecimal digits; `name` tells what is done, as no other does in the trace."""
    return _digest("span", scope, name)[:16]


def root_id(scope: str, name: TraceName) -> str:
    """Of the span that spans all of the trace, whoever tells it."""
    return span_id(scope, f"{name}/root")


def traceparent(trace: str, span: str) -> str:
    """As https://www.w3.org/TR/trace-context/ has it; always sampled."""
    return f"00-{trace}-{span}-01"


def _digest(*parts: str) -> str:
    # Lengths, so that no two lists of parts become the same text.
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()
