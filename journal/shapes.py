"""Shapes: what a record of a kind always has, however it came into the journal.

Our own writer never leaves anything out.  But whoever can write a file can also
compute hashes: a record with a right hash need not be what it says it is.
"""

from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json

from regnal.journal.places import RecordNumber

_ALWAYS: Mapping[str, Mapping[str, Any]] = {
    "message": {"id": "", "from": "", "type": "", "v": 0, "data": {}},
    "step": {"actor": "", "heard": ""},
    "snapshot": {"actor": "", "state": {}},
    "start": {"member": "", "scope": "", "why": "", "incarnation": 0, "versions": {}},
    "gap": {"lost": 0},
    "expired": {"first": 0, "last": 0},
}
"""By kind of record the fields that it has, each with a value that says nothing."""

_SOMETIMES: Mapping[str, Mapping[str, type]] = {
    "message": {"cause": str, "trace": str, "repeats": int},
    "step": {"rule": str, "facts": dict, "said": list, "repeats": int},
}
"""Fields that are left out where there is nothing to say."""

_NONE: Mapping[str, Any] = {}


def fields_of(line: bytes, number: RecordNumber, kind: str) -> dict[str, Any]:
    """The record as JSON has it, with all fields of its kind.

    What a forged one lacks, or has of another type, says nothing here; so nobody who
    reads a journal has to expect the worst of every field.
    """
    try:
        parsed = from_json(line, cache_strings="keys")  # values hardly ever repeat
    except ValueError:
        parsed = None
    fields: dict[str, Any] = parsed if isinstance(parsed, dict) else {}
    fields["n"], fields["kind"] = number, kind  # by which it was checked
    if type(fields.get("hlc")) is not str:
        fields["hlc"] = ""
    if type(fields.get("at")) not in (int, float):
        fields["at"] = 0.0
    for name, nothing in _ALWAYS.get(kind, _NONE).items():
        if type(fields.get(name)) is not type(nothing):
            fields[name] = nothing
    for name, wanted in _SOMETIMES.get(kind, _NONE).items():
        if name in fields and type(fields[name]) is not wanted:
            del fields[name]
    return fields
