"""
The way in which pure modules say no.
"""

from __future__ import annotations

from proxyd.refusals import Refused


def test_a_refusal_says_why_and_how_to_put_it() -> None:
    """The reason for a log, the status for the sender."""
    refused = Refused(431, "head too long")
    assert (refused.status, refused.reason, str(refused)) == (431, "head too long", "head too long")
