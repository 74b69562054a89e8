"""Tests of who may use the control routes."""

from __future__ import annotations

import pytest

from plane_site.authentication import host_of, is_own_name, judge_control_request, judge_host

NOBODY: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "10.1.2.3", "controller", "controller:8080",
     "controller.plane.svc.cluster.local", "plane.internal", "LOCALHOST", "a.localhost."],
)  # fmt: skip
def test_names_that_no_stranger_can_own(host: str) -> None:
    assert judge_host([(b"host", host.encode())], NOBODY) is None


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "", "a b",
     "user@localhost", "localhost:port", "[::1", "localhost/x"],
)  # fmt: skip
def test_names_of_strangers(host: str) -> None:
    assert judge_host([(b"host", host.encode())], NOBODY) is not None


def test_a_name_that_was_allowed() -> None:
    headers = [(b"host", b"Plane.Example.com:443")]
    assert judge_host(headers, NOBODY) is not None
    assert judge_host(headers, frozenset({"plane.example.com"})) is None


@pytest.mark.parametrize("headers", [[], [(b"host", b"localhost"), (b"host", b"evil.example")]])
def test_there_is_one_host(headers: list[tuple[bytes, bytes]]) -> None:
    assert judge_host(headers, NOBODY) is not None


@pytest.mark.parametrize("origin", [b"null", b"http://localhost:8080", b""])
def test_no_origin_is_good_enough(origin: bytes) -> None:
    """Not even our own: a page has no business here."""
    host = (b"host", b"localhost")
    assert judge_control_request([host], NOBODY) is None
    assert judge_control_request([host, (b"origin", origin)], NOBODY) is not None


def test_parts_of_the_judgement() -> None:
    assert host_of("//plane.example.com.:80") == "plane.example.com"
    assert is_own_name("::1")
    assert not is_own_name("local.evil")
