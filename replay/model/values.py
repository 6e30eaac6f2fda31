"""Values of the model: made comparable, shared, moved in time, renamed.

Deciders see time only as data, and only by comparing it.  So every state is kept as
if it were always `NOW`: when time passes, the instants in it move towards the past
instead.  Two states that differ only in when they were reached are then one.
"""

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Generic, TypeVar

from regnal.messages.base import Value
from regnal.messages.cluster import ClusterView
from regnal.messages.frozen import replace
from regnal.messages.postgres import ControlData, PostgresStatus
from regnal.messages.settings import Settings

T = TypeVar("T")

NOW = 1000.0
"""The instant at which everything happens."""

SPANS = frozenset({"timeout", "device_timeout", "took"})
"""Floats in the states of deciders that are no instants."""

MESSAGE_INSTANTS = frozenset(
    {
        "at",
        "deadline",
        "valid_until",
        "not_after",
        "asked_at",
        "due_at",
        "until",
        "lease_until",
    }
)
"""Fields of messages that are instants."""

TIMELESS: tuple[type[Value], ...] = (
    ClusterView,
    PostgresStatus,
    ControlData,
    Settings,
)
"""Large values without any instant: they are not looked into."""

FORGOTTEN_AFTER: dict[str, float] = {
    "retry_at": 0,
    "stand_back_until": 0,
    "race_after": 0,
    "poll_at": 0,
    "must_lead_by": 0,
    "answer_by": 0,
    "fencing_due": 0,
    "wake_at": 0,
    "lease_until": 0,
    "armed_until": 0,
    "look_until": 0,
    "promised_until": 0,
    "leader_gone_at": 0,
    "suspicious_since": 0,
    "store_lost_at": 0,
    "looked_at": 2,
    "peers_at": 4,
    "crashed_at": 3,
    "handed_at": 6,
    "shutdown_waits_since": 6,
    "heartbeat_at": 11,
    "touched_at": 11,
    "key_written_at": 11,
}
"""Seconds after which it makes no difference any more how long ago an instant was.

0: a limit, of which only matters whether it has passed; or an instant that is only
ever asked for whether there is one.  The others: more than the longest span with which
the rules compare the age.
"""

FORGOTTEN_IN_ANY_CASE = 40.0
"""The same for all others: more than COMPARE_AGAIN_AFTER and STREAM_WITHIN together."""

ROUNDED_UP = frozenset(
    {"retry_at", "stand_back_until", "poll_at", "race_after", "look_until"}
)
"""Limits within a second: time passes in whole seconds, so that the next one counts."""


@dataclass(frozen=True, slots=True, eq=False)
class Token(Generic[T]):
    """One value of which there is only one: compared by what it is, in no time."""

    number: int
    value: T


class Tokens:
    """All values that were ever met, each once."""

    def __init__(self) -> None:
        self._tokens: dict[Any, Token[Any]] = {}

    def of(self, value: T) -> Token[T]:
        token = self._tokens.get(value)
        if token is None:
            token = self._tokens[value] = Token(len(self._tokens), value)
        return token

    def __len__(self) -> int:
        return len(self._tokens)


def moved(value: T, seconds: float) -> T:
    """The value as it is `seconds` later, seen from then."""
    return _moved(value, seconds, "")  # type: ignore[no-any-return]


def _moved(value: Any, seconds: float, name: str) -> Any:
    if isinstance(value, TIMELESS):
        return value
    if isinstance(value, Value):
        return _moved_message(value, seconds)
    if is_dataclass(value) and not isinstance(value, type):
        changed = {}
        for field in fields(value):
            old = getattr(value, field.name)
            if isinstance(old, float) and field.name not in SPANS:
                changed[field.name] = _instant(old, seconds, field.name)
            elif isinstance(old, Value | tuple) or is_dataclass(old):
                changed[field.name] = _moved(old, seconds, field.name)
        return replace(value, **changed) if changed else value
    if isinstance(value, tuple):
        return tuple(_moved(one, seconds, name) for one in value)
    return value


def _moved_message(value: Value, seconds: float) -> Value:
    changed: dict[str, Any] = {}
    for name in type(value).model_fields:
        old = getattr(value, name)
        if name in MESSAGE_INSTANTS and isinstance(old, float | int):
            changed[name] = _instant(float(old), seconds, name)
        elif isinstance(old, Value | tuple):
            new = _moved(old, seconds, name)
            if new != old:
                changed[name] = new
    return value.model_copy(update=changed) if changed else value


def _instant(instant: float, seconds: float, name: str) -> float:
    later = instant - seconds
    if later > NOW:
        return float(-(-later // 1)) if name in ROUNDED_UP else later
    return max(later, NOW - FORGOTTEN_AFTER.get(name, FORGOTTEN_IN_ANY_CASE))


def renamed(value: T, names: dict[str, str]) -> T:
    """The value with members called otherwise; what was sorted by name is again."""
    if all(old == new for old, new in names.items()):
        return value
    return _renamed(value, names)  # type: ignore[no-any-return]


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, str):
        return _renamed_text(value, names)
    if isinstance(value, Value):
        return value.model_copy(
            update={
                name: _renamed(getattr(value, name), names)
                for name in type(value).model_fields
            }
        )
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value,
            **{f.name: _renamed(getattr(value, f.name), names) for f in fields(value)},
        )
    if isinstance(value, tuple):
        others = [_renamed(one, names) for one in value]
        if hasattr(value, "_fields"):
            return type(value)(*others)
        return _sorted_again(value, tuple(others))
    if isinstance(value, frozenset):
        return frozenset(_renamed(one, names) for one in value)
    return value


def _renamed_text(text: str, names: dict[str, str]) -> str:
    for index, old in enumerate(names):
        text = text.replace(old, f"\0{index}")
    for index, new in enumerate(names.values()):
        text = text.replace(f"\0{index}", new)
    return text


def _sorted_again(before: tuple[Any, ...], after: tuple[Any, ...]) -> tuple[Any, ...]:
    """Tuples of members that stood in the order of their names stand so again."""
    old = [_name_of(one) for one in before]
    if len(old) < 2 or None in old or old != sorted(old, key=str):
        return after
    return tuple(sorted(after, key=lambda one: str(_name_of(one))))


def _name_of(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    for field in ("name", "application_name"):
        name = getattr(value, field, None)
        if isinstance(name, str):
            return name
    return None
