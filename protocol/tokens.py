"""
Tokens: 32 random bytes in base64url. Bearer tokens go into URLs, secret tokens into headers.

At rest only the SHA-256 of a bearer token is known.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from typing import Final

TOKEN_BYTES: Final = 32
STATIC_PREFIX: Final = "s."
_TOKEN = re.compile(r"(?:s\.)?[A-Za-z0-9_-]{1,128}\Z")


def draw_token(draw_bytes: Callable[[int], bytes]) -> str:
    """Draw a bearer or secret token: 43 characters of base64url, without padding."""
    return base64.urlsafe_b64encode(draw_bytes(TOKEN_BYTES)).rstrip(b"=").decode()


def draw_static_token(draw_bytes: Callable[[int], bytes]) -> str:
    """Draw a backend's own static token."""
    return STATIC_PREFIX + draw_token(draw_bytes)


def is_static(token: str) -> bool:
    """Tell whether a token is a static one, by its looks."""
    return token.startswith(STATIC_PREFIX)


def may_be_token(text: str) -> bool:
    """Tell whether a path segment could be a token at all: anything else needs no question to the controller."""
    return _TOKEN.match(text) is not None


def token_hash(token: str) -> bytes:
    """Return what is stored of a bearer token: its SHA-256, 32 bytes."""
    return hashlib.sha256(token.encode()).digest()
