"""
The synchronous client of a controller's HTTP API. What calls are and mean stands in `calls` and `following`.
"""

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final, Self, TypeVar

import httpx
from httpx_sse import connect_sse

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
from planectl.following import StatusFollower
from protocol.connect import ConnectRequest, ConnectResponse
from protocol.views import BackendStatusView, ClusterStateView, ControllerStatusView

T = TypeVar("T")

#: Seconds: a controller may itself wait for its database.
CALL_TIMEOUT: Final = httpx.Timeout(30.0, connect=10.0)
#: A live stream says something, if only a comment, far more often than this.
STREAM_TIMEOUT: Final = httpx.Timeout(60.0, connect=10.0)


class Client:
    """
    Talks to one controller; a bearer token is the user part of its URL. Close it, or use it in a `with`.

    Every method raises ApiFailure for an error answer and ControllerUnreachable when there is none.
    """

    def __init__(
        self,
        controller: str | ControllerAddress,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.address = parse_controller_address(controller) if isinstance(controller, str) else controller
        self._http = httpx.Client(timeout=CALL_TIMEOUT, transport=transport)
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def connect(self, request: ConnectRequest) -> ConnectResponse:
        """Join the backend of a key, or spawn one."""
        return self._call(connect_call(request))

    def terminate(self, backend: str, *, hard: bool = False) -> None:
        """Ask for a backend's end; it has ended when its status says so."""
        self._call(terminate_call(backend, hard=hard))

    def status(self, backend: str) -> BackendStatusView:
        """Return what a backend is doing."""
        return self._call(status_call(backend))

    def status_stream(self, backend: str) -> Iterator[BackendStatusView]:
        """Yield each status of a backend once, the past ones first, until it is terminated."""
        follower = StatusFollower()
        while True:
            try:
                yield from self._stream_once(backend, follower)
            except httpx.RequestError as error:
                follower.broken(unreachable(self.address, error))
            if follower.finished:
                return
            self._sleep(follower.pause)

    def cluster_state(self, cluster: str) -> ClusterStateView:
        """Return the connected nodes of a cluster."""
        return self._call(cluster_state_call(cluster))

    def controller_status(self) -> ControllerStatusView:
        """Return which version runs there, if it and its database work."""
        return self._call(controller_status_call())

    def _call(self, call: Call[T]) -> T:
        url = self.address.http_url(call.path)
        try:
            response = self._http.request(call.method, url, content=call.body, headers=call.headers(self.address))
        except httpx.RequestError as error:
            raise ControllerUnreachable(unreachable(self.address, error)) from error
        return read_answer(call, response.status_code, body=response.content)

    def _stream_once(self, backend: str, follower: StatusFollower) -> Iterator[BackendStatusView]:
        """Yield what one connection tells."""
        url = self.address.http_url(stream_path(backend))
        with connect_sse(self._http, "GET", url, headers=follower.headers, timeout=STREAM_TIMEOUT) as source:
            response = source.response
            if response.status_code == 204:
                follower.ended()
            elif response.status_code != 200:
                follower.refused(response.status_code, response.read())
            else:
                follower.opened()
                for event in source.iter_sse():
                    if view := follower.received(event.id, event.data):
                        yield view
                if not follower.finished:
                    follower.broken("the status stream ended early")
