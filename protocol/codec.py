"""
Structs to JSON and back. Unknown fields are ignored on reading; malformed frames are refused with a reason.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable
from typing import Any, TypeVar, cast

import msgspec

T = TypeVar("T")

_encoder = msgspec.json.Encoder()


class MalformedMessage(ValueError):
    """A frame or body that does not parse; the message says where."""


class InvalidMessage(MalformedMessage):
    """Well-formed JSON that is not the message it should be; the message names the field."""


@functools.cache
def _decoder(kind: Hashable) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def encode(message: Any) -> bytes:
    """Return a struct as compact JSON, in UTF-8."""
    return _encoder.encode(message)


def decode(data: bytes | str, kind: type[T]) -> T:
    """
    Read one message of the given struct type.

    Raises:
        InvalidMessage: JSON, but not such a message.
        MalformedMessage: not JSON at all.
    """
    try:
        message: T = _decoder(cast("Hashable", kind)).decode(data)
    except msgspec.ValidationError as error:
        raise InvalidMessage(str(error)) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise MalformedMessage(str(error)) from error
    return message
