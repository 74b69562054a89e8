"""
Heads of HTTP/1.1 messages by RFC 9112, taken apart and refused where they break a rule. Pure.

Every header block goes through llhttp in its strict mode and through our own rules on top of it: what two parsers might
read differently is refused, because a backend behind us may be the second one. What headers mean is not said here.
"""

from __future__ import annotations

import re
from typing import Final

import httptools
import msgspec

from proxyd.refusals import Refused

Field = tuple[bytes, bytes]  #: a header as it came, without blanks before its value; there may be some behind it

MAX_LINE: Final = 8 * 1024
MAX_HEAD: Final = 32 * 1024
MAX_FIELDS: Final = 200

#: `length` of a body whose end its chunks tell.
CHUNKED: Final = -1
#: `length` of a response body that ends with its connection.
UNTIL_CLOSE: Final = -2

_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_REQUEST_LINE: Final = re.compile(rb"(%b{1,32}) ([!\"$-~]+) HTTP/1\.([01])" % _TOKEN)
_ABSOLUTE: Final = re.compile(rb"https?://([^/?@]+)((?:[/?].*)?)", re.IGNORECASE)
_OTHER_VERSION: Final = re.compile(rb"%b{1,32} [!-~]+ HTTP/[0-9]\.[0-9]" % _TOKEN)
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [\t -~\x80-\xff]*)?")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
#: Whatever may stand within a header line; bytes.translate removes it, and leaves line ends and what may not be.
_WITHIN_LINES: Final = bytes(code for code in range(256) if (code >= 0x20 and code != 0x7F) or code == 0x09)
#: TRACE would show a client the secrets that we add for the backend; CONNECT asks for another kind of proxy.
_FORBIDDEN_METHODS: Final = (b"TRACE", b"CONNECT")


class RequestLine(msgspec.Struct, frozen=True, gc=False):
    """The first line of a request. `authority` is empty unless the target was a whole URL."""

    method: bytes
    target: bytes
    minor: int
    authority: bytes = b""


class StatusLine(msgspec.Struct, frozen=True, gc=False):
    """The first line of a response."""

    status: int
    minor: int


class _Collector:
    """What httptools reports of a header block."""

    __slots__ = ("_append", "fields")

    def __init__(self) -> None:
        self.fields: list[Field] = []
        self._append = self.fields.append

    def on_header(self, name: bytes, value: bytes) -> None:
        self._append((name, value))


def read_request_line(line: bytes) -> RequestLine:
    """
    Take a request line apart, without its line end.

    Raises:
        Refused: it is none of HTTP/1.x, or of a form or method that leads nowhere here.
    """
    if len(line) > MAX_LINE:
        raise Refused(414, "request line too long")
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        if _OTHER_VERSION.fullmatch(line) and b" HTTP/1." not in line:
            raise Refused(505, "not HTTP/1.x")
        raise Refused(400, "malformed request line")
    method, target, minor = match.groups()
    if method in _FORBIDDEN_METHODS:
        raise Refused(405, "method not allowed")
    if target[0] == 0x2F:  # a slash
        return RequestLine(method, target, 1 if minor == b"1" else 0)
    return _read_absolute(method, target, minor=1 if minor == b"1" else 0)


def _read_absolute(method: bytes, target: bytes, *, minor: int) -> RequestLine:
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise Refused(400, "malformed target")
    authority, rest = absolute.groups()
    return RequestLine(method, rest if rest.startswith(b"/") else b"/" + rest, minor, authority)


def read_status_line(line: bytes) -> StatusLine:
    """
    Take a status line apart, without its line end.

    Raises:
        Refused: it is none of HTTP/1.x.
    """
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise Refused(502, "malformed status line")
    return StatusLine(int(match[2]), int(match[1]))


def read_fields(block: bytes) -> list[Field]:
    """
    Take a header block apart: whole lines with their ends, without the empty line after them.

    Raises:
        Refused: control characters, bare CR or LF, folded lines, blanks before a colon, or anything else unclean.
    """
    assert not block or block.endswith(b"\r\n"), "only whole lines are a block"
    lines = block.count(b"\r\n")
    if block.translate(None, _WITHIN_LINES) != b"\r\n" * lines:
        raise Refused(400, "control characters, bare CR or bare LF in the head")
    if lines > MAX_FIELDS:
        raise Refused(431, "too many headers")
    collector = _Collector()
    try:
        httptools.HttpRequestParser(collector).feed_data(b"POST / HTTP/1.1\r\n" + block + b"\r\n")
    except httptools.HttpParserUpgrade:
        pass  # the end of the head of a request that wants another protocol
    except httptools.HttpParserError as error:
        raise Refused(400, "malformed head") from error
    if len(collector.fields) != lines:
        raise Refused(400, "folded or missing header lines")
    return collector.fields


def read_length(values: list[bytes]) -> int:
    """
    Return the one Content-Length among these values.

    Raises:
        Refused: there are several, alike or not, or it is no number.
    """
    if len(values) != 1 or not _LENGTH.fullmatch(values[0]):
        raise Refused(400, "bad Content-Length")
    return int(values[0])


def read_framing(lengths: list[bytes] | None, codings: list[bytes] | None, *, otherwise: int) -> int:
    """
    Return how a body ends: its length, CHUNKED, or `otherwise` when the head does not say.

    Raises:
        Refused: it says both, or says it twice, or names a coding other than chunked.
    """
    if codings is not None:
        if lengths is not None:
            raise Refused(400, "both Content-Length and Transfer-Encoding")
        if len(codings) != 1 or codings[0].lower() != b"chunked":
            raise Refused(501, "a transfer coding other than chunked")
        return CHUNKED
    return otherwise if lengths is None else read_length(lengths)


def list_tokens(values: list[bytes]) -> set[bytes]:
    """Return the words of a comma-separated header, in lower case: `keep-alive, Upgrade` are two."""
    return {word for value in values for part in value.lower().split(b",") if (word := part.strip(b" \t"))}


def has_bare_line_end(data: bytes) -> bool:
    """Tell whether the beginning of a head already shows a line that ends in LF alone."""
    return data.count(b"\n") != data.count(b"\r\n")
