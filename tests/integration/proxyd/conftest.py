"""
Fixtures for tests against a real listening proxy, on the loop that it runs on in production.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import uvloop

from tests.integration.proxyd.peers import World


@pytest.fixture
def event_loop_policy() -> uvloop.EventLoopPolicy:
    """Run these tests on uvloop, as daemons do."""
    return uvloop.EventLoopPolicy()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A proxy on loopback that is connected to a controller."""
    world = World()
    await world.start()
    yield world
    await world.stop()
