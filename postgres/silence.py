"""
For how long a connection waits for a server that is gone without a word: its machine lost power, or the network.

Without these the kernel would go on for a quarter of an hour, long after another server has taken over. Over the local
socket they mean nothing.
"""

from __future__ import annotations

from typing import Any, Final

#: Seconds; the last in milliseconds, and for what was sent and not yet taken, which keepalives do not look after.
SILENCE_LIMITS: Final[dict[str, Any]] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
