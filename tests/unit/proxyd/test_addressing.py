"""
Hosts, tokens and paths.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyd.addressing import Address, Place, is_at_home, locate, normal_host

segments = st.text("abcXYZ019-_.%~", max_size=8).map(str.encode)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/", Place.ROOT),
        (b"/?a", Place.ROOT),
        (b"/ready", Place.READY),
        (b"/ready?a", Place.READY),
        (b"//", Place.NOWHERE),
        (b"//a/b", Place.NOWHERE),
        (b"/t", Address(b"t", b"/", b"/t")),
        (b"/t?q=/", Address(b"t", b"/?q=/", b"/t")),
        (b"/t/", Address(b"t", b"/", b"/t/")),
        (b"/t/a/b?c?d", Address(b"t", b"/a/b?c?d", b"/t/a/b")),
        (b"/t//x", Address(b"t", b"//x", b"/t//x")),
        (b"/ready/", Address(b"ready", b"/", b"/ready/")),
        (b"/s.t", Address(b"s.t", b"/s.t", b"/s.t")),
        (b"/s.t/a?b", Address(b"s.t", b"/s.t/a?b", b"/s.t/a")),
    ],
)
def test_paths(target: bytes, expected: Address | Place) -> None:
    """Lessons: `?query` lost in a rewrite; no trailing slash after the token."""
    assert locate(target) == expected


@given(st.lists(segments, min_size=1, max_size=4), st.none() | segments)
def test_nothing_of_a_path_is_lost(parts: list[bytes], query: bytes | None) -> None:
    """Token and onward target make up what was asked for; the onward target is always a path."""
    target = b"/" + b"/".join(parts) + (b"" if query is None else b"?" + query)
    address = locate(target)
    if isinstance(address, Place):
        return
    assert address.onward.startswith(b"/")
    if address.token.startswith(b"s."):
        assert address.onward == target
    elif b"/" in target.partition(b"?")[0][1:]:
        assert b"/" + address.token + address.onward == target
    assert b"?" not in address.path
    assert target.startswith(address.path)


def test_a_log_sees_no_token() -> None:
    """Only what comes after it."""
    for target, shown in [(b"/t", "/"), (b"/t/a?b", "/a"), (b"/s.t/a", "/a")]:
        address = locate(target)
        assert isinstance(address, Address)
        assert address.path_after_token == shown


def test_hosts() -> None:
    """Lesson: a Host header may say `:443`. Case makes no difference."""
    assert normal_host(b"A.Test:443") == b"a.test"
    assert normal_host(b"a.test:4430") == b"a.test:4430"
    assert normal_host(b"[::1]:9090") == b"[::1]:9090"
    assert normal_host(b"") == b""
    for host in (b"a b", b"a/b", b"a@b", b"a,b", b"a:b", b"a:", b"[::1", b"\xff"):
        assert normal_host(host) is None


def test_who_is_at_home_where() -> None:
    """A route without a subdomain under every name of its cluster, one with a subdomain only there."""
    for host, subdomain, expected in [
        (b"a.test", None, True),
        (b"x.a.test", None, True),
        (b"x.y.a.test", None, True),
        (b"xa.test", None, False),
        (b"test", None, False),
        (b"a.test", b"x", False),
        (b"x.a.test", b"x", True),
        (b"y.x.a.test", b"x", False),
    ]:
        assert is_at_home(host, b"a.test", subdomain=subdomain) is expected, host
    assert is_at_home(b"x.localhost:9090", b"localhost:9090", subdomain=None)
    assert not is_at_home(b"localhost", b"localhost:9090", subdomain=None)
