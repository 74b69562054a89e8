"""
One HTTP request under ASGI: reading its body within limits, answering it in JSON. Knows no route.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Any, Final, TypeAlias, TypeVar

from backends.api.errors import ApiProblem, answer_error
from drones.context import ControllerContext
from protocol.api_errors import ErrorKind
from protocol.codec import InvalidMessage, MalformedMessage, decode

Scope: TypeAlias = dict[str, Any]
Message: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Headers: TypeAlias = Iterable[tuple[bytes, bytes]]
T = TypeVar("T")

#: Bytes of a body; a request needs a few hundred.
BODY_LIMIT: Final = 1024 * 1024

_JSON = (b"content-type", b"application/json")
_FIELD = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`\Z")


class ClientLeft(Exception):
    """The client closed the connection before its request was complete."""


def context_of(scope: Scope) -> ControllerContext:
    """Return what this controller's requests share."""
    context: ControllerContext = scope["plane"]
    return context


def header(scope: Scope, name: bytes) -> str | None:
    """Return the first header of a (lower-case) name."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return None


def demand_method(scope: Scope, *methods: str) -> None:
    """Raise ApiProblem unless the request's method is one of these; without any, all will do."""
    if methods and scope["method"] not in methods:
        raise ApiProblem(ErrorKind.OTHER, f"expected {' or '.join(methods)}", HTTPStatus.METHOD_NOT_ALLOWED)


async def read_json(scope: Scope, receive: Receive, *, kind: type[T]) -> T:
    """
    Read a body of the given struct type.

    Raises:
        ApiProblem: not JSON (415, 400), too large (413), or not such a message (422).
        ClientLeft: there is nobody to answer to.
    """
    content_type = (header(scope, b"content-type") or "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise ApiProblem(ErrorKind.OTHER, "expected a body of type application/json", 415)
    return parse_json(await _read_body(receive), kind)


def parse_json(body: bytes, kind: type[T]) -> T:
    """Read a struct from a body. Raises: ApiProblem."""
    try:
        return decode(body, kind)
    except InvalidMessage as error:
        message = str(error)
        found = _FIELD.search(message)
        name = (found[1] if found else "") or "body"
        complaint = message[: found.start()] if found else message
        raise ApiProblem(ErrorKind.OTHER, f"{name}: {complaint}", 422, {name: complaint}) from error
    except MalformedMessage as error:
        raise ApiProblem(ErrorKind.OTHER, f"the body is not JSON: {error}", 400) from error


async def _read_body(receive: Receive) -> bytes:
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        # Most bodies come in one piece.
        whole: bytes = message.get("body", b"")
        _demand_size(whole)
        return whole
    body = bytearray()
    while message["type"] == "http.request":
        body += message.get("body", b"")
        _demand_size(body)
        if not message.get("more_body"):
            return bytes(body)
        message = await receive()
    raise ClientLeft


def _demand_size(body: bytes | bytearray) -> None:
    if len(body) > BODY_LIMIT:
        raise ApiProblem(ErrorKind.OTHER, f"the body must not exceed {BODY_LIMIT} bytes", 413)


async def answer(send: Send, body: bytes, *, status: int = 200, headers: Headers = ()) -> None:
    """Send a whole answer with a JSON body."""
    lines = [_JSON, (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})


async def refuse(scope: Scope, send: Send, *, error: Exception, headers: Headers = ()) -> None:
    """Send an error as the whole answer, and log it."""
    said = answer_error(error, path=scope["path"], dice=context_of(scope).dice)
    await answer(send, said.body, status=said.status, headers=(*said.headers, *headers))
