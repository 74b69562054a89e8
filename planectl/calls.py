"""
The calls of a controller's HTTP API as data, and what their answers mean. Sends nothing: clients do.

Bodies leave out what is not set, since published controllers refuse null in many places.
"""

import re
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from urllib.parse import quote

from options.types import ControllerAddress
from protocol.api_errors import ApiError, ErrorKind
from protocol.codec import MalformedMessage, decode, encode
from protocol.connect import ConnectRequest, ConnectResponse
from protocol.views import BackendStatusView, ClusterStateView, ControllerStatusView

T = TypeVar("T")

#: How much of an answer that is not ours goes into an error message.
_EXCERPT: Final = 200
_ERRNO: Final = re.compile(r"^\[Errno -?\d+\] ")


class ControllerUnreachable(Exception):
    """No answer from the controller: refused, timed out, or cut off."""


class ApiFailure(Exception):
    """
    The controller answered with an error.

    `kind` is the word to match on (see `protocol.api_errors.ErrorKind`), `id` finds the error in the controller's log.
    """

    def __init__(self, kind: str, message: str, *, status: int, id: str = "") -> None:  # noqa: A002 - the wire's word
        super().__init__(kind, message, status, id)
        self.kind = kind
        self.message = message
        self.status = status
        self.id = id

    def __str__(self) -> str:
        return f"{self.message} ({self.kind})"


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and the type of its answer."""

    method: str
    path: str
    answer: type[T]
    body: bytes | None = None

    def headers(self, controller: ControllerAddress) -> dict[str, str]:
        """Return the headers to send; what is public needs no bearer token, and so gets none."""
        headers = {} if self.path.startswith("/pub/") else controller.headers
        return headers if self.body is None else {**headers, "Content-Type": "application/json"}


def connect_call(request: ConnectRequest) -> Call[ConnectResponse]:
    """Join a key's backend, or spawn one."""
    return Call("POST", "/ctrl/connect", ConnectResponse, encode(request))


def terminate_call(backend: str, *, hard: bool) -> Call[None]:
    """End a backend: politely first, or at once."""
    kind = "hard" if hard else "soft"
    return Call("POST", f"/ctrl/b/{_segment(backend)}/{kind}-terminate", type(None))


def status_call(backend: str) -> Call[BackendStatusView]:
    """Ask what a backend is doing."""
    return Call("GET", f"/pub/b/{_segment(backend)}/status", BackendStatusView)


def cluster_state_call(cluster: str) -> Call[ClusterStateView]:
    """Ask for the connected nodes of a cluster."""
    return Call("GET", f"/ctrl/c/{_segment(cluster)}/state", ClusterStateView)


def controller_status_call() -> Call[ControllerStatusView]:
    """Ask a controller whether it works, its database included."""
    return Call("GET", "/ctrl/status", ControllerStatusView)


def stream_path(backend: str) -> str:
    """Return where a backend's statuses are told as they change."""
    return f"/pub/b/{_segment(backend)}/status-stream"


def read_answer(call: Call[T], status: int, *, body: bytes) -> T:
    """
    Return what a call was answered.

    Raises:
        ApiFailure: an error, or something that is no answer to this call.
    """
    if not 200 <= status < 300:
        raise read_failure(status, body)
    try:
        return decode(body, call.answer)
    except MalformedMessage as error:
        message = f"{call.method} {call.path} got an answer that does not fit: {error}"
        raise ApiFailure(ErrorKind.OTHER, message, status=status) from error


def read_failure(status: int, body: bytes) -> ApiFailure:
    """Return an error answer as an exception; also one that some proxy in between gave."""
    try:
        error = decode(body, ApiError)
    except MalformedMessage:
        excerpt = body[:_EXCERPT].decode(errors="replace").strip()
        return ApiFailure(ErrorKind.OTHER, f"HTTP status {status}: {excerpt or 'no explanation'}", status=status)
    return ApiFailure(error.kind, error.message, status=status, id=error.id)


def unreachable(controller: ControllerAddress, error: Exception) -> str:
    """Return the sentence for a call that got no answer."""
    reason = _ERRNO.sub("", str(error)) or type(error).__name__
    return f"no answer from the controller at {controller.base_url}: {reason}"


def _segment(text: str) -> str:
    return quote(text, safe=":")
