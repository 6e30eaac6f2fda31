"""Another value from a frozen one, with some of its fields changed.

    replace(lease, ends_at=None)

means what `dataclasses.replace` does, and costs a quarter of it: a decider replaces its
state at every message, and the states are wide.
"""

from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

T = TypeVar("T")

if TYPE_CHECKING:
    # Type checkers know this one, and so the fields of what is replaced.
    from dataclasses import replace as replace
else:

    def replace(value: T, /, **changes: Any) -> T:
        """The value with `changes`, for a dataclass whose fields are all in `__init__` and
        that has no `__post_init__`.  Raises TypeError for a field that it has not.

        An `__init__` that `dataclasses` makes takes its arguments by keyword and assigns
        every one by way of `object`; here each field is copied as it is.
        """
        kind = type(value)
        names = _field_names(kind)
        put = object.__setattr__
        other = object.__new__(kind)
        for name in names:
            put(other, name, getattr(value, name))
        for name, changed in changes.items():
            if name not in names:
                raise TypeError(f"{kind.__name__} has no field {name!r}")
            put(other, name, changed)
        return other


@cache
def _field_names(kind: type) -> dict[str, None]:
    """In their order, and quick to look up."""
    return dict.fromkeys(field.name for field in fields(kind))
