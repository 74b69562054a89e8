"""
One request on its way: head and body to the backend, the answer back, as they arrive and no faster than they are read.

The hand of `request`, `response` and `bodies`. It owns the connection to the backend for as long as it lasts, and
`frontend` owns that of the client.
"""

from __future__ import annotations

import asyncio
import enum
from typing import Final, Protocol

from proxyd.access_log import Entry
from proxyd.activity import Usage
from proxyd.bodies import BodyReader, EndlessReader, onward, reader_for
from proxyd.chunks import LAST_CHUNK
from proxyd.headers import ResponseFields
from proxyd.http1 import CHUNKED, MAX_HEAD, StatusLine, read_status_line
from proxyd.refusals import Refused
from proxyd.request import Request, head_for_backend
from proxyd.response import Plan, head_for_client, interim_head, plan_response
from proxyd.route import Route
from proxyd.switchboard import Switchboard
from proxyd.upstream import Upstream

MAX_INTERIM: Final = 16


class Client(Protocol):
    """The client's connection, as far as a relay needs it."""

    transport: asyncio.Transport
    forwarded_line: bytes
    client_ip: str

    def take_kept(self) -> bytes:
        """Return what the client has sent ahead."""

    def keep(self, data: bytes) -> None:
        """Keep what the client has sent behind the body."""

    def pause_reading(self) -> None:
        """Read nothing for a while."""

    def resume_reading(self) -> None:
        """Go on reading."""

    def answering(self) -> None:
        """Learn that the answer begins."""

    def finished(self, *, keep: bool) -> None:
        """Take over again after a whole answer."""

    def failed(self, status: int, route: Route, *, keep: bool) -> None:
        """Answer with the proxy's own words."""

    def break_off(self) -> None:
        """Hang up in the middle of an answer: what was sent is not whole, and the client must notice."""

    def open_tunnel(self, relay: Relay, *, head: bytes, rest: bytes) -> None:
        """Let bytes pass both ways from now on."""


class Stage(enum.Enum):
    """How far a request is."""

    CONNECTING = enum.auto()
    WAITING = enum.auto()  #: sent, or being sent; no answer yet
    ANSWERING = enum.auto()
    DONE = enum.auto()


class Relay:
    """One request, from the moment its route is known."""

    __slots__ = (
        "_board",
        "_client",
        "_connecting",
        "_heard",
        "_interims",
        "_is_paused",
        "_partial",
        "_plan",
        "_reader",
        "_stage",
        "_upload",
        "_usage",
        "received",
        "request",
        "route",
        "sent",
        "status",
        "upstream",
        "wants_body",
    )

    def __init__(self, board: Switchboard, client: Client, *, request: Request, route: Route) -> None:
        self._board = board
        self._client = client
        self.request = request
        self.route = route
        self.upstream: Upstream | None = None
        self.wants_body = False  #: bytes from the client belong to the body of this request
        self.status = 0
        self.received = 0
        self.sent = 0
        self._stage = Stage.CONNECTING
        self._connecting: asyncio.Task[None] | None = None
        self._usage: Usage | None = None
        self._upload: BodyReader | None = None
        self._reader: BodyReader | None = None
        self._plan: Plan | None = None
        self._partial = b""  #: of the answer's head
        self._heard = False
        self._interims = 0
        self._is_paused = False

    # The backend's connection

    def start(self) -> None:
        """Find a connection."""
        request = self.request
        upstream = self._board.pools.take(self.route.origin, request.began, may_repeat=request.may_be_repeated)
        if upstream is not None:
            self.connected(upstream)
        else:
            self._connecting = self._board.pools.connect(self.route, self)

    def connected(self, upstream: Upstream) -> None:
        self._connecting = None
        self.upstream = upstream
        upstream.speaker = self
        self._stage = Stage.WAITING
        self._usage = self._board.activity.begin(self.route.backend, self._board.loop.time())
        request = self.request
        upstream.transport.write(head_for_backend(request, self.route, forwarded_line=self._client.forwarded_line))
        if request.fields.length:
            self._upload = reader_for(request.fields.length)
            self.wants_body = True
            self._client.resume_reading()  # it may have sent more ahead than is kept
            self.client_data(self._client.take_kept())

    def not_connected(self, status: int) -> None:
        self._connecting = None
        if status == 502:
            self._board.routes.doubt(self.route)
        self._fail(status)

    def backend_lost(self, *, clean: bool) -> None:
        if self._stage is Stage.WAITING:
            assert self.upstream is not None, "waiting is for a backend"
            if self.upstream.is_reused and not self._heard and self.request.may_be_repeated:
                self._try_again()
            else:
                self._fail(502)
        elif self._stage is Stage.ANSWERING:
            if clean and isinstance(self._reader, EndlessReader):
                self._end_endless()
            else:
                self._let_go()
                self._note()
                self._client.break_off()

    def _try_again(self) -> None:
        """Use a connection of its own: the pooled one was hung up just when the request was on its way."""
        self._let_go()
        self._stage = Stage.CONNECTING
        self._connecting = self._board.pools.connect(self.route, self)

    # The request's body

    def client_data(self, data: bytes) -> None:
        """Take a piece of the body from the client."""
        assert self._upload is not None, "only when a body is wanted"
        assert self.upstream is not None, "only when there is somebody to read it"
        try:
            out = onward(self._upload, data, chunked=self.request.fields.length == CHUNKED)
        except Refused as refused:
            self._fail(refused.status) if self._stage is Stage.WAITING else self._break_off()
            return
        self.received += len(data) - len(self._upload.rest)
        if out:
            self.upstream.transport.write(out)
        if self._upload.done:
            self.wants_body = False
            self._client.keep(self._upload.rest)

    def pause_upload(self) -> None:
        if self.wants_body:
            self._client.pause_reading()

    def resume_upload(self) -> None:
        self._client.resume_reading()

    def client_lost(self) -> None:
        """Forget everything: nobody waits for the answer."""
        if self._stage is not Stage.DONE:
            self._let_go()
            self._note()

    # The answer

    def pause_download(self) -> None:
        """Read nothing from the backend for a while: the client reads too slowly."""
        if self.upstream is not None and not self.upstream.transport.is_closing():
            self.upstream.transport.pause_reading()
            self._is_paused = True

    def resume_download(self) -> None:
        """Go on reading from the backend."""
        if self.upstream is not None and self._is_paused and not self.upstream.transport.is_closing():
            self.upstream.transport.resume_reading()
            self._is_paused = False

    def backend_data(self, data: bytes) -> None:
        if self._stage is Stage.ANSWERING:
            self._pass_on(data)
        elif self._stage is Stage.WAITING:
            self._heard = True
            self._read_head(data)

    def _read_head(self, data: bytes) -> None:
        if self._partial:
            data, self._partial = self._partial + data, b""
        end = data.find(b"\r\n\r\n")
        if end < 0 or end > MAX_HEAD:
            self._partial = data
            if len(data) > MAX_HEAD:
                self._fail(502)
            return
        line_end = data.find(b"\r\n")
        try:
            line = read_status_line(data[:line_end])
            fields = self._board.responses.of(data[line_end + 2 : end + 2])
        except Refused:
            self._fail(502)
            return
        if line.status < 200:
            self._take_interim(data[:line_end], line, fields=fields, rest=data[end + 4 :])
        else:
            self._begin_answer(data[:line_end], line, fields=fields, rest=data[end + 4 :])

    def _begin_answer(self, status_line: bytes, line: StatusLine, *, fields: ResponseFields, rest: bytes) -> None:
        board = self._board
        # A body that is still coming in may never end: then the connection cannot be used again.
        plan = plan_response(self.request, line, fields=fields, may_keep=not (self.wants_body or board.is_draining))
        head = head_for_client(
            status_line, fields, framing=plan.framing, route=self.route, server_line=board.answers.server_line
        )
        self._plan = plan
        self._stage = Stage.ANSWERING
        self.status = line.status
        self._client.answering()
        usage = self._usage
        if usage is not None and usage.fresh:
            board.keepalive.answered(usage)
        if plan.length == len(rest):
            # The whole answer in one piece, as most are.
            self._client.transport.write(head + rest)
            self.sent = plan.length
            self._complete(reusable=plan.keeps_backend)
            return
        self._reader = reader_for(plan.length)
        self._client.transport.write(head)
        if rest or self._reader.done:
            self._pass_on(rest)

    def _pass_on(self, data: bytes) -> None:
        reader, plan = self._reader, self._plan
        assert reader is not None, "answering has a body"
        assert plan is not None, "answering has a plan"
        try:
            out = onward(reader, data, chunked=plan.chunked)
        except Refused:
            self._break_off()
            return
        if out:
            self._client.transport.write(out)
            self.sent += len(out)
        if reader.done:
            # Bytes behind an answer are nobody's: what sent them cannot be trusted with another request.
            self._complete(reusable=plan.keeps_backend and not reader.rest)

    def _end_endless(self) -> None:
        assert self._plan is not None, "answering has a plan"
        if self._plan.chunked:
            self._client.transport.write(LAST_CHUNK)
        self._complete(reusable=False)

    def _take_interim(self, status_line: bytes, line: StatusLine, *, fields: ResponseFields, rest: bytes) -> None:
        self._interims += 1
        if line.status == 101:
            self._switch_protocols(status_line, fields, rest=rest)
        elif self._interims > MAX_INTERIM:
            self._fail(502)
        else:
            if self.request.minor == 1:
                self._client.transport.write(interim_head(status_line, fields))
            if rest:
                self._read_head(rest)

    def _switch_protocols(self, status_line: bytes, fields: ResponseFields, *, rest: bytes) -> None:
        request = self.request
        if not (request.fields.upgrades and request.minor == 1 and fields.upgrade) or self.wants_body:
            self._fail(502)
            return
        self.status = 101
        self._stage = Stage.DONE
        if self._usage is not None:
            self._board.keepalive.answered(self._usage)
        lines = b"connection: upgrade\r\nupgrade: " + fields.upgrade + b"\r\n"
        server_line = self._board.answers.server_line
        head = head_for_client(status_line, fields, framing=lines, route=self.route, server_line=server_line)
        self._client.open_tunnel(self, head=head, rest=rest)

    # The end

    def _complete(self, *, reusable: bool) -> None:
        plan, upstream = self._plan, self.upstream
        assert plan is not None, "an answer has a plan"
        if upstream is not None and reusable and not self.wants_body:
            if self._is_paused:
                self.resume_download()
            upstream.speaker = None
            self.upstream = None
            self._board.pools.give_back(upstream, self._board.loop.time())
        self._let_go()
        self._note()
        self._client.finished(keep=plan.keeps_client)

    def _fail(self, status: int) -> None:
        keep = not self.wants_body and (self._upload is not None or self.request.fields.length == 0)
        self._let_go()
        self.status = status
        self._note()
        self._client.failed(status, self.route, keep=keep)

    def _break_off(self) -> None:
        self._let_go()
        self._note()
        self._client.break_off()

    def _let_go(self) -> None:
        """Hold nothing any more: no connection, no count."""
        self._stage = Stage.DONE
        self.wants_body = False
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        if self.upstream is not None:
            self.upstream.speaker = None
            self.upstream.transport.abort()
            self.upstream = None
        if self._usage is not None:
            self._usage.end()
            self._usage = None

    def take_usage(self) -> Usage | None:
        """Hand the count of this request over to a tunnel."""
        usage, self._usage = self._usage, None
        return usage

    def _note(self) -> None:
        now = self._board.loop.time()
        self._board.log.note(entry_of(self, now, client_ip=self._client.client_ip))


def entry_of(relay: Relay, now: float, *, client_ip: str, event: str = "request_served") -> Entry:
    """Return the log line of a request or tunnel."""
    request = relay.request
    return Entry(
        now,
        event,
        relay.route.backend,
        client_ip,
        request.method,
        request.address.path_after_token,
        relay.status,
        relay.received,
        relay.sent,
        now - request.began,
    )
