"""
What a demo remembers from run to run beside its database: the admin's password, and the names of its nodes.

The drone's name matters: whatever a killed demo left running carries it, and only a drone of that name clears it away.
"""

import os
import secrets
from pathlib import Path
from random import Random

import msgspec

from protocol.codec import MalformedMessage, decode, encode
from protocol.names import Prefix, draw_name

_PASSWORD_BYTES = 12


class Keepsakes(msgspec.Struct, frozen=True):
    """What is kept."""

    password: str
    drone: str
    proxy: str

    def __repr__(self) -> str:
        return f"Keepsakes(password=…, drone={self.drone!r}, proxy={self.proxy!r})"


def recall(path: Path, dice: Random) -> Keepsakes:
    """Return what was kept in a file, or draw and keep it. Raises OSError."""
    try:
        return decode(path.read_bytes(), Keepsakes)
    except (FileNotFoundError, MalformedMessage):
        drawn = Keepsakes(
            secrets.token_urlsafe(_PASSWORD_BYTES), draw_name(Prefix.DRONE, dice), draw_name(Prefix.PROXY, dice)
        )
        draft = path.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(encode(drawn))
        draft.rename(path)
        return drawn
