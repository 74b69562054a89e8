"""
The backend that the end-to-end tests run: says what it sees, echoes, streams slowly, and ends when told to.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import uvicorn

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one HTTP request, or serve one WebSocket."""
    if scope["type"] == "websocket":
        await echo(receive, send)
    elif scope["type"] == "http":
        query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
        await ROUTES.get(scope["path"].rpartition("/")[2], hello)(scope, query, receive, send)


async def echo(receive: Receive, send: Send) -> None:
    """Send back every message of a WebSocket."""
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event.get("text"), "bytes": event.get("bytes")})


async def answer(send: Send, body: bytes, kind: str = "application/json") -> None:
    """Send a whole answer."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind.encode())]})
    await send({"type": "http.response.body", "body": body})


async def hello(_scope: Scope, _query: dict[str, str], _receive: Receive, send: Send) -> None:
    """Any page."""
    await answer(send, b"hello", "text/plain")


async def env(_scope: Scope, _query: dict[str, str], _receive: Receive, send: Send) -> None:
    """Tell the environment."""
    await answer(send, json.dumps(dict(os.environ)).encode())


async def request(scope: Scope, _query: dict[str, str], _receive: Receive, send: Send) -> None:
    """Tell the request as it arrived."""
    headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]
    seen = {"path": scope["raw_path"].decode(), "query": scope["query_string"].decode(), "headers": headers}
    await answer(send, json.dumps(seen).encode())


async def body(_scope: Scope, _query: dict[str, str], receive: Receive, send: Send) -> None:
    """Send back what was posted, piece by piece."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/x")]})
    more = True
    while more:
        event = await receive()
        more = event.get("more_body", False)
        await send({"type": "http.response.body", "body": event.get("body", b""), "more_body": more})


async def slow(_scope: Scope, query: dict[str, str], _receive: Receive, send: Send) -> None:
    """Send a line every tenth of a second, for some seconds."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for number in range(int(float(query["seconds"]) * 10)):
        await send({"type": "http.response.body", "body": b"line %d\n" % number, "more_body": True})
        await asyncio.sleep(0.1)
    await send({"type": "http.response.body", "body": b""})


async def leave(_scope: Scope, query: dict[str, str], _receive: Receive, send: Send) -> None:
    """End the process with a status."""
    await answer(send, b"{}")
    asyncio.get_running_loop().call_later(0.05, os._exit, int(query["code"]))


#: By the last segment: a static token is left in the path.
ROUTES = {"env": env, "request": request, "body": body, "slow": slow, "leave": leave}

if __name__ == "__main__":
    # uvicorn puts this back when it has ended, and sends itself the signal once more.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    time.sleep(float(os.environ.get("START_DELAY", "0")))
    uvicorn.run(app, host="0.0.0.0", port=int(os.environ["PORT"]), log_level="warning", timeout_graceful_shutdown=1)
