"""
Keys as clients name them.
"""

from __future__ import annotations

import json

import pytest

from protocol.codec import InvalidMessage, decode
from protocol.keys import KeyConfig, LenientKeyConfig


@pytest.mark.parametrize("name", ["a", "room 1", "räume/1", "../..", "x" * 256, "😀"])
def test_a_key_may_have_almost_any_name(name: str) -> None:
    """Applications use their own ids; what stands in one is never a path or a query here."""
    assert decode(json.dumps({"name": name}), LenientKeyConfig).settled() == KeyConfig(name, "", "")


@pytest.mark.parametrize("name", ["", "a\x00", "a\nb", "a\x7f", "x" * 257])
def test_a_name_is_neither_empty_nor_long_nor_holds_control_characters(name: str) -> None:
    """PostgreSQL stores no NUL, and an index no long texts."""
    with pytest.raises(InvalidMessage):
        decode(json.dumps({"name": name}), LenientKeyConfig)


@pytest.mark.parametrize("field", ["namespace", "tag"])
def test_namespace_and_tag_are_held_to_the_same(field: str) -> None:
    """They are stored beside the name."""
    with pytest.raises(InvalidMessage):
        decode(json.dumps({"name": "a", field: "b\x00"}), LenientKeyConfig)
