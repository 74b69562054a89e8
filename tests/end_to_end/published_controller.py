"""
A controller of the published series, played frame by frame with plain JSON, for our own drone and proxy to talk to.

It lists no extensions, so whatever comes in must be a message that the published series knows.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

from websockets.sync.server import ServerConnection, serve

#: What a published controller may be sent.
KNOWN = {
    "drone": {"Heartbeat", "BackendEvent", "BackendMetrics", "AckAction", "RenewKey"},
    "proxy": {"RouteInfoRequest", "KeepAlive", "CertManagerRequest"},
}


class NodeConnection:
    """The controller's end of one control socket."""

    def __init__(self, socket: ServerConnection, handshake: dict[str, Any]) -> None:
        assert socket.request is not None
        self.path = unquote_plus(socket.request.path)
        self.authorization = socket.request.headers.get("Authorization")
        self.handshake = handshake
        self._socket = socket
        self._known = next(known for kind, known in KNOWN.items() if f"/{kind}-socket" in self.path)

    def say(self, kind: str, content: Any) -> None:
        """Send one message."""
        self._socket.send(json.dumps({kind: content}))

    def hear(self, kind: str, *, within: float = 10) -> Any:
        """Return the next message of a kind. What else comes in must be known, and is passed over."""
        return self.hear_until(lambda name, _: name == kind, within=within)[1]

    def hear_until(self, wanted: Callable[[str, Any], bool], *, within: float = 10) -> tuple[str, Any]:
        """Return the next message that is wanted."""
        while True:
            frame = self._socket.recv(timeout=within)
            assert isinstance(frame, str), "frames are text"
            ((kind, content),) = json.loads(frame).items()
            assert kind in self._known, f"a published controller does not know {frame}"
            if wanted(kind, content):
                return kind, content

    def close(self) -> None:
        """End the connection; whoever is at the other end comes back."""
        self._socket.close()


@dataclass
class PublishedController:
    """Listens; `accept` returns each connection after the handshakes."""

    port: int = 0
    _connections: queue.Queue[NodeConnection] = field(default_factory=queue.Queue)

    @property
    def url(self) -> str:
        """Return its address, with a bearer token in it."""
        return f"http://open-sesame@127.0.0.1:{self.port}"

    def accept(self, *, within: float = 15) -> NodeConnection:
        """Wait for the next connection."""
        return self._connections.get(timeout=within)

    def serve(self, socket: ServerConnection) -> None:
        """Shake hands, and leave the rest to the test."""
        handshake = json.loads(socket.recv(timeout=10))
        answer = {"version": {"version": "0.5.5", "git_hash": "c0ffee1"}, "name": "co-played"}
        socket.send(json.dumps(answer))
        self._connections.put(NodeConnection(socket, handshake))
        while socket.close_code is None:
            threading.Event().wait(0.05)


@contextmanager
def published_controller() -> Iterator[PublishedController]:
    """Play a controller until the block ends."""
    played = PublishedController()
    with serve(played.serve, "127.0.0.1", 0) as server:
        played.port = server.socket.getsockname()[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield played
        finally:
            server.shutdown()
            thread.join(5)
