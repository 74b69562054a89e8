"""Addresses are put together and taken apart alike, and the machine looks at its own side of a translation."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.runtime.addresses import address_at, probe_ip, split_address
from tests.unit.agentd.runtime.orders import SETTINGS


@given(st.ip_addresses().map(str), st.integers(1, 65535))
def test_an_address_comes_apart_as_it_was_put_together(ip: str, port: int) -> None:
    """Also with IPv6, which has colons of its own."""
    assert split_address(address_at(ip, port)) == (ip, port)


def test_ipv6_is_written_in_brackets() -> None:
    """As the wire has it."""
    assert address_at("::1", 80) == "[::1]:80"


@pytest.mark.parametrize(
    ("bind_ip", "probed"), [("192.168.1.5", "192.168.1.5"), ("0.0.0.0", "10.0.0.7"), ("::", "10.0.0.7")]
)
def test_readiness_is_looked_for_where_the_port_is_bound(bind_ip: str, probed: str) -> None:
    """Proxies may come through a translation that this machine cannot use itself."""
    assert probe_ip(dataclasses.replace(SETTINGS, bind_ip=bind_ip)) == probed
