"""Tests of who may get a backend."""

from __future__ import annotations

import datetime as dt

import pytest

from drones.scheduling import limit_eligibility
from drones.terms import Terms


def test_the_limits_follow_from_the_terms() -> None:
    limits = limit_eligibility(Terms(), 2)
    assert limits.freshness == dt.timedelta(seconds=15), "half the renewal time"
    assert limits.unhealthy == dt.timedelta(seconds=45)
    assert limits.best_of == 2


def test_nothing_is_chosen_from_none() -> None:
    with pytest.raises(AssertionError):
        limit_eligibility(Terms(), 0)
