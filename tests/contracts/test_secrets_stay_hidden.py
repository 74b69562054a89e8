"""
No repr shows what must not be read by others: reprs end up in logs and tracebacks.
"""

from __future__ import annotations

from typing import Any

import pytest

from protocol.codec import decode
from tests.contracts.wire_files import golden_files, kind_of, label, walk

#: What the golden files use as tokens, secrets, passwords and keys.
SECRETS = (
    "BZ2nJ0cEmQGhfKqXl6tyVw8rLd1aSu3ovPi5Hj7Ne9k",
    "w1Yk4uCxRb0Ts8ZpIeDqoLm2Vn5HjF7aGg6XtQ9rK3U",
    "hunter2",
    "grüße",
    "BEGIN CERTIFICATE",
    "any': 'object",
)
#: Published in DNS for all to see, so no secret: its golden file uses the second value as one of two.
PUBLIC = {"to_dns/ext-TxtRecordResponse-values"}

FILES = [path for path in golden_files() if label(path) not in PUBLIC]


@pytest.mark.parametrize("path", FILES, ids=label)
def test_no_repr_shows_a_token_or_secret(path: Any) -> None:
    """Neither that of a message nor that of anything within it."""
    text = path.read_text()
    for item in walk(decode(text, kind_of(path))):
        if type(item).__module__.startswith("protocol."):
            shown = [secret for secret in SECRETS if secret in repr(item)]
            assert not shown, repr(item)


def test_the_golden_files_hold_each_of_these_secrets() -> None:
    """Otherwise the test above would look for nothing."""
    texts = "".join(path.read_text() for path in FILES)
    assert [secret for secret in SECRETS[:5] if secret not in texts] == []
    assert '"any":"object"' in texts
