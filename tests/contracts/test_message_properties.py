"""
What holds for any message at all: it survives the wire, and junk is refused in one way only.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.backend_state import BackendState
from protocol.codec import MalformedMessage, decode, encode
from tests.contracts.wire_files import KINDS, golden_files, kind_of, label
from tests.strategies import backend_states, json_values, structs

FILES = golden_files()
ROOTS = [kind for kind in KINDS.values() if kind is not BackendState]
every_root = pytest.mark.parametrize("kind", ROOTS, ids=lambda kind: kind.__name__)
patiently = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def read_or_refuse(data: bytes | str, kind: Any) -> None:
    """Decode; the only exception that may come out is a refusal."""
    with contextlib.suppress(MalformedMessage):
        decode(data, kind)


@every_root
@patiently
@given(data=st.data())
def test_any_message_survives_the_wire(kind: type, data: st.DataObject) -> None:
    """What is sent is what is received, for every value of every message."""
    message = data.draw(structs(kind))
    assert decode(encode(message), kind) == message


@given(backend_states)
def test_any_state_survives_the_wire(state: BackendState) -> None:
    """States are a union of their own."""
    kind: Any = BackendState
    assert decode(encode(state), kind) == state


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
@patiently
@given(junk=st.binary() | st.text() | st.text(st.characters(categories=["Cs"]), min_size=1))
def test_random_bytes_and_text_are_refused_in_one_way(kind: Any, junk: bytes | str) -> None:
    """No junk raises anything but the refusal, lone surrogates included."""
    read_or_refuse(junk, kind)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
@patiently
@given(value=json_values)
def test_random_json_is_refused_in_one_way(kind: Any, value: Any) -> None:
    """Nor does any JSON of the wrong shape."""
    read_or_refuse(json.dumps(value), kind)


@pytest.mark.parametrize("path", FILES, ids=label)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_damaged_messages_are_refused_in_one_way(path: Path, data: st.DataObject) -> None:
    """A frame cut short, or with some bytes replaced."""
    golden = path.read_bytes()
    start = data.draw(st.integers(0, len(golden)))
    end = data.draw(st.integers(start, len(golden)))
    read_or_refuse(golden[:start] + data.draw(st.binary(max_size=4)) + golden[end:], kind_of(path))
    read_or_refuse(golden[:end], kind_of(path))


@pytest.mark.parametrize("path", FILES, ids=label)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_values_of_another_type_are_refused_in_one_way(path: Path, data: st.DataObject) -> None:
    """Any part of a message replaced by any JSON."""
    document = json.loads(path.read_bytes())
    places = list(_places(document))
    if places:
        holder, index = data.draw(st.sampled_from(places))
        holder[index] = data.draw(json_values)
    read_or_refuse(json.dumps(document), kind_of(path))


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"auth":{"a":', b'{"Batch":[', b'{"user_data":['])
def test_bottomless_nesting_is_refused(kind: Any, opening: bytes) -> None:
    """A hundred thousand brackets cost a refusal, not the process."""
    with pytest.raises(MalformedMessage):
        decode(opening * 100_000, kind)


def _places(document: Any) -> Any:
    """Yield every (container, key or index) within a document."""
    if isinstance(document, dict | list):
        for index in document if isinstance(document, dict) else range(len(document)):
            yield document, index
            yield from _places(document[index])
