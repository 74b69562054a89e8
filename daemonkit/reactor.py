"""
The one event loop of a daemon: Twisted's reactor on a uvloop loop, so that both worlds share it.

Daemons are `async def` inside; the data path uses the loop's own transports, Twisted its services and protocols.
"""

from __future__ import annotations

import asyncio

import uvloop
from twisted.internet import asyncioreactor


def install() -> asyncio.AbstractEventLoop:
    """Make a uvloop loop this process's loop and reactor; to be called once, before anything imports the reactor."""
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    asyncioreactor.install(loop)  # type: ignore[no-untyped-call]
    return loop
