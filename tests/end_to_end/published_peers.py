"""
Peers that know the published protocol and nothing else, played frame by frame with plain JSON.

Nothing of ours is used to read or write: what these expect is what wire.md says of the published series.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from websockets.sync.client import ClientConnection, connect

#: What a published peer may be sent; anything else it would have to log and skip.
KNOWN = {
    "drone": {"Action", "AckEvent", "RenewKeyResponse"},
    "proxy": {"RouteInfoResponse", "CertManagerResponse", "BackendRemoved"},
}


class PublishedPeer:
    """One end of a control socket; every frame that comes in is checked to be one it knows."""

    def __init__(self, socket: ClientConnection, kind: str) -> None:
        self._socket = socket
        self._known = KNOWN[kind]
        self.controller: dict[str, Any] = {}

    def say(self, kind: str, content: Any) -> None:
        """Send one message."""
        self._socket.send(json.dumps({kind: content}))

    def hear(self, kind: str, *, within: float = 10) -> Any:
        """Return the content of the next message, which must be of this kind."""
        message = self._next(within)
        assert list(message) == [kind], message
        return message[kind]

    def hears_nothing(self, during: float = 1) -> bool:
        """Whether the controller has nothing to say for a while."""
        try:
            message = self._next(during)
        except TimeoutError:
            return True
        raise AssertionError(message)

    def _next(self, within: float) -> dict[str, Any]:
        frame = self._socket.recv(timeout=within)
        assert isinstance(frame, str), "frames are text"
        message: dict[str, Any] = json.loads(frame)
        assert len(message) == 1
        assert set(message) <= self._known, f"a published peer does not know {message}"
        return message


@contextmanager
def published_peer(controller: str, cluster: str, kind: str, name: str) -> Iterator[PublishedPeer]:
    """Open a control socket and shake hands, without any extension."""
    url = f"{controller.replace('http', 'ws', 1)}/ctrl/c/{cluster}/{kind}-socket"
    with connect(url + ("?pool=" if kind == "drone" else "")) as socket:
        socket.send(json.dumps({"version": {"version": "0.5.5", "git_hash": "c0ffee1"}, "name": name}))
        answer = socket.recv(timeout=10)
        peer = PublishedPeer(socket, kind)
        peer.controller = json.loads(answer)
        yield peer


@contextmanager
def web_server() -> Iterator[str]:
    """Serve one page on loopback and yield its `ip:port`: what a played drone passes off as its container."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "6")
            self.end_headers()
            self.wfile.write(b"played")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
            pass

    server = HTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
