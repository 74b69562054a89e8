"""
Fixtures for tests against a real listening proxy, on the loop that it runs on in production.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from tests.integration.proxyd.peers import World


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run these tests on uvloop, as daemons do."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A proxy on loopback that is connected to a controller."""
    world = World()
    await world.start()
    yield world
    await world.stop()
