"""
The client of a controller's HTTP API for asyncio: `client.Client` with awaits.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from types import TracebackType
from typing import Self, TypeVar

import httpx
from httpx_sse import aconnect_sse

from options.types import ControllerAddress, parse_controller_address
from planectl.calls import (
    Call,
    ControllerUnreachable,
    cluster_state_call,
    connect_call,
    controller_status_call,
    read_answer,
    status_call,
    stream_path,
    terminate_call,
    unreachable,
)
from planectl.client import CALL_TIMEOUT, STREAM_TIMEOUT
from planectl.following import StatusFollower
from protocol.connect import ConnectRequest, ConnectResponse
from protocol.views import BackendStatusView, ClusterStateView, ControllerStatusView

T = TypeVar("T")


class AsyncClient:
    """
    Talks to one controller; a bearer token is the user part of its URL. Close it, or use it in an `async with`.

    Every method raises ApiFailure for an error answer and ControllerUnreachable when there is none.
    """

    def __init__(
        self,
        controller: str | ControllerAddress,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.address = parse_controller_address(controller) if isinstance(controller, str) else controller
        self._http = httpx.AsyncClient(timeout=CALL_TIMEOUT, transport=transport)
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def connect(self, request: ConnectRequest) -> ConnectResponse:
        """Join the backend of a key, or spawn one."""
        return await self._call(connect_call(request))

    async def terminate(self, backend: str, *, hard: bool = False) -> None:
        """Ask for a backend's end; it has ended when its status says so."""
        await self._call(terminate_call(backend, hard=hard))

    async def status(self, backend: str) -> BackendStatusView:
        """Return what a backend is doing."""
        return await self._call(status_call(backend))

    async def status_stream(self, backend: str) -> AsyncGenerator[BackendStatusView]:
        """Yield each status of a backend once, past ones first, until it is terminated. Close it if you leave early."""
        follower = StatusFollower()
        while True:
            try:
                async with aclosing(self._stream_once(backend, follower)) as views:
                    async for view in views:
                        yield view
            except httpx.RequestError as error:
                follower.broken(unreachable(self.address, error))
            if follower.finished:
                return
            await self._sleep(follower.pause)

    async def cluster_state(self, cluster: str) -> ClusterStateView:
        """Return the connected nodes of a cluster."""
        return await self._call(cluster_state_call(cluster))

    async def controller_status(self) -> ControllerStatusView:
        """Return which version runs there, if it and its database work."""
        return await self._call(controller_status_call())

    async def _call(self, call: Call[T]) -> T:
        url = self.address.http_url(call.path)
        try:
            response = await self._http.request(call.method, url, content=call.body, headers=call.headers(self.address))
        except httpx.RequestError as error:
            raise ControllerUnreachable(unreachable(self.address, error)) from error
        return read_answer(call, response.status_code, body=response.content)

    async def _stream_once(self, backend: str, follower: StatusFollower) -> AsyncGenerator[BackendStatusView]:
        """Yield what one connection tells."""
        url = self.address.http_url(stream_path(backend))
        async with aconnect_sse(self._http, "GET", url, headers=follower.headers, timeout=STREAM_TIMEOUT) as source:
            response = source.response
            if response.status_code == 204:
                follower.ended()
            elif response.status_code != 200:
                follower.refused(response.status_code, await response.aread())
            else:
                follower.opened()
                async for event in source.aiter_sse():
                    if view := follower.received(event.id, event.data):
                        yield view
                if not follower.finished:
                    follower.broken("the status stream ended early")
