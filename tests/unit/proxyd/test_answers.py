"""
The proxy's own words.
"""

from __future__ import annotations

import pytest

from protocol.channel import Version
from proxyd.answers import Answers


@pytest.mark.parametrize("status", [200, 301, 400, 403, 405, 408, 410, 414, 417, 431, 501, 502, 503, 504, 505])
def test_every_status_has_a_whole_answer(status: int) -> None:
    """With its length, our name, and leave for other origins."""
    head, _, body = Answers(Version("1.0", "abc")).make(status, extra=b"x: y\r\n").partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0].startswith(b"HTTP/1.1 %d " % status)
    assert b"content-length: %d" % len(body) in lines
    assert b"server: Plane/1.0-abc" in lines
    assert b"access-control-allow-origin: *" in lines
    assert b"x: y" in lines
    assert any(line.startswith(b"retry-after: ") for line in lines) == (status == 503)


def test_an_answer_to_head_has_no_body() -> None:
    """But tells the same length."""
    answers = Answers(Version("1.0", "abc"))
    assert answers.make(410).startswith(answers.make(410, with_body=False))
    assert answers.make(410, with_body=False).endswith(b"\r\n\r\n")
