"""
Every message of the wire against its golden bytes: what we read and write is what published peers write and read.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

import protocol
from protocol.api_errors import ErrorKind
from protocol.backend_state import BackendState, BackendStatus, TerminationKind, TerminationReason, status_of
from protocol.channel import Extension, Handshake
from protocol.codec import decode, encode
from protocol.tagging import OneOf
from tests.contracts.wire_files import KINDS, enums_in, golden_files, kind_of, label, walk, with_strangers

FILES = golden_files()
every_file = pytest.mark.parametrize("path", FILES, ids=label)


def decoded() -> list[Any]:
    return [decode(path.read_bytes(), kind_of(path)) for path in FILES]


def wire_structs() -> list[type[msgspec.Struct]]:
    """All structs that `protocol` defines, apart from bases and what never travels."""
    found: list[type[msgspec.Struct]] = []
    for module in pkgutil.iter_modules(protocol.__path__):
        for _, cls in inspect.getmembers(importlib.import_module(f"protocol.{module.name}"), inspect.isclass):
            if not issubclass(cls, msgspec.Struct) or cls.__module__ != f"protocol.{module.name}":
                continue
            if not cls.__name__.startswith("_") and cls.__name__ not in {"OneOf", "Cluster"}:
                found.append(cls)
    return found


@every_file
def test_decoding_and_encoding_gives_the_same_bytes(path: Path) -> None:
    """Field names, order of nesting, enum spelling, null against absent: nothing is lost or added on the way."""
    golden = path.read_bytes()
    assert encode(decode(golden, kind_of(path))) == golden


@every_file
def test_unknown_fields_are_ignored_everywhere(path: Path) -> None:
    """A newer peer may say more than we know, in any object, and is understood all the same."""
    golden = path.read_bytes()
    strange = json.dumps(with_strangers(json.loads(golden)))
    assert strange.encode() != golden
    assert decode(strange, kind_of(path)) == decode(golden, kind_of(path))


@every_file
def test_the_order_of_fields_and_the_spacing_are_free(path: Path) -> None:
    """JSON objects have no order, and peers may write spaces or escape what is not ASCII."""
    golden = path.read_bytes()
    other = json.dumps(json.loads(golden), indent=1, sort_keys=True)
    assert decode(other, kind_of(path)) == decode(golden, kind_of(path))


def test_each_folder_has_a_type_and_each_type_a_folder() -> None:
    """A folder nobody reads would prove nothing."""
    assert {path.parent.name for path in FILES} == set(KINDS)


def test_every_variant_of_every_union_has_a_golden_file() -> None:
    """A new kind of message cannot be added without saying how it looks."""
    seen = {(type(item), item.tag) for message in decoded() for item in walk(message) if isinstance(item, OneOf)}
    wanted = {(cls, tag) for cls in wire_structs() if issubclass(cls, OneOf) for tag in cls.__struct_encode_fields__}
    assert wanted - seen == set()


def test_every_struct_has_a_golden_file() -> None:
    """Nor can a new object within a message."""
    seen = {type(item) for message in decoded() for item in walk(message)}
    assert [cls.__name__ for cls in wire_structs() if cls not in seen] == []


def test_every_optional_field_is_set_in_some_golden_file() -> None:
    """A field that no file sets may be misspelt without anybody noticing."""
    unset = {(cls, field) for cls in wire_structs() for field in cls.__struct_fields__}
    for message in decoded():
        for item in walk(message):
            if isinstance(item, msgspec.Struct):
                unset -= {
                    (type(item), field)
                    for field in item.__struct_fields__
                    if getattr(item, field) not in (None, msgspec.UNSET)
                }
    # `Ok` of these two carries nothing but null.
    expected = {("PrepareResult", "ok"), ("WaitForBackendResult", "ok")}
    assert {(cls.__name__, field) for cls, field in unset} == expected


def test_every_word_of_every_enum_has_a_golden_file() -> None:
    """Statuses, kinds and reasons: the spelling of each is pinned."""
    words = set().union(*(enums_in(message) for message in decoded()))
    words |= {status_of(item) for message in decoded() for item in walk(message) if isinstance(item, BackendState)}
    assert {*BackendStatus, *TerminationKind, *TerminationReason} - words == set()


def test_every_error_kind_and_extension_has_a_golden_file() -> None:
    """These travel as plain strings, since a peer may send one we do not know."""
    errors = {path.stem for path in FILES if path.parent.name == "api_error"}
    assert set(map(str, ErrorKind)) - errors == set()
    lists = [message.extensions for message in decoded() if isinstance(message, Handshake)]
    listed = {name for names in lists if names is not msgspec.UNSET for name in names}
    assert set(map(str, Extension)) - listed == set()
