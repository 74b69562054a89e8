"""
Error kinds and their status codes.
"""

from __future__ import annotations

import pytest

from protocol.api_errors import PASSING, STATUS_CODES, ErrorKind


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("KeyHeld", 409),
        ("KeyUnheldNoSpawnConfig", 409),
        ("FailedToRemoveKey", 409),
        ("NoDroneAvailable", 500),
        ("FailedToAcquireKey", 500),
        ("KeyHeldUnhealthy", 500),
        ("NoClusterProvided", 400),
        ("InvalidClusterName", 400),
        ("NotFound", 404),
        ("DatabaseError", 500),
        ("Other", 500),
        ("Unauthorized", 401),
        ("Forbidden", 403),
        ("RateLimited", 429),
        ("QuotaExceeded", 429),
    ],
)
def test_clients_match_on_kind_and_status_code(kind: str, code: int) -> None:
    """The published client tells refusals apart by both."""
    assert STATUS_CODES[ErrorKind(kind)] == code


def test_every_kind_has_a_status_code() -> None:
    """A new kind cannot be forgotten in the table."""
    assert set(STATUS_CODES) == set(ErrorKind)


def test_only_what_may_pass_by_itself_is_worth_a_retry() -> None:
    """Trying again does not help against a broken database or a bad request."""
    assert {STATUS_CODES[kind] for kind in PASSING} == {500, 429}
    assert ErrorKind.DATABASE_ERROR not in PASSING
