"""
Names: what may be one, how new ones are drawn, and clusters taken apart.
"""

from __future__ import annotations

import random
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.names import (
    ALPHABET,
    BackendName,
    Cluster,
    InvalidClusterName,
    InvalidName,
    NodeName,
    Prefix,
    Subdomain,
    check_name,
    draw_name,
    parse_cluster,
)

LABELS = st.text(ALPHABET, min_size=1, max_size=20)
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)


def accepts(kind: Any, text: str) -> bool:
    try:
        msgspec.convert(text, kind)
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.parametrize("prefix", list(Prefix))
@given(seed=st.integers())
def test_a_drawn_name_may_be_used(prefix: Prefix, seed: int) -> None:
    """The prefix, then 14 of [a-z0-9]."""
    name = draw_name(prefix, random.Random(seed))
    assert check_name(name, prefix) == name
    assert re.fullmatch(rf"{prefix}[a-z0-9]{{14}}", name)


def test_the_prefixes_are_the_published_ones() -> None:
    """Peers check them."""
    assert [str(prefix) for prefix in Prefix] == ["co-", "dr-", "px-", "ns-", "ak-", "lk-", ""]


@pytest.mark.parametrize("name", ["dr-a", "dr-east-2", "dr-" + "x" * 42])
def test_a_given_name_may_be_anything_with_its_prefix(name: str) -> None:
    """Operators like names that tell the machine."""
    assert check_name(name, Prefix.DRONE) == name
    assert accepts(NodeName, name)


@pytest.mark.parametrize(
    "name", ["", "dr-", "px-a", "a", "dr-A", "dr-ä", "dr-a_b", "dr-a.b", "dr-a\n", "dr-" + "x" * 43, " dr-a", "DR-a"]
)
def test_a_wrong_name_is_refused(name: str) -> None:
    """Wrong prefix, wrong characters, or more than 45 of them; the refusal says what was expected."""
    with pytest.raises(InvalidName, match="starting with 'dr-'"):
        check_name(name, Prefix.DRONE)


@given(st.text(max_size=60))
def test_the_pattern_and_the_check_agree_on_backend_names(text: str) -> None:
    """What the wire lets in is what the check lets in."""
    try:
        check_name(text, Prefix.BACKEND)
    except InvalidName:
        assert not accepts(BackendName, text)
    else:
        assert accepts(BackendName, text)


@pytest.mark.parametrize("label", ["a", "0", "a-b", "x" * 63])
def test_a_subdomain_is_one_label(label: str) -> None:
    """One to 63 letters, digits and inner hyphens."""
    assert accepts(Subdomain, label)


@pytest.mark.parametrize("label", ["", "-", "-a", "a-", "a.b", "A", "a_b", "x" * 64, "a\n", "ä"])
def test_what_is_not_one_label_is_no_subdomain(label: str) -> None:
    """A dot would reach past the wildcard certificate."""
    assert not accepts(Subdomain, label)


@given(HOSTS)
def test_a_host_alone_is_reached_by_https(host: str) -> None:
    """No port means the public one."""
    cluster = parse_cluster(host)
    assert cluster == Cluster(host, None)
    assert cluster.is_secure
    assert cluster.url("TOKEN") == f"https://{host}/TOKEN/"
    assert cluster.url("TOKEN", "room-1") == f"https://room-1.{host}/TOKEN/"


@given(HOSTS, st.integers(1, 65535).filter(lambda port: port != 443))
def test_a_host_with_a_port_is_reached_by_plain_http(host: str, port: int) -> None:
    """That is how clusters on a developer's machine look."""
    cluster = parse_cluster(f"{host}:{port}")
    assert str(cluster) == f"{host}:{port}"
    assert not cluster.is_secure
    assert cluster.url("TOKEN") == f"http://{host}:{port}/TOKEN/"


def test_port_443_is_reached_by_https() -> None:
    """The port stays in the URL, as published."""
    assert parse_cluster("c1.example.com:443").url("TOKEN", "a") == "https://a.c1.example.com:443/TOKEN/"


@pytest.mark.parametrize("name", ["c1.example.com", "localhost", "10.0.0.1:80", "a_b.example.com", "Example.COM"])
def test_hosts_of_many_looks_are_clusters(name: str) -> None:
    """Local names, addresses and underscores are in use; the case is kept."""
    assert str(parse_cluster(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        *["", ".", "a..b", ".a", "a.", "-a", "a-", "a b", "a/b", "ä.example.com", "a\n", "a\x00", "x" * 64, "a@b"],
        *["a:", "a:0", "a:65536", "a:-1", "a:+1", "a: 1", "a:1:2", "a:٣", "a:000080", ":80", "[::1]:80", "a:b"],
        ".".join(["x" * 60] * 5),
    ],
)
def test_what_is_no_host_or_port_is_no_cluster(name: str) -> None:
    """Each of these would make a URL that leads nowhere, or elsewhere."""
    with pytest.raises(InvalidClusterName):
        parse_cluster(name)


@given(st.text(max_size=80))
def test_any_text_is_a_cluster_or_refused(text: str) -> None:
    """Never another exception; and what is accepted means the same when it is read again."""
    try:
        cluster = parse_cluster(text)
    except InvalidClusterName:
        return
    assert parse_cluster(str(cluster)) == cluster
