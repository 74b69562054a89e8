"""
What a controller takes from a proxy, and what not.
"""

from __future__ import annotations

import pytest

from protocol.codec import InvalidMessage, decode
from protocol.proxy_messages import CertManagerCommand, FromProxy, SetTxtRecord


@pytest.mark.parametrize("word", ["CertLeaseRequest", "ReleaseCertLease", "GetCertificate"])
def test_certificate_requests_without_content_are_bare_words(word: str) -> None:
    """A unit variant is its name."""
    assert decode(f'{{"CertManagerRequest":"{word}"}}', FromProxy).variant == word


def test_a_certificate_request_with_content_is_tagged() -> None:
    """Both forms stand in one field."""
    message = decode('{"CertManagerRequest":{"SetTxtRecord":{"txt_value":"a"}}}', FromProxy)
    assert message.variant == CertManagerCommand(set_txt_record=SetTxtRecord("a"))


@pytest.mark.parametrize(
    "frame",
    [
        '{"KeepAlive":null}',
        '{"KeepAlive":"a\\u0000"}',
        '{"CertManagerRequest":"Please"}',
        '{"CertManagerRequest":{}}',
        '{"RouteInfoRequest":{"token":"a\\u0000"}}',
        '{"InUse":{"backends":[{"backend":"a","connections":-1,"for_ms":0}]}}',
    ],
)
def test_what_means_nothing_does_not_parse(frame: str) -> None:
    """It is logged and skipped."""
    with pytest.raises(InvalidMessage):
        decode(frame, FromProxy)
