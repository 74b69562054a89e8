"""What each kind of value accepts, what it makes of it, and that refusals keep secrets."""

from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from options.types import (
    POSTGRES_URL,
    WEB_URL,
    ClusterNameType,
    ControllerAddress,
    ControllerUrl,
    ImageCommandType,
    InvalidAddress,
    IpAddressType,
    Ipv4OrNameType,
    NodeNameType,
    PortType,
    SecondsType,
    parse_controller_address,
)
from protocol.names import Prefix


def refuse(kind: click.ParamType[Any], value: str) -> str:
    """Return the message with which a value is refused."""
    with pytest.raises(click.BadParameter) as caught:
        kind.convert(value, None, None)
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "base_url", "token"),
    [
        ("http://c:8080", "http://c:8080", None),
        ("http://c:8080/", "http://c:8080", None),
        ("https://c", "https://c", None),
        ("ws://c:8080/", "http://c:8080", None),
        ("wss://c/plane/", "https://c/plane", None),
        ("http://tok@c:8080/", "http://c:8080", "tok"),
        ("http://a%2Fb:@c/", "http://c", "a/b"),
        ("http://[::1]:8080/", "http://[::1]:8080", None),
    ],
)
def test_controller_urls(text: str, base_url: str, token: str | None) -> None:
    """Four schemes, a token as the user part, and no slash at the end."""
    assert parse_controller_address(text) == ControllerAddress(base_url, token)


@pytest.mark.parametrize(
    "text",
    ["", "c:8080", "ftp://c", "http://", "http://u:pw@c", "http://c?x", "http://c#x", "http://c:99999", "http://c d"],
)
def test_what_is_no_controller_url(text: str) -> None:
    """Each is refused rather than read in a surprising way."""
    with pytest.raises(InvalidAddress):
        parse_controller_address(text)


@pytest.mark.parametrize(
    "text", ["http://[::1", "http://a..b", f"http://{'a' * 64}.example", "http://a%0Ab@c", "http://t%C3%B6@c"]
)
def test_hosts_and_tokens_that_cannot_be(text: str) -> None:
    """A broken IPv6 host, names at which a resolver stumbles, and tokens that would break a header."""
    with pytest.raises(InvalidAddress):
        parse_controller_address(text)


def test_routes_and_sockets_of_a_controller() -> None:
    """Both from one base; the token only in the header."""
    address = parse_controller_address("wss://tok@c/plane/")
    assert address.http_url("/ctrl/status") == "https://c/plane/ctrl/status"
    assert address.websocket_url("/ctrl/dns-socket") == "wss://c/plane/ctrl/dns-socket"
    assert address.headers == {"Authorization": "Bearer tok"}
    assert parse_controller_address("http://c").headers == {}


def test_a_controllers_address_does_not_show_its_token() -> None:
    """Reprs end up in logs."""
    assert "tok" not in repr(ControllerAddress("http://c", "tok"))


@given(st.text(max_size=60))
def test_controller_urls_are_taken_or_refused(text: str) -> None:
    """Whatever is typed, there is no other kind of error."""
    try:
        address = parse_controller_address("http://" + text)
    except InvalidAddress:
        return
    assert address.base_url.startswith("http://")
    assert "@" not in address.base_url.removeprefix("http://").split("/")[0]


def test_the_click_type_gives_the_address() -> None:
    """And lets one pass that is one already, such as a default."""
    address = ControllerUrl().convert("http://t@c", None, None)
    assert address == ControllerAddress("http://c", "t")
    assert ControllerUrl().convert(address, None, None) is address
    assert "hush" not in refuse(ControllerUrl(), "gopher://hush@c")


def test_database_urls() -> None:
    """Both spellings of the scheme; a socket directory needs no host; a password is not repeated."""
    for url in ("postgres://u@h/d", "postgresql:///d?host=/tmp/x"):
        assert POSTGRES_URL.convert(url, None, None) == url
    assert "pw" not in refuse(POSTGRES_URL, "mysql://u:pw@h/d")


def test_web_urls() -> None:
    """Http or https, with a host."""
    assert WEB_URL.convert("https://x.example/a?b", None, None) == "https://x.example/a?b"
    refuse(WEB_URL, "ftp://x")
    refuse(WEB_URL, "http:///path")


def test_node_names() -> None:
    """The prefix must fit the kind."""
    assert NodeNameType(Prefix.DRONE).convert("dr-a1", None, None) == "dr-a1"
    for bad in ("px-a1", "dr-", "dr-A", "dr-" + "a" * 43):
        refuse(NodeNameType(Prefix.DRONE), bad)


def test_cluster_names() -> None:
    """Host, or host and port."""
    assert ClusterNameType().convert("localhost:9090", None, None) == "localhost:9090"
    refuse(ClusterNameType(), "http://x")
    refuse(ClusterNameType(), "x:0")


def test_seconds() -> None:
    """Fractions, but nothing endless, negative or empty."""
    assert SecondsType().convert("0.5", None, None) == 0.5
    assert SecondsType(or_none=True).convert("0", None, None) == 0
    for bad in ("0", "-1", "inf", "nan", "soon"):
        refuse(SecondsType(), bad)


def test_ports() -> None:
    """From 1 to 65535."""
    kind: click.ParamType[Any] = PortType()
    assert kind.convert("65535", None, None) == 65535
    for bad in ("0", "65536", "x"):
        refuse(kind, bad)


def test_ip_addresses() -> None:
    """Either family, in its usual spelling."""
    assert IpAddressType().convert("0:0::1", None, None) == "::1"
    refuse(IpAddressType(), "localhost")


def test_an_address_may_be_a_name() -> None:
    """A name is resolved once, an address never."""
    asked: list[str] = []

    def resolve(name: str) -> str:
        asked.append(name)
        if name != "drone7":
            raise OSError
        return "10.0.0.7"

    kind = Ipv4OrNameType(resolve)
    assert kind.convert("10.0.0.9", None, None) == "10.0.0.9"
    assert kind.convert("drone7", None, None) == "10.0.0.7"
    assert "IPv6" in refuse(kind, "::1")
    refuse(kind, "nowhere")
    assert asked == ["drone7", "nowhere"]


def test_image_commands() -> None:
    """The first equals sign parts name and command, which is read as a shell would."""
    kind = ImageCommandType()
    assert kind.convert("demo:latest=python -m x --a=b", None, None) == ("demo:latest", ("python", "-m", "x", "--a=b"))
    for bad in ("demo", "=x", "demo=", "demo='"):
        refuse(kind, bad)
