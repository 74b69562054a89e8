"""
One client's connection: finds requests in its bytes, answers what is the proxy's own, and has the rest relayed.

One request at a time: what a client sends ahead is kept, up to a limit, until the answer before it is whole.

    READING ──▶ HELD ──▶ RELAYING ──▶ READING, or ENDED (hung up, or handed to a tunnel)
       └──────────────────────┴─────▶ LINGERING ──▶ ENDED
"""

from __future__ import annotations

import asyncio
import enum
import math
from typing import cast

from proxyd.access_log import Entry, whole_millis
from proxyd.addressing import Address, Place
from proxyd.headers import RequestFields
from proxyd.http1 import MAX_HEAD, MAX_LINE, has_bare_line_end
from proxyd.refusals import Refused
from proxyd.relay import Relay
from proxyd.request import Request, Target, check_head, judge_admission
from proxyd.route import Route
from proxyd.switchboard import Switchboard
from proxyd.tunnel import Tunnel


class Phase(enum.Enum):
    """What a client's connection is about."""

    READING = enum.auto()  #: waits for a request head
    HELD = enum.auto()  #: has one whose route is not known yet
    RELAYING = enum.auto()
    LINGERING = enum.auto()  #: has said its last word, and lets the client read it
    ENDED = enum.auto()


#: Read many times for each request; looking a member up in its class costs ten times as much.
READING, HELD, RELAYING, LINGERING, ENDED = Phase


class Frontend(asyncio.Protocol):
    """The protocol of one client's connection."""

    __slots__ = (
        "_board",
        "_held",
        "_is_half_closed",
        "_is_read_paused",
        "_is_write_paused",
        "_kept",
        "_phase",
        "_relay",
        "client_ip",
        "deadline",
        "forwarded_line",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, board: Switchboard) -> None:
        self._board = board
        self._phase = READING
        self._kept = b""
        self._relay: Relay | None = None
        self._held: Request | None = None
        self._is_half_closed = False
        self._is_read_paused = False
        self._is_write_paused = False
        self.deadline = math.inf
        self.client_ip = ""
        self.forwarded_line = b""

    # What the loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        if peer:
            self.client_ip = str(peer[0]).partition("%")[0].removeprefix("::ffff:")
        self.forwarded_line = b"x-forwarded-for: " + self.client_ip.encode() + b"\r\n"
        self.deadline = self._board.clock() + self._board.limits.head
        self._board.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._phase is READING and not self._is_write_paused:
            if self._kept:
                data, self._kept = self._kept + data, b""
            self._read(data)
        elif self._relay is not None and self._relay.wants_body:
            self._relay.client_data(data)
        elif self._phase is not LINGERING:
            self.keep(self._kept + data)

    def eof_received(self) -> bool:
        if self._phase is RELAYING and self._relay is not None and not self._relay.wants_body:
            # It sends no more, and may well read on. Whether it does shows when we write.
            self._is_half_closed = True
            self.deadline = self._board.clock() + self._board.limits.half_closed
            return True
        self._leave()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how it was lost makes no difference
        self._leave()
        self._board.connections.discard(self)

    def pause_writing(self) -> None:
        self._is_write_paused = True
        if self._relay is not None:
            self._relay.pause_download()

    def resume_writing(self) -> None:
        self._is_write_paused = False
        if self._relay is not None:
            self._relay.resume_download()
        elif self._kept:
            self._board.loop.call_soon(self._go_on)

    # Requests

    def _read(self, data: bytes) -> None:
        """Take the next request from the front of `data`, if it is all there."""
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._await_head(data)
            return
        line_end = data.find(b"\r\n")
        if not line_end:
            # One empty line before a request is tolerated (RFC 9112, 2.2).
            data = data[2:]
            end = data.find(b"\r\n\r\n")
            line_end = data.find(b"\r\n")
            if end < 0:
                self._await_head(data)
                return
        try:
            target = self._board.targets.of(data[:line_end])
            line = target.line
            if end > MAX_HEAD:
                raise Refused(431, "head too long")  # noqa: TRY301 - told as the others are
            fields = self._board.requests.of(data[line_end + 2 : end + 2])
            if not fields.host or not line.minor or line.authority:
                check_head(line, fields)
        except Refused as refused:
            self._answer(refused.status, keep=False)
            return
        rest = data[end + 4 :]
        if rest:
            self.keep(rest)
        self._begin(target, fields)

    def _await_head(self, data: bytes) -> None:
        data = data.removeprefix(b"\r\n")
        if has_bare_line_end(data):
            self._answer(400, keep=False)
        elif len(data) > MAX_LINE and b"\r\n" not in data:
            self._answer(414, keep=False)
        elif len(data) > MAX_HEAD:
            self._answer(431, keep=False)
        else:
            if not self._kept:
                self.deadline = min(self.deadline, self._board.clock() + self._board.limits.head)
            self._kept = data

    def _begin(self, target: Target, fields: RequestFields) -> None:
        board = self._board
        now = board.clock()
        self.deadline = math.inf
        line, address = target.line, target.address
        if isinstance(address, Place):
            self._answer_place(address, Request(line.method, line.minor, fields, _address_of(address), now))
            return
        request = Request(line.method, line.minor, fields, address, now)
        route = board.routes.find(address.token, now)
        if route is not None:
            self._forward(request, route)
            return
        self._phase = HELD
        self._held = request
        refusal = board.routes.ask(address.token, self)
        if refusal is not None:
            self.unroutable(refusal)

    def _forward(self, request: Request, route: Route) -> None:
        refusal = judge_admission(route, request.fields.host)
        if refusal is not None:
            self._refuse(refusal, request)
            return
        self._phase = RELAYING
        self._relay = relay = Relay(self._board, self, request=request, route=route)
        relay.start()

    def routed(self, route: Route) -> None:
        request, self._held = self._held, None
        assert request is not None, "only who waits is told"
        self._forward(request, route)

    def unroutable(self, status: int) -> None:
        request, self._held = self._held, None
        assert request is not None, "only who waits is told"
        self._refuse(status, request)

    # Answers of our own

    def _answer_place(self, place: Place, request: Request) -> None:
        target = self._board.root_redirect_url
        if place is Place.READY:
            self._refuse(200 if self._board.is_ready and not self._board.is_draining else 503, request)
        elif place is Place.ROOT and target is not None:
            self._refuse(301, request, extra=f"location: {target}\r\n".encode())
        else:
            self._refuse(400, request)

    def _refuse(self, status: int, request: Request, *, extra: bytes = b"") -> None:
        """Answer a request that goes nowhere, and log it. A body that comes with it is not read."""
        now = self._board.clock()
        log = self._board.log
        log.note(
            Entry(
                "",
                self.client_ip,
                request.method.decode("ascii"),
                request.address.path_after_token,
                status,
                0,
                0,
                whole_millis(now - request.began),
                "request_refused",
                log.stamp(now),
            )
        )
        keep = request.is_persistent and request.fields.length == 0
        if keep and not request.minor:
            extra += b"connection: keep-alive\r\n"
        self._answer(status, keep=keep, extra=extra, with_body=request.method != b"HEAD")

    def _answer(self, status: int, *, keep: bool, extra: bytes = b"", with_body: bool = True) -> None:
        keep = keep and not self._board.is_draining
        if not keep:
            extra += b"connection: close\r\n"
        self.transport.write(self._board.answers.make(status, extra=extra, with_body=with_body))
        if keep:
            self.finished(self._board.clock(), keep=True, linger=True)
        else:
            self._linger()

    def failed(self, status: int, route: Route, *, keep: bool) -> None:
        request = self._relay.request if self._relay is not None else None
        self._relay = None
        with_body = request is None or request.method != b"HEAD"
        keep = keep and request is not None and request.is_persistent and request.minor == 1
        self._answer(status, keep=keep, extra=route.response_lines, with_body=with_body)

    # What a relay needs

    def take_kept(self) -> bytes:
        kept, self._kept = self._kept, b""
        return kept

    def keep(self, data: bytes) -> None:
        self._kept = data
        if len(data) > self._board.limits.kept:
            self.pause_reading()

    def pause_reading(self) -> None:
        if not self._is_read_paused and not self.transport.is_closing():
            self.transport.pause_reading()
            self._is_read_paused = True

    def resume_reading(self) -> None:
        if self._is_read_paused and not self.transport.is_closing():
            self.transport.resume_reading()
            self._is_read_paused = False

    def finished(self, now: float, *, keep: bool, linger: bool) -> None:
        self._relay = None
        if self.transport.is_closing():
            self._phase = ENDED
        elif not keep or self._is_half_closed or self._board.is_draining:
            self._linger() if linger or self._kept else self._hang_up()
        else:
            self._phase = READING
            self.deadline = now + self._board.limits.idle_client
            if self._is_read_paused and len(self._kept) <= self._board.limits.kept:
                # Not with more: each request would let in more than it takes off.
                self.resume_reading()
            if self._kept:
                # Not at once: a thousand requests sent ahead would be a thousand calls deep.
                self._board.loop.call_soon(self._go_on)

    def break_off(self) -> None:
        self._leave()
        self._hang_up()

    def open_tunnel(self, relay: Relay, *, head: bytes, rest: bytes) -> None:
        upstream = relay.upstream
        assert upstream is not None, "a tunnel has two ends"
        self._relay = None
        self._phase = ENDED
        self._board.connections.discard(self)
        kept = self.take_kept()
        self.resume_reading()
        tunnel = Tunnel(self._board, relay, client_ip=self.client_ip)
        tunnel.open(self.transport, upstream, is_client_slow=self._is_write_paused)
        tunnel.client.transport.write(head + rest)
        if kept:
            tunnel.client.data_received(kept)
        if self._is_half_closed:
            tunnel.client.eof_received()

    # The end

    def _go_on(self) -> None:
        if self._phase is READING and self._kept and not self._is_write_paused:
            self._read(self.take_kept())

    def _linger(self) -> None:
        """Say no more, and drop what still comes in, so that the client reads the answer before it sees a reset."""
        self._phase = LINGERING
        self._kept = b""
        self.deadline = self._board.clock() + self._board.limits.linger
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()
            self.resume_reading()
        if self._is_half_closed:
            self._hang_up()

    def _hang_up(self) -> None:
        """Close when all that was written has gone out; a client that does not read gets some time for it."""
        self._phase = ENDED
        self.deadline = self._board.clock() + self._board.limits.idle_client
        self.transport.close()

    def _leave(self) -> None:
        """Let go of what waits for the client: it is gone, or will be."""
        phase, self._phase = self._phase, ENDED
        if phase is HELD and self._held is not None:
            held, self._held = self._held, None
            self._board.routes.forget(held.address.token, self)
        relay, self._relay = self._relay, None
        if relay is not None:
            relay.client_lost()

    # What the proxy as a whole asks

    def overdue(self) -> None:
        if self._phase is READING and self._kept:
            self._answer(408, keep=False)
        elif self._phase in (READING, LINGERING) and not self.transport.is_closing():
            self._hang_up()
        else:
            self.cut()

    def drain(self) -> None:
        if self._phase is READING:
            self._hang_up()

    def cut(self) -> None:
        self._leave()
        self.transport.abort()

    def uses(self, backend: str, tokens: frozenset[bytes] | None) -> bool:
        if self._relay is None or self._relay.route.backend != backend:
            return False
        return tokens is None or self._relay.route.token in tokens


def _address_of(place: Place) -> Address:
    """Return what the log shows: nothing of a path that is malformed, since it may hold a token."""
    path = b"/ready" if place is Place.READY else b"/"
    return Address(b"", path, path)
