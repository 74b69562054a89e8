"""
A wire that can be cut: passes TCP connections on to a port of this machine until the test says otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator

_PIECE = 65536


class Relay:
    """Listens on a port of its own, in a thread of its own."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._refusing = False
        self._loop = asyncio.new_event_loop()
        self._passing = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Let nothing through any more, and say nothing: what a pulled cable looks like."""
        self._call(self._passing.clear)

    def drop(self) -> None:
        """Reset every connection and refuse new ones: what a rebooting router looks like."""
        self._call(self._drop)

    def mend(self) -> None:
        """Let everything through again; bytes that were held back arrive late."""
        self._call(self._mend)

    def _call(self, action: Callable[[], None]) -> None:
        done = threading.Event()
        self._loop.call_soon_threadsafe(action)
        self._loop.call_soon_threadsafe(done.set)
        assert done.wait(5)

    def _mend(self) -> None:
        self._refusing = False
        self._passing.set()

    def _drop(self) -> None:
        self._refusing = True
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        with contextlib.suppress(OSError):
            onward_reader, onward = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers |= {writer, onward}
            try:
                await asyncio.gather(self._pass(reader, onward), self._pass(onward_reader, writer))
            finally:
                self._writers -= {writer, onward}
                onward.close()
        writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(_PIECE):
                await self._passing.wait()
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def _run(self, started: threading.Event, ended: asyncio.Event) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._passing.set()
        started.set()
        await ended.wait()
        server.close()
        # Whoever is held back by a cut would wait for ever.
        held = asyncio.all_tasks() - {asyncio.current_task()}
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)

    @contextlib.contextmanager
    def running(self) -> Iterator[Relay]:
        """Serve until the block ends."""
        started, ended = threading.Event(), asyncio.Event()
        thread = threading.Thread(target=self._loop.run_until_complete, args=[self._run(started, ended)], daemon=True)
        thread.start()
        assert started.wait(5)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(ended.set)
            thread.join(5)
