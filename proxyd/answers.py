"""
What the proxy answers by itself: errors, redirects, its own health. Pure; bytes, ready to send.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from protocol.channel import Version
from proxyd.headers import CORS_LINES

RETRY_AFTER: Final = b"retry-after: 5\r\n"

_SENTENCES: Final = {
    200: "Ready.",
    400: "This request is malformed, or leads nowhere.",
    403: "This address does not belong to the host name it was asked under.",
    410: "This address is not in use any more.",
    502: "The backend did not answer.",
    503: "Not available now. Try again in a moment.",
    504: "The backend did not answer in time.",
}


class Answers:
    """The proxy's own answers, for one version of it."""

    def __init__(self, version: Version) -> None:
        self.server_line = f"server: Plane/{version.version}-{version.git_hash}\r\n".encode()

    def make(self, status: int, *, extra: bytes = b"", with_body: bool = True) -> bytes:
        """Return an answer; `extra` holds further header lines, and an answer to HEAD is without its body."""
        reason = HTTPStatus(status).phrase
        body = _SENTENCES.get(status, reason + ".").encode() + b"\n"
        return b"".join(
            (
                b"HTTP/1.1 %d %b\r\n" % (status, reason.encode()),
                b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n" % len(body),
                self.server_line,
                CORS_LINES,
                RETRY_AFTER if status == 503 else b"",
                extra,
                b"\r\n",
                body if with_body else b"",
            )
        )
