"""
Externally tagged unions: `{"Variant": {...}}`, which msgspec has no word for.

A union is a struct with one optional field per variant, of which exactly one is set.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET


class OneOf(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of externally tagged unions: each field is a variant, its encoded name the tag."""

    def __post_init__(self) -> None:
        values = [getattr(self, field) for field in self.__struct_fields__]
        count = len(values) - values.count(UNSET)
        if count != 1:
            tags = ", ".join(self.__struct_encode_fields__)
            raise ValueError(f"expected exactly one of {tags}")

    @property
    def variant(self) -> Any:
        """The one value that is set: match on its type."""
        return next(value for field in self.__struct_fields__ if (value := getattr(self, field)) is not UNSET)

    @property
    def tag(self) -> str:
        """The wire name of the one variant that is set."""
        pairs = zip(self.__struct_fields__, self.__struct_encode_fields__, strict=True)
        return next(tag for field, tag in pairs if getattr(self, field) is not UNSET)
