"""
Tokens: how they look, and what is stored of them.
"""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.tokens import draw_static_token, draw_token, is_static, may_be_token, token_hash

BYTES = st.binary(min_size=32, max_size=32)


@given(BYTES)
def test_a_token_is_32_bytes_of_base64url(entropy: bytes) -> None:
    """All of the dice's bytes are in it: no two draws give one token."""
    token = draw_token(lambda count: entropy[:count])
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token)
    assert may_be_token(token)
    assert not is_static(token)


@given(BYTES, BYTES)
def test_other_dice_draw_another_token(one: bytes, other: bytes) -> None:
    """Nothing of the dice is thrown away."""
    tokens = {draw_token(lambda _: one), draw_token(lambda _: other)}
    assert len(tokens) == len({one, other})


@given(BYTES)
def test_a_static_token_is_told_by_its_looks(entropy: bytes) -> None:
    """A proxy leaves it in the path without having to ask."""
    token = draw_static_token(lambda _: entropy)
    assert token == "s." + draw_token(lambda _: entropy)
    assert is_static(token)
    assert may_be_token(token)


@pytest.mark.parametrize("segment", ["", "s.", "a.b", "x" * 129, "a b", "favicon.ico", "s.s.a", "ä", "a\n", "a%20"])
def test_junk_is_no_token(segment: str) -> None:
    """So it costs no question to the controller."""
    assert not may_be_token(segment)


def test_at_rest_a_token_is_its_sha_256() -> None:
    """Controllers of any version have to agree on it."""
    assert token_hash("abc") == hashlib.sha256(b"abc").digest()
