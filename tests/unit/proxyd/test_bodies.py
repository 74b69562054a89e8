"""
Bodies: what belongs to a message and what comes behind it.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxyd.bodies import EndlessReader, LengthReader, onward, reader_for
from proxyd.chunks import ChunkedReader
from proxyd.http1 import CHUNKED, UNTIL_CLOSE


@given(st.binary(max_size=60), st.integers(0, 60), st.integers(1, 20))
def test_a_length_is_kept_to_the_byte(data: bytes, length: int, size: int) -> None:
    """Whatever the pieces; what is behind is told apart."""
    reader = LengthReader(length)
    payload = rest = b""
    for start in range(0, len(data), size):
        piece = data[start : start + size]
        if reader.done:
            rest += piece
        else:
            payload += reader.feed(piece)
            rest += reader.rest
    assert payload == data[:length]
    assert rest == data[length:]
    assert reader.done == (len(data) >= length)


def test_a_body_until_the_end_never_ends_by_itself() -> None:
    """Only its connection can."""
    reader = reader_for(UNTIL_CLOSE)
    assert isinstance(reader, EndlessReader)
    assert reader.feed(b"abc") == b"abc"
    assert not reader.done


def test_readers_by_framing() -> None:
    """One for each."""
    assert isinstance(reader_for(CHUNKED), ChunkedReader)
    assert reader_for(0).done
    assert not reader_for(1).done


def test_a_body_goes_on_in_chunks_or_bare() -> None:
    """Nothing makes no chunk, since that would be the last."""
    assert onward(LengthReader(4), b"ab", chunked=True) == b"2\r\nab\r\n"
    assert onward(LengthReader(2), b"ab", chunked=True) == b"2\r\nab\r\n0\r\n\r\n"
    assert onward(EndlessReader(), b"", chunked=True) == b""
    assert onward(ChunkedReader(), b"2\r\nab\r\n0\r\n\r\n", chunked=False) == b"ab"
    assert onward(ChunkedReader(), b"0\r\n\r\n", chunked=True) == b"0\r\n\r\n"
