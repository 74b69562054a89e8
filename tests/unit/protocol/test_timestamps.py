"""
Times on the wire.
"""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from protocol.timestamps import from_timestamp, to_timestamp


def test_a_time_is_milliseconds_since_the_epoch() -> None:
    """What is finer is cut off."""
    moment = dt.datetime(2023, 11, 14, 22, 13, 20, 123_456, tzinfo=dt.UTC)
    assert to_timestamp(moment) == 1_700_000_000_123
    assert from_timestamp(1_700_000_000_123) == moment.replace(microsecond=123_000)


def test_the_zone_of_a_datetime_does_not_matter() -> None:
    """A moment is the same everywhere."""
    zone = dt.timezone(dt.timedelta(hours=5, minutes=30))
    assert to_timestamp(dt.datetime(1970, 1, 1, 5, 30, tzinfo=zone)) == 0


@given(st.integers(-(10**13), 10**14))
def test_milliseconds_survive_the_way_there_and_back(milliseconds: int) -> None:
    """Also those before the epoch: rounding is always down."""
    assert to_timestamp(from_timestamp(milliseconds)) == milliseconds
