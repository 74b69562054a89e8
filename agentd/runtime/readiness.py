"""
Finds out as soon as possible that a backend answers HTTP.

A connection alone proves nothing: Docker's own forwarder accepts connections for a container whose process does not
listen yet. So each attempt sends a GET and waits for the first bytes of a status line; any status is an answer.
"""

from __future__ import annotations

import asyncio
from typing import Final, cast
from urllib.parse import quote

from agentd.runtime.addresses import split_address

#: Printable ASCII stays as it is; only what is not ASCII is percent-encoded.
_KEPT_IN_PATH: Final = "".join(map(chr, range(0x21, 0x7F)))
_STATUS_LINE_START: Final = b"HTTP/"


def retry_pause(elapsed: float) -> float:
    """Return the pause before the next attempt: a hundredth of the wait so far, between 5 and 20 ms."""
    return min(max(elapsed / 100, 0.005), 0.020)


def connect_limit(elapsed: float) -> float:
    """Return how long a connection may take: short at first, since the first packets may be lost for good."""
    return min(max(elapsed, 0.25), 5.0)


def answer_limit(elapsed: float) -> float:
    """Return how long an answer may take: growing, so that a backend slow by nature is waited for all the same."""
    return min(max(2 * elapsed, 2.0), 30.0)


def probe_request(address: str, path: str) -> bytes:
    """Return the request that asks for an answer."""
    lines = (
        f"GET {quote(path, safe=_KEPT_IN_PATH)} HTTP/1.1",
        f"Host: {address}",
        "User-Agent: plane-drone",
        "Accept: */*",
        "Connection: close",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


class ProbeProtocol(asyncio.Protocol):
    """One connection that asks once; `answered` says whether an HTTP answer came before the end."""

    def __init__(self, request: bytes) -> None:
        self.answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._request = request
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio's.
        cast("asyncio.Transport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received = (self._received + data)[: len(_STATUS_LINE_START)]
        if len(self._received) == len(_STATUS_LINE_START):
            self._settle(is_answer=self._received == _STATUS_LINE_START)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._settle(is_answer=False)

    def _settle(self, *, is_answer: bool) -> None:
        if not self.answered.done():
            self.answered.set_result(is_answer)


async def wait_for_answer(address: str, path: str) -> None:
    """Return as soon as whatever listens at `ip:port` answers a GET for the path. Sets no limit: the caller cancels."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    request = probe_request(address, path)
    while not await _attempt(split_address(address), request, elapsed=loop.time() - began):  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(retry_pause(loop.time() - began))


async def _attempt(where: tuple[str, int], request: bytes, *, elapsed: float) -> bool:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(connect_limit(elapsed)):
            transport, protocol = await loop.create_connection(lambda: ProbeProtocol(request), *where)
    except OSError:  # refused, unreachable, or no connection in time
        return False
    try:
        async with asyncio.timeout(answer_limit(elapsed)):
            return await protocol.answered
    except TimeoutError:
        return False
    finally:
        transport.abort()
