"""
Routes as they are prepared from a controller's answer.
"""

from __future__ import annotations

import math

import pytest

from proxyd.route import UnusableRoute, make_route, parse_address
from tests.unit.proxyd.routes_at_hand import info, route


def test_verified_headers() -> None:
    """User in UTF-8, user data in ASCII, empty data as an object."""
    lines = route(user="zoë", user_data={"a": ["ü", None]}).request_lines
    assert lines == (
        b"x-verified-backend: b1\r\n"
        b"x-verified-secret: sssh\r\n"
        b"x-verified-username: zo\xc3\xab\r\n"
        b'x-verified-user-data: {"a":["\\u00fc",null]}\r\n'
        b"x-forwarded-proto: http\r\n"
    )
    assert b"x-verified-user-data: {}\r\n" in route(user_data=None).request_lines
    assert b"x-verified-user-data: {}\r\n" in route(user_data={}).request_lines
    assert b"username" not in route(user=None).request_lines


def test_a_static_token_brings_no_user_data() -> None:
    """And an empty secret."""
    lines = route("s.t", secret_token="").request_lines
    assert lines == b"x-verified-backend: b1\r\nx-verified-secret: \r\nx-forwarded-proto: http\r\n"


def test_its_place() -> None:
    """Cluster and subdomain in the form in which hosts are compared."""
    prepared = route(cluster="A.Test:443", subdomain="Sub", address="[::1]:80")
    assert (prepared.cluster, prepared.subdomain) == (b"a.test", b"sub")
    assert (prepared.host, prepared.port) == ("::1", 80)
    assert route(subdomain=None).subdomain is None


def test_its_time() -> None:
    """From when it was received; without a limit when none was told."""
    prepared = route(now=100.0, expires_in_ms=60_000)
    assert (prepared.refresh_at, prepared.expires_at) == (148.0, 160.0)
    assert route(now=100.0).expires_at == math.inf


def test_it_shows_no_secret() -> None:
    """A repr ends up in logs."""
    assert "sssh" not in repr(route("tok"))
    assert "tok" not in repr(route("tok")).replace("token", "")


@pytest.mark.parametrize(
    "facts",
    [
        {"user": "a\r\nx-verified-secret: b"},
        {"user": "a\nb"},
        {"secret_token": "a\x00"},
        {"backend_id": "b 1"},
        {"backend_id": "b\r\n1"},
        {"cluster": "a\n"},
        {"address": "nowhere"},
    ],
)
def test_unusable_answers(facts: dict[str, str]) -> None:
    """Nothing that a user chose can become a header of its own."""
    with pytest.raises(UnusableRoute):
        make_route(b"t", info(**facts), now=0.0)


@pytest.mark.parametrize(
    "address", ["", "a:1", "1.2.3.4", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:x", "1.2.3.4:²", "::1"]
)
def test_malformed_addresses(address: str) -> None:
    """Never resolved, never guessed."""
    with pytest.raises(UnusableRoute):
        parse_address(address)


def test_addresses() -> None:
    """Both families."""
    assert parse_address("1.2.3.4:5") == ("1.2.3.4", 5)
    assert parse_address("[2001:db8::1]:65535") == ("2001:db8::1", 65535)
