"""
The connect request and its answer.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from protocol.codec import InvalidMessage, decode
from protocol.connect import ConnectRequest


@pytest.mark.parametrize("auth", [{}, {"a": None}, {"role": "editor", "rooms": [1, 2.5, {"b": True}]}])
def test_auth_is_any_object(auth: dict[str, Any]) -> None:
    """What is in it is the application's business."""
    assert decode(json.dumps({"auth": auth}), ConnectRequest).auth == auth


@pytest.mark.parametrize("auth", [1, "a", [], True])
def test_auth_is_nothing_but_an_object(auth: Any) -> None:
    """Backends are promised an object in `x-verified-user-data`."""
    with pytest.raises(InvalidMessage):
        decode(json.dumps({"auth": auth}), ConnectRequest)


@pytest.mark.parametrize("user", ["a\x00", "a\nb", "\x1b[31m", "a\x7f"])
def test_a_user_holds_no_control_characters(user: str) -> None:
    """It travels in a header and is stored in PostgreSQL."""
    with pytest.raises(InvalidMessage):
        decode(json.dumps({"user": user}), ConnectRequest)
