"""Tests of what must be right before a controller starts."""

from __future__ import annotations

import pytest

from plane_site.checks import StartRefused, demand_private_address, place_of


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_word(host: str) -> None:
    demand_private_address(host, is_sure=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "plane.example.com", ""])
def test_any_other_address_needs_one(host: str) -> None:
    """The refusal says what to do."""
    with pytest.raises(StartRefused, match="--i-know"):
        demand_private_address(host, is_sure=False)
    demand_private_address(host, is_sure=True)


def test_a_place_has_no_password() -> None:
    assert place_of("postgres://u:secret@db.example:5433/plane?sslmode=require") == "db.example:5433/plane"
    assert place_of("postgres:///plane") == "the local socket/plane"
    with pytest.raises(StartRefused):
        place_of("postgres://u:p@[oops/plane")
