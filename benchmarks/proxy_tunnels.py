"""
Loads for upgraded connections: small messages back and forth, one large stream, and many that do nothing.
"""

from __future__ import annotations

import asyncio
import time

from benchmarks.proxy_world import Peer

TUNNELS = 32
MESSAGE = b"m" * 100
CHUNK = bytes(262144)


async def _open(peer: Peer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", peer.port, limit=2**20)
    writer.write(
        f"GET /tunnel/ HTTP/1.1\r\nHost: 127.0.0.1:{peer.port}\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 101 " in head, head
    return reader, writer


async def small_messages(peer: Peer, seconds: float) -> tuple[float, float]:
    """Echo small messages through many tunnels; return messages per second and CPU microseconds per message."""
    tunnels = [await _open(peer) for _ in range(TUNNELS)]
    until = time.monotonic() + seconds
    count = 0

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        while time.monotonic() < until:
            writer.write(MESSAGE)
            await reader.readexactly(len(MESSAGE))
            count += 1
        writer.close()

    before = peer.cpu_seconds()
    await asyncio.gather(*(echo(*tunnel) for tunnel in tunnels))
    return count / seconds, (peer.cpu_seconds() - before) / count * 1e6


async def bulk(peer: Peer, seconds: float) -> tuple[float, float]:
    """Echo one large stream; return chunks of 256 KiB per second and CPU microseconds per chunk."""
    reader, writer = await _open(peer)
    until = time.monotonic() + seconds
    received = 0

    async def send() -> None:
        while time.monotonic() < until:
            writer.write(CHUNK)
            await writer.drain()
        writer.write_eof()

    before = peer.cpu_seconds()
    sending = asyncio.create_task(send())
    while data := await reader.read(2**20):
        received += len(data)
    await sending
    writer.close()
    chunks = received / len(CHUNK)
    return chunks / seconds, (peer.cpu_seconds() - before) / chunks * 1e6


async def idle_tunnels(peer: Peer, count: int = 1000) -> float:
    """Open tunnels that do nothing; return bytes of memory per tunnel."""
    warm = [await _open(peer) for _ in range(100)]
    before = peer.memory()
    tunnels = [await _open(peer) for _ in range(count)]
    await asyncio.sleep(1)
    used = peer.memory() - before
    for _, writer in warm + tunnels:
        writer.close()
    return max(used, 1) / count
