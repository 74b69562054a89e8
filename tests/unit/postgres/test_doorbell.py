"""How rings are put into payloads, and what a bell keeps while the database is away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postgres.doorbell import PAYLOAD_LIMIT, WAITING_LIMIT, Bell, pack, unpack

words = st.text(st.characters(codec="utf-8", exclude_characters=" \n", exclude_categories=["Cs"]), min_size=1)


@given(st.sets(st.tuples(st.sampled_from(["drone", "backend"]), words), max_size=2000))
def test_every_ring_survives_packing(rings: set[tuple[str, str]]) -> None:
    """Whatever is rung comes out again, once, in payloads that Postgres takes."""
    payloads = list(pack(rings))
    assert all(len(payload.encode()) <= PAYLOAD_LIMIT for payload in payloads)
    unpacked = [ring for payload in payloads for ring in unpack(payload)]
    assert sorted(unpacked) == sorted(rings)


def test_a_payload_is_filled_before_the_next_begins() -> None:
    """Many in one: 1000 ids of 14 characters need two payloads, not a thousand."""
    assert len(list(pack(("backend", f"{number:014d}") for number in range(1000)))) == 2


def test_a_bell_that_cannot_ring_keeps_a_bounded_number() -> None:
    """The database may be away for hours; a lost ring costs only latency, unbounded memory the process."""
    bell = Bell("")
    for number in range(WAITING_LIMIT + 10):
        bell.ring("backend", f"b{number}")
    assert len(bell._waiting) == WAITING_LIMIT


def test_a_ring_carries_ids_never_contents() -> None:
    """Spaces and newlines separate rings; contents do not belong in a payload of 8000 bytes."""
    with pytest.raises(AssertionError):
        Bell("").ring("backend", "two words")
    with pytest.raises(AssertionError):
        Bell("").ring("backend", "")
