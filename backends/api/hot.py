"""
The routes that are asked most, as plain ASGI callables in front of Django: its request stack costs more than they do.

Each translates, makes one call, and answers; `plane_site.asgi` leads requests here. The others: `backends.api.views`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from backends.api.errors import ApiProblem
from backends.api.exchange import (
    ClientLeft,
    Headers,
    Receive,
    Scope,
    Send,
    answer,
    context_of,
    demand_method,
    read_json,
    refuse,
)
from backends.api.streams import stream_statuses
from backends.services.connect import connect
from backends.services.statuses import read_status
from drones.context import ControllerContext
from drones.services.controllers import check_database
from postgres.pool import DatabaseUnavailable
from protocol.api_errors import ErrorKind
from protocol.codec import encode
from protocol.connect import ConnectRequest
from protocol.views import ControllerStatusView

#: Seconds within which the database must answer for the controller to be healthy.
HEALTH_LIMIT: Final = 2.0
#: Any page may ask for the public routes: they know no cookies, and show nothing that the address does not.
CORS: Final = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", b"content-type"),
)

Route: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
MakeBody: TypeAlias = Callable[[Scope, Receive], Awaitable[bytes]]


def _route(make_body: MakeBody, *methods: str, headers: Headers = ()) -> Route:
    """Return a route that answers with the body that is made, or with the error that came of it."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            demand_method(scope, *methods)
            body = await make_body(scope, receive)
        except ClientLeft:
            return
        except Exception as error:  # noqa: BLE001 - every error has an answer
            await refuse(scope, send, error=error, headers=headers)
        else:
            await answer(send, body, headers=headers)

    return run


async def _connect(scope: Scope, receive: Receive) -> bytes:
    request = await read_json(scope, receive, kind=ConnectRequest)
    return encode(await connect(context_of(scope), request))


async def _read_controller_status(scope: Scope, _: Receive) -> bytes:
    context = context_of(scope)
    await _demand_health(context)
    return encode(ControllerStatusView("ok", context.version, context.git_hash))


async def _read_health(scope: Scope, _: Receive) -> bytes:
    await _demand_health(context_of(scope))
    return b'{"status":"ok"}'


async def _read_backend_status(scope: Scope, _: Receive) -> bytes:
    return encode(await read_status(context_of(scope), scope["plane.backend"]))


async def _refuse_unknown(_: Scope, __: Receive) -> bytes:
    raise ApiProblem(ErrorKind.NOT_FOUND, "there is no such route")


#: POST /ctrl/connect
post_connect: Final = _route(_connect, "POST")
#: GET /ctrl/status
get_controller_status: Final = _route(_read_controller_status, "GET", "HEAD")
#: GET /pub/health
get_health: Final = _route(_read_health, "GET", "HEAD", headers=CORS)
#: GET /pub/b/{backend}/status
get_backend_status: Final = _route(_read_backend_status, "GET", "HEAD", headers=CORS)
#: Whatever else is asked of the public routes.
refuse_unknown: Final = _route(_refuse_unknown, headers=CORS)


async def get_status_stream(scope: Scope, receive: Receive, send: Send) -> None:
    """GET /pub/b/{backend}/status-stream."""
    try:
        demand_method(scope, "GET")
        await stream_statuses(scope, receive, send, headers=CORS)
    except Exception as error:  # noqa: BLE001 - every error has an answer
        await refuse(scope, send, error=error, headers=CORS)


async def answer_preflight(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI's signature
    """OPTIONS of any public route: whether a page may send its request."""
    lines = [*CORS, (b"access-control-max-age", b"86400"), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 204, "headers": lines})
    await send({"type": "http.response.body", "body": b""})


async def _demand_health(context: ControllerContext) -> None:
    """Raise ApiProblem unless the database answers in time."""
    asking = asyncio.ensure_future(check_database(context))
    # Not a timeout: giving up on a statement takes as long as the database that does not answer.
    await asyncio.wait([asking], timeout=HEALTH_LIMIT)
    if not asking.done():
        asking.add_done_callback(_forget)
        raise ApiProblem(ErrorKind.OTHER, f"the database has not answered for {HEALTH_LIMIT:.0f} s", 500)
    try:
        asking.result()
    except DatabaseUnavailable as error:
        raise ApiProblem(ErrorKind.OTHER, "the database does not answer", 500) from error


def _forget(asking: asyncio.Future[None]) -> None:
    """Take note of the late answer, which nobody waits for any more."""
    if not asking.cancelled():
        asking.exception()
