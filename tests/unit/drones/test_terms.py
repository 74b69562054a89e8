"""The durations that the promise rests on."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drones.terms import Terms, UnsoundTerms

NAMES = ("renew", "soft", "hard", "expiry", "heartbeat", "unhealthy", "lost")
durations = st.fixed_dictionaries({name: st.integers(-5, 40).map(lambda n: dt.timedelta(seconds=n)) for name in NAMES})


def test_the_defaults_are_sound() -> None:
    """30, 40, 50, 60 s for a lease; 7, 45, 120 s for a drone."""
    assert [getattr(Terms(), name).total_seconds() for name in NAMES] == [30, 40, 50, 60, 7, 45, 120]
    assert Terms().freshness == dt.timedelta(seconds=15)


@given(durations)
def test_terms_that_would_break_the_promise_are_refused(chosen: dict[str, dt.timedelta]) -> None:
    """0 < renew < soft < hard < expiry < lost, and 0 < heartbeat < unhealthy; nothing else matters."""
    lease = [dt.timedelta(0), *(chosen[name] for name in ("renew", "soft", "hard", "expiry", "lost"))]
    hearing = [dt.timedelta(0), chosen["heartbeat"], chosen["unhealthy"]]
    sound = all(a < b for chain in (lease, hearing) for a, b in itertools.pairwise(chain))
    try:
        Terms(**chosen)
    except UnsoundTerms:
        assert not sound
    else:
        assert sound


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"soft": dt.timedelta(seconds=50)}, "soft (50.0 s) must be shorter than hard (50.0 s)"),
        ({"heartbeat": dt.timedelta(0)}, "longer than 0 s"),
    ],
)
def test_a_refusal_says_which_contradict_each_other(change: dict[str, Any], words: str) -> None:
    """In seconds, as the flags are given."""
    with pytest.raises(UnsoundTerms) as refused:
        Terms(**change)
    assert words in str(refused.value)


def test_all_that_contradicts_is_said_at_once() -> None:
    """Each pair by itself, in both chains."""
    with pytest.raises(UnsoundTerms) as refused:
        Terms(renew=dt.timedelta(seconds=45), unhealthy=dt.timedelta(seconds=1), lost=dt.timedelta(seconds=9))
    assert [complaint.split(" (")[0] for complaint in refused.value.complaints] == ["renew", "expiry", "heartbeat"]
