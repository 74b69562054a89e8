"""
Frames that wait to be sent on one connection: bounded in number and bytes. Pure; knows no socket.

Who fills it never waits. When it is full the connection is of no use any more; droppable frames go first.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class OutboxLimits:
    """How much may wait, and how much of it is handed to the writer at once."""

    frames: int = 4096
    bytes: int = 32 * 1024 * 1024
    batch_frames: int = 256
    batch_bytes: int = 256 * 1024


class Outbox:
    """A queue of encoded messages."""

    def __init__(self, limits: OutboxLimits) -> None:
        self._limits = limits
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self.dropped = 0  #: droppable frames that found the queue half full

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frame: bytes) -> bool:
        """Append a frame; False when there is no room for it."""
        if not self._fits(frame, 1.0):
            return False
        self._frames.append(frame)
        self._bytes += len(frame)
        return True

    def put_droppable(self, frame: bytes) -> bool:
        """Append a frame if half of the queue is free, else count it as dropped and return False."""
        if not self._fits(frame, 0.5):
            self.dropped += 1
            return False
        return self.put(frame)

    def take(self) -> list[bytes]:
        """Remove and return the oldest frames, at least one if there is any, as many as make one batch."""
        taken: list[bytes] = []
        size = 0
        while self._frames and len(taken) < self._limits.batch_frames:
            size += len(self._frames[0])
            if taken and size > self._limits.batch_bytes:
                break
            taken.append(self._frames.popleft())
        self._bytes -= sum(map(len, taken))
        return taken

    def clear(self) -> None:
        """Forget everything that waits."""
        self._frames.clear()
        self._bytes = 0

    def _fits(self, frame: bytes, share: float) -> bool:
        limits = self._limits
        return len(self._frames) < limits.frames * share and self._bytes + len(frame) <= limits.bytes * share


def join_batch(frames: list[bytes]) -> bytes:
    """Return one frame that carries all of these, in order (**ext** batch)."""
    return b'{"Batch":[' + b",".join(frames) + b"]}"
