"""Any message of the vocabulary, by hypothesis, from its pydantic fields."""

import types
from typing import Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st
from pydantic import BaseModel

from regnal.messages.base import Message
from regnal.messages.vocabulary import VOCABULARY

_SIMPLE: dict[object, st.SearchStrategy[Any]] = {
    str: st.text(max_size=20),
    bool: st.booleans(),
    int: st.integers(min_value=-(2**63), max_value=2**64),
    float: st.floats(allow_nan=False),
    type(None): st.none(),
}


def values(annotation: Any) -> st.SearchStrategy[Any]:
    """Values of a field with this annotation."""
    simple = _SIMPLE.get(annotation)
    if simple is not None:
        return simple
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, types.UnionType):
        if float in arguments and str in arguments:
            # Of such a pair nothing tells an infinity from its name.
            finite = st.floats(allow_nan=False, allow_infinity=False)
            return st.one_of(
                [finite if one is float else values(one) for one in arguments]
            )
        return st.one_of([values(one) for one in arguments])
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values, arguments))
    assert issubclass(annotation, BaseModel), annotation
    return models(annotation)


def models(word: type[BaseModel]) -> st.SearchStrategy[Any]:
    return st.builds(
        word, **{name: values(f.annotation) for name, f in word.model_fields.items()}
    )


def messages() -> st.SearchStrategy[Message]:
    return st.sampled_from(sorted(VOCABULARY)).flatmap(
        lambda kind: models(VOCABULARY[kind])
    )
