"""
The demo's application on a port: a page for every plain request, a place in the room for every WebSocket.

It takes no heed of paths, since it stands under a token that it may or may not see.
"""

import asyncio
import json
from collections.abc import Mapping

from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from planectl.demo.backend.room import Guest, Room

_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data:; connect-src 'self' ws: wss:",
    "Connection": "close",
}
#: Nobody has more to say than that a button was pressed.
_MESSAGE_LIMIT = 1024


class SessionServer:
    """Serves one session to whoever comes."""

    def __init__(self, room: Room, *, page: bytes, facts: Mapping[str, str]) -> None:
        self._room = room
        self._page = page
        self._facts = dict(facts)
        self._connections: set[ServerConnection] = set()

    async def start(self, host: str, port: int) -> Server:
        """Listen, and serve until the returned server is closed."""
        return await serve(
            self._talk,
            host,
            port,
            process_request=self._answer,
            max_size=_MESSAGE_LIMIT,
            compression=None,
            server_header=None,
        )

    def _answer(self, _connection: ServerConnection, request: Request) -> Response | None:
        """Give the page to plain requests; let WebSockets through."""
        if "upgrade" in request.headers:
            return None
        headers = Headers(_HEADERS)
        headers["Content-Length"] = str(len(self._page))
        return Response(200, "OK", headers, self._page)

    async def _talk(self, connection: ServerConnection) -> None:
        guest = self._room.join(_verified_name(connection.request))
        self._connections.add(connection)
        try:
            await connection.send(json.dumps({"you": guest.number, **self._facts}))
            self._tell_all()
            async for message in connection:
                if self._room.press(guest, _step_of(message)):
                    self._tell_all()
        except ConnectionClosed:
            pass  # however it ended, the guest is gone
        finally:
            self._connections.discard(connection)
            self._leave(guest)

    def _leave(self, guest: Guest) -> None:
        self._room.leave(guest)
        self._tell_all()

    def _tell_all(self) -> None:
        broadcast(self._connections, json.dumps(self._room.snapshot()))


async def serve_until(server: SessionServer, *, host: str, port: int, stop: asyncio.Event) -> None:
    """Serve until told to stop, then close everything at once."""
    listening = await server.start(host, port)
    await stop.wait()
    listening.close()
    # Browsers that do not answer the goodbye are not waited for.
    await asyncio.wait([asyncio.ensure_future(listening.wait_closed())], timeout=0.5)


def _verified_name(request: Request | None) -> str | None:
    """Return the user's name that the proxy vouches for, if it does."""
    value = None if request is None else request.headers.get("x-verified-username")
    # The library reads the bytes of headers as Latin-1; the proxy writes names in UTF-8.
    return None if value is None else value.encode("latin-1", "replace").decode("utf-8", "replace")


def _step_of(message: str | bytes) -> object:
    try:
        said = json.loads(message)
    except ValueError:
        return None
    return said.get("press") if isinstance(said, dict) else None
