"""
A wire that takes its time: passes a TCP port on to a Unix socket, every byte so many seconds later.

Run as `python -m benchmarks.distance SOCKET PORT SECONDS`; a process of its own, so that nobody's work delays it more.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys


async def main(socket: str, port: int, one_way: float) -> None:
    """Serve until killed."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                loop.call_later(one_way, writer.write, data)
        loop.call_later(one_way, writer.close)

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(socket)
        await asyncio.gather(pump(reader, up_writer), pump(up_reader, writer))

    server = await asyncio.start_server(meet, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
