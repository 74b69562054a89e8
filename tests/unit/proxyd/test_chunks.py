"""
The chunked coding, cut at every point.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyd.bodies import onward
from proxyd.chunks import MAX_SIZE_LINE, MAX_TRAILERS, ChunkedReader, frame_chunk
from proxyd.refusals import Refused

EXAMPLE = b"5;name=value\r\nhello\r\n1 ;x\r\n \r\n006\r\nworld!\r\n0\r\nTrailer: 1\r\nOther: 2\r\n\r\n"


def _feed(reader: ChunkedReader, pieces: list[bytes]) -> bytes:
    return b"".join(reader.feed(piece) for piece in pieces)


@pytest.mark.parametrize("cut", range(len(EXAMPLE) + 1))
def test_a_cut_changes_nothing(cut: int) -> None:
    """Wherever the network cuts a body in two, with the next message behind it."""
    reader = ChunkedReader()
    data = EXAMPLE + b"NEXT"
    assert _feed(reader, [data[:cut], data[cut:]] if cut else [data]) == b"hello world!"
    assert reader.done
    assert reader.rest == b"NEXT"


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.data())
def test_what_goes_in_comes_out(payloads: list[bytes], data: st.DataObject) -> None:
    """Framed, cut into any pieces, unframed, framed anew and read again: the same bytes."""
    body = b"".join(map(frame_chunk, payloads)) + b"0\r\n\r\n"
    cuts = sorted(data.draw(st.sets(st.integers(1, len(body) - 1))))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    first, second = ChunkedReader(), ChunkedReader()
    reframed = b"".join(onward(first, piece, chunked=True) for piece in pieces)
    assert second.feed(reframed) == b"".join(payloads)
    assert first.done
    assert second.done
    assert second.rest == b""


@pytest.mark.parametrize(
    "body",
    [
        b"-1\r\n",
        b"+1\r\n",
        b"0x1\r\n",
        b"1_0\r\n",
        b" 1\r\n",
        b"1 \r\n",
        b"\r\n",
        b";a\r\n",
        b"g\r\n",
        b"1\n",
        b"1\rX\r\n",
        b"1;a\nb\r\n",
        b"1;\x00\r\n",
        b"1" * 16 + b"\r\n",
        b"1;" + b"a" * MAX_SIZE_LINE + b"\r\n",
        b"1;" + b"a" * MAX_SIZE_LINE,
        b"1\r\naX\r\n",
        b"1\r\na\n",
        b"1\r\na\rX",
        b"1\r\nab\r\n",
        b"0\r\nbad trailer\r\n\r\n",
        b"0\r\nX : 1\r\n\r\n",
        b"0\r\n folded\r\n\r\n",
        b"0\r\nX: " + b"a" * MAX_TRAILERS + b"\r\n\r\n",
        b"0\r\nX: " + b"a" * MAX_TRAILERS,
        b"0\r\nX: 1\n\n",
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_bad_framing_is_refused(body: bytes, *, at_once: bool) -> None:
    """At once or byte by byte."""
    reader = ChunkedReader()
    with pytest.raises(Refused):
        _feed(reader, [body] if at_once else [bytes([byte]) for byte in body])


@given(st.binary(max_size=200), st.integers(1, 20))
def test_any_bytes_are_read_alike_however_cut(body: bytes, size: int) -> None:
    """Refused or read, the same way in one piece and in many."""

    def read(pieces: list[bytes]) -> tuple[bytes, bool] | None:
        reader = ChunkedReader()
        payload = b""
        try:
            for piece in pieces:
                payload += reader.feed(piece)
                if reader.done:
                    break
        except Refused:
            return None
        return payload, reader.done

    whole = read([body])
    cut = read([body[start : start + size] for start in range(0, len(body), size)])
    # What is refused in the end may be refused a piece earlier or later; what is whole is whole both ways.
    if (whole is not None and whole[1]) or (cut is not None and cut[1]):
        assert cut == whole


def test_an_empty_chunk_is_not_framed() -> None:
    """It would end the body."""
    with pytest.raises(AssertionError):
        frame_chunk(b"")
