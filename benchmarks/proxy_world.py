"""
What the proxy is measured in: the proxy with a controller of its own, nginx as its peer, and backends behind both.

The measured process has a core of its own; whatever loads it, and what it leads to, share the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from protocol.channel import Extension, Handshake, Version
from protocol.codec import decode, encode
from protocol.proxy_messages import FromProxy, ToProxy
from protocol.routes import RouteInfo, RouteInfoRequest, RouteInfoResponse

MEASURED_CORE = "0"
OTHER_CORE = "1"
TICKS = os.sysconf("SC_CLK_TCK")

NGINX_BACKEND = """
daemon off; worker_processes 1; pid {folder}/backend.pid; error_log {folder}/backend.error crit;
events {{ worker_connections 4096; }}
http {{ access_log off; client_body_temp_path {folder}/b1; proxy_temp_path {folder}/b2; fastcgi_temp_path {folder}/b3;
  uwsgi_temp_path {folder}/b4; scgi_temp_path {folder}/b5;
  keepalive_requests 100000000; sendfile on;
  server {{ listen 127.0.0.1:{port} backlog=4096;
    location / {{ return 200 "hello from the backend of this session, with some eighty bytes to say in its answer"; }}
    location /big {{ alias {folder}/big; }} }} }}
"""

#: As one would set it up for the same job: connections kept on both sides, headers set, one log line per request.
NGINX_PEER = """
daemon off; worker_processes 1; pid {folder}/peer.pid; error_log {folder}/peer.error crit;
events {{ worker_connections 8192; }}
http {{ access_log {folder}/peer.log combined buffer=64k flush=1s;
  client_body_temp_path {folder}/p1; proxy_temp_path {folder}/p2; fastcgi_temp_path {folder}/p3;
  uwsgi_temp_path {folder}/p4; scgi_temp_path {folder}/p5;
  keepalive_requests 100000000;
  upstream web {{ server 127.0.0.1:{backend}; keepalive 256; keepalive_requests 100000000; }}
  upstream tunnel {{ server 127.0.0.1:{tunnel}; }}
  proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_set_header X-Verified-Backend b1;
  proxy_set_header X-Verified-Secret aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa;
  proxy_set_header X-Verified-Username u;
  proxy_set_header X-Verified-User-Data "{{}}"; proxy_set_header X-Verified-Path $uri; proxy_set_header Connection "";
  proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto http;
  add_header x-plane-backend-id b1; add_header access-control-allow-origin *;
  server {{ listen 127.0.0.1:{port} backlog=4096; proxy_buffering {buffering};
    location /web/ {{ proxy_pass http://web/; }}
    location /tunnel/ {{ proxy_pass http://tunnel/; proxy_set_header Connection upgrade; proxy_set_header Upgrade raw;
      proxy_read_timeout 600s; }} }} }}
"""


@dataclass(frozen=True)
class Peer:
    """One of the proxies that are measured."""

    name: str
    pid: int
    port: int

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def cpu_seconds(self) -> float:
        """CPU time that it has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self) -> int:
        """Bytes that it occupies."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


@dataclass(frozen=True)
class World:
    """Both proxies, listening."""

    ours: Peer
    nginx: Peer


def free_port() -> int:
    """Return a port that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def running_world() -> AsyncIterator[World]:
    """Start everything, and end it again."""
    folder = _make_folder()
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        backend, peer, ours, tunnel = (free_port() for _ in range(4))
        server = await asyncio.start_server(_echo_tunnel, "127.0.0.1", tunnel)
        stack.push_async_callback(_close, server)
        config = NGINX_BACKEND.format(folder=folder, port=backend)
        await stack.enter_async_context(_nginx(folder / "backend.conf", config, core=OTHER_CORE))
        config = NGINX_PEER.format(folder=folder, port=peer, backend=backend, tunnel=tunnel, buffering="on")
        master = await stack.enter_async_context(_nginx(folder / "peer.conf", config, core=MEASURED_CORE))
        controller = await stack.enter_async_context(_controller({"web": backend, "tunnel": tunnel}, ours))
        command = [sys.executable, "-m", "proxyd", "--cluster", f"127.0.0.1:{ours}", "--http-port", str(ours)]
        command += ["--controller-url", f"http://127.0.0.1:{controller}"]
        with (folder / "ours.log").open("wb") as log:
            process = await stack.enter_async_context(_process(command, core=MEASURED_CORE, log=log.fileno()))
        for port in (backend, peer, ours):
            await _answers(port)
        yield World(Peer("proxy", process.pid, ours), Peer("nginx", _worker_of(master.pid), peer))


def _make_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="bench-proxy-"))
    folder.chmod(0o755)  # nginx drops its privileges
    (folder / "big").write_bytes(os.urandom(1024 * 1024))
    return folder


def _write_config(path: Path, config: str) -> str:
    path.write_text(config)
    return str(path)


@contextlib.asynccontextmanager
async def _nginx(path: Path, config: str, *, core: str) -> AsyncIterator[asyncio.subprocess.Process]:
    command = ["nginx", "-e", "stderr", "-c", _write_config(path, config)]
    async with _process(command, core=core, log=asyncio.subprocess.DEVNULL) as process:
        yield process


@contextlib.asynccontextmanager
async def _process(command: list[str], *, core: str, log: int) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec("taskset", "-c", core, *command, stdout=log, stderr=log)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        async with asyncio.timeout(20):
            await process.wait()


def _worker_of(master: int) -> int:
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return int(children[0])


@contextlib.asynccontextmanager
async def _controller(ports: dict[str, int], proxy_port: int) -> AsyncIterator[int]:
    """Serve the proxy's control socket: each token leads to a port on this machine."""

    async def answer(socket: ServerConnection) -> None:
        await socket.recv()
        known = [Extension.ROUTE_PENDING, Extension.IN_USE, Extension.BATCH]
        hello = Handshake(Version("0", "bench"), "co-bench", extensions=[str(name) for name in known])
        await socket.send(encode(hello), text=True)
        while frame := await _next_frame(socket):
            question = decode(frame, FromProxy).variant
            if not isinstance(question, RouteInfoRequest):
                continue
            port = ports.get(question.token)
            route = None if port is None else _route(port, proxy_port)
            reply = ToProxy(route_info_response=RouteInfoResponse(question.token, route))
            await socket.send(encode(reply), text=True)

    async with serve(answer, "127.0.0.1", 0) as server:
        yield next(iter(server.sockets)).getsockname()[1]


async def _next_frame(socket: ServerConnection) -> str | bytes | None:
    try:
        return await socket.recv()
    except ConnectionClosed:
        return None


def _route(port: int, proxy_port: int) -> RouteInfo:
    return RouteInfo(f"b{port}", f"127.0.0.1:{port}", "a" * 43, f"127.0.0.1:{proxy_port}", user="u", user_data={})


async def _echo_tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Agree to any upgrade, and send back what comes."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(262144):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _answers(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.05)
    raise RuntimeError(f"nobody listens on {port}")


async def _close(server: asyncio.Server) -> None:
    server.close()
