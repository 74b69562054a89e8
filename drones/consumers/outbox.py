"""
What is to be sent on one socket: a bounded queue, and the one writer that empties it.

Whoever reads from the socket never waits for the writer. A peer that does not take what it is sent fills the queue, and
is then disconnected: nothing that a controller says to a node may be dropped, and after a reconnect it is said again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

#: Messages and characters that may wait; a full window of orders with large environments fits.
MESSAGES: Final = 20_000
CHARACTERS: Final = 64 * 1024 * 1024
#: A batch is kept well below the 1 MiB that clients commonly take in one frame.
BATCH_CHARACTERS: Final = 128 * 1024


class OutboxFull(Exception):
    """The peer does not take what it is sent."""


class Outbox:
    """Texts in the order they were put in; several in one frame if the peer knows batches."""

    def __init__(self, write: Callable[[str], Awaitable[None]], *, batches: bool) -> None:
        self._write = write
        self._batches = batches
        self._texts: deque[str] = deque()
        self._characters = 0
        self._filled = asyncio.Event()

    def put(self, text: str) -> None:
        """Have a message sent, without waiting. Raises: OutboxFull."""
        if len(self._texts) >= MESSAGES or self._characters + len(text) > CHARACTERS:
            raise OutboxFull
        self._texts.append(text)
        self._characters += len(text)
        self._filled.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            while not self._texts:
                self._filled.clear()
                await self._filled.wait()
            await self._write(self._next_frame())

    def _next_frame(self) -> str:
        texts = [self._take()]
        length = len(texts[0])
        while self._batches and self._texts and length + len(self._texts[0]) <= BATCH_CHARACTERS:
            texts.append(self._take())
            length += len(texts[-1])
        return texts[0] if len(texts) == 1 else f'{{"Batch":[{",".join(texts)}]}}'

    def _take(self) -> str:
        text = self._texts.popleft()
        self._characters -= len(text)
        return text
