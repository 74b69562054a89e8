"""
Points in time on the wire: whole milliseconds since the Unix epoch.

No time of one machine is ever compared with a time of another; see docs on leases.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final

import msgspec

#: Milliseconds since the Unix epoch.
Timestamp = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def to_timestamp(moment: dt.datetime) -> int:
    """Return an aware datetime as milliseconds since the epoch, rounded down."""
    return (moment - _EPOCH) // dt.timedelta(milliseconds=1)


def from_timestamp(milliseconds: int) -> dt.datetime:
    """Return milliseconds since the epoch as an aware datetime in UTC."""
    return _EPOCH + dt.timedelta(milliseconds=milliseconds)
