"""
One request on its way: head and body to the backend, the answer back, as they arrive and no faster than they are read.

The hand of `request`, `response` and `bodies`. It owns the connection to the backend for as long as it lasts, and
`frontend` owns that of the client.
"""

from __future__ import annotations

import asyncio
import enum
import math
from typing import Final, Protocol

from proxyd.access_log import AccessLog, Entry, whole_millis
from proxyd.activity import Usage
from proxyd.bodies import BodyReader, EndlessReader, onward, reader_for
from proxyd.chunks import LAST_CHUNK
from proxyd.http1 import CHUNKED, MAX_HEAD
from proxyd.refusals import Refused
from proxyd.request import Request, head_for_backend
from proxyd.response import Audience, Plan, ResponseHead, interim_head, lines_for_client, plan_response
from proxyd.route import Route
from proxyd.switchboard import Switchboard
from proxyd.upstream import Upstream

MAX_INTERIM: Final = 16


class Client(Protocol):
    """The client's connection, as far as a relay needs it."""

    transport: asyncio.Transport
    forwarded_line: bytes
    client_ip: str
    deadline: float

    def take_kept(self) -> bytes:
        """Return what the client has sent ahead."""

    def keep(self, data: bytes) -> None:
        """Keep what the client has sent behind the body."""

    def pause_reading(self) -> None:
        """Read nothing for a while."""

    def resume_reading(self) -> None:
        """Go on reading."""

    def finished(self, now: float, *, keep: bool, linger: bool) -> None:
        """Take over again after a whole answer; with `linger`, the client may still be sending."""

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


#: Read many times for each request; looking a member up in its class costs ten times as much.
CONNECTING, WAITING, ANSWERING, DONE = Stage


class Relay:
    """One request, from the moment its route is known."""

    # Without slots, and with the beginnings on the class: a request sets few of them, which is half of the cost.
    upstream: Upstream | None = None
    wants_body = False  #: bytes from the client belong to the body of this request
    status = 0
    received = 0
    sent = 0
    _stage = CONNECTING
    _connecting: asyncio.Task[None] | None = None
    _usage: Usage | None = None
    _upload: BodyReader | None = None
    _reader: BodyReader | None = None
    _plan: Plan | None = None
    _partial = b""  #: of the answer's head
    _heard = False
    _interims = 0
    _is_paused = False

    def __init__(self, board: Switchboard, client: Client, *, request: Request, route: Route) -> None:
        self._board = board
        self._client = client
        self.request = request
        self.route = route

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
        self._stage = WAITING
        request = self.request
        self._usage = self._board.activity.begin(self.route.backend, self._board.clock())
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
        if self._stage is WAITING:
            assert self.upstream is not None, "waiting is for a backend"
            if self.upstream.is_reused and not self._heard and self.request.may_be_repeated:
                self._try_again()
            else:
                self._fail(502)
        elif self._stage is ANSWERING:
            if clean and isinstance(self._reader, EndlessReader):
                self._end_endless()
            else:
                self._let_go()
                self._note()
                self._client.break_off()

    def _try_again(self) -> None:
        """Use a connection of its own: the pooled one was hung up just when the request was on its way."""
        self._let_go()
        self._stage = CONNECTING
        self._connecting = self._board.pools.connect(self.route, self)

    # The request's body

    def client_data(self, data: bytes) -> None:
        """Take a piece of the body from the client."""
        assert self._upload is not None, "only when a body is wanted"
        assert self.upstream is not None, "only when there is somebody to read it"
        try:
            out = onward(self._upload, data, chunked=self.request.fields.length == CHUNKED)
        except Refused as refused:
            self._fail(refused.status) if self._stage is WAITING else self._break_off()
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
        if self._stage is not DONE:
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
        if self._stage is ANSWERING:
            self._pass_on(data)
        elif self._stage is WAITING:
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
        try:
            head = self._board.responses.of(data[: end + 2])
        except Refused:
            self._fail(502)
            return
        if head.line.status < 200:
            self._take_interim(head, rest=data[end + 4 :])
        else:
            self._begin_answer(head, rest=data[end + 4 :])

    def _begin_answer(self, head: ResponseHead, *, rest: bytes) -> None:
        board, request = self._board, self.request
        if request.is_ordinary and not self.wants_body and not board.is_draining:
            self._plan = plan = head.plan
            lines = head.lines
        else:
            # A body that is still coming in may never end: then the connection cannot be used again.
            stays = request.is_persistent and not self.wants_body and not board.is_draining
            audience = Audience(request.minor, request.method == b"HEAD", stays)
            self._plan = plan = plan_response(audience, head.line, fields=head.fields)
            server_line = board.answers.server_line
            lines = lines_for_client(head.start, head.fields, framing=plan.framing, server_line=server_line)
        self._stage = ANSWERING
        self.status = head.line.status
        self._client.deadline = math.inf
        usage = self._usage
        if usage is not None and usage.fresh:
            board.keepalive.answered(usage)
        if plan.length == len(rest):
            # The whole answer in one piece, as most are.
            self._client.transport.write(b"".join((lines, self.route.response_end, rest)))
            self.sent = plan.length
            self._complete(reusable=plan.keeps_backend)
            return
        self._reader = reader_for(plan.length)
        self._client.transport.write(lines + self.route.response_end)
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

    def _take_interim(self, head: ResponseHead, *, rest: bytes) -> None:
        self._interims += 1
        if head.line.status == 101:
            self._switch_protocols(head, rest)
        elif self._interims > MAX_INTERIM:
            self._fail(502)
        else:
            if self.request.minor == 1:
                self._client.transport.write(interim_head(head))
            if rest:
                self._read_head(rest)

    def _switch_protocols(self, head: ResponseHead, rest: bytes) -> None:
        request, upgrade = self.request, head.fields.upgrade
        if not (request.fields.upgrades and request.minor == 1 and upgrade) or self.wants_body:
            self._fail(502)
            return
        self.status = 101
        self._stage = DONE
        if self._usage is not None:
            self._board.keepalive.answered(self._usage)
        framing = b"connection: upgrade\r\nupgrade: " + upgrade + b"\r\n"
        server_line = self._board.answers.server_line
        lines = lines_for_client(head.start, head.fields, framing=framing, server_line=server_line)
        self._client.open_tunnel(self, head=lines + self.route.response_end, rest=rest)

    # The end

    def _complete(self, *, reusable: bool) -> None:
        plan, upstream, board = self._plan, self.upstream, self._board
        assert plan is not None, "an answer has a plan"
        now = board.clock()
        if upstream is not None and reusable and not self.wants_body:
            if self._is_paused:
                self.resume_download()
            upstream.speaker = None
            self.upstream = None
            board.pools.give_back(upstream, now)
        # Who asked for the end of the connection sends nothing more; others may be doing so just now.
        linger = self.wants_body or self.request.is_persistent
        self._let_go()
        board.log.note(entry_of(self, now, log=board.log, client_ip=self._client.client_ip))
        self._client.finished(now, keep=plan.keeps_client, linger=linger)

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
        self._stage = DONE
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
        log = self._board.log
        log.note(entry_of(self, self._board.clock(), log=log, client_ip=self._client.client_ip))


def entry_of(relay: Relay, now: float, *, log: AccessLog, client_ip: str, event: str = "request_served") -> Entry:
    """Return the log line of a request or tunnel."""
    request = relay.request
    return Entry(
        relay.route.backend,
        client_ip,
        request.method.decode("ascii"),
        request.address.path_after_token,
        relay.status,
        relay.received,
        relay.sent,
        whole_millis(now - request.began),
        event,
        log.stamp(now),
    )
