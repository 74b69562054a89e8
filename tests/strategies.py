"""
Hypothesis strategies made from the types themselves: any struct of the wire, any JSON, any status.

A struct's strategy is read from what msgspec knows of it, so a new field is covered the moment it exists.
"""

from __future__ import annotations

import functools
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st
from msgspec import UNSET, inspect

from protocol.backend_state import BackendState, BackendStatus
from protocol.tagging import OneOf

T = TypeVar("T")

json_scalars: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
json_values: st.SearchStrategy[Any] = st.recursive(
    json_scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
statuses: st.SearchStrategy[BackendStatus] = st.sampled_from(list(BackendStatus))


def structs(kind: type[T]) -> st.SearchStrategy[T]:
    """Return a strategy for every value of a struct type."""
    strategy: st.SearchStrategy[T] = _of(inspect.type_info(kind))
    return strategy


def _of(info: inspect.Type) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - a table, written as a match
    match info:
        case inspect.StructType(cls=cls) if issubclass(cls, OneOf):
            return _one_of(cls)
        case inspect.StructType(cls=cls):
            return _struct(cls)
        case inspect.UnionType(types=types):
            return st.one_of(*(_of(part) for part in types))
        case inspect.ListType(item_type=item):
            return st.lists(_of(item), max_size=3)
        case inspect.TupleType(item_types=items):
            return st.tuples(*(_of(item) for item in items))
        case inspect.DictType(key_type=key, value_type=value):
            return st.dictionaries(_of(key), _of(value), max_size=3)
        case _:
            return _scalar(info)


def _scalar(info: inspect.Type) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - the same
    match info:
        case inspect.StrType(pattern=str(pattern), max_length=limit):
            texts = st.from_regex(pattern, fullmatch=True)
            return texts if limit is None else texts.filter(lambda text: len(text) <= limit)
        case inspect.StrType():
            return st.text()
        case inspect.IntType(ge=low, le=high):
            return st.integers(low, high)
        case inspect.FloatType():
            return st.floats(allow_nan=False, allow_infinity=False)
        case inspect.BoolType():
            return st.booleans()
        case inspect.EnumType(cls=cls):
            return st.sampled_from(list(cls))
        case inspect.LiteralType(values=values):
            return st.sampled_from(list(values))
        case inspect.NoneType():
            return st.none()
        case inspect.AnyType():
            return json_values
    raise AssertionError(f"no strategy for {info}")


@functools.cache
def _struct(cls: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    return st.builds(cls, **{field.name: _field(field) for field in _fields(cls)})


@functools.cache
def _one_of(cls: type[OneOf]) -> st.SearchStrategy[Any]:
    """Set one variant; a batch holds anything but batches."""
    plain = [field for field in _fields(cls) if not _is_batch(field)]
    single = st.one_of(*(st.builds(cls, **{field.name: _of(field.type)}) for field in plain))
    if len(plain) == len(_fields(cls)):
        return single
    return single | st.builds(cls, batch=st.lists(single, max_size=3))


def _field(field: inspect.Field) -> st.SearchStrategy[Any]:
    values = _of(field.type)
    return st.just(UNSET) | values if field.default is UNSET else values


def _fields(cls: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    return info.fields


def _is_batch(field: inspect.Field) -> bool:
    return field.encode_name == "Batch"


backend_states: st.SearchStrategy[BackendState] = st.one_of(
    *(_struct(kind) for kind in BackendState.__args__)  # each by itself: a struct union is not one type
)
