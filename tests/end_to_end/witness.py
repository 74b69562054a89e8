"""
What the engine saw: when each container began and ended, from its own event stream.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.engines.docker_engines import DockerEngine


@dataclass
class Witness:
    """Records container starts and ends; times are the engine's, in seconds since the epoch."""

    began: dict[str, list[float]] = field(default_factory=dict)
    ended: dict[str, list[float]] = field(default_factory=dict)

    def saw(self, event: dict[str, Any]) -> None:
        """Take one event."""
        name = event["Actor"]["Attributes"].get("name", "")
        book = {"start": self.began, "die": self.ended}.get(event["Action"])
        if book is not None:
            book.setdefault(name, []).append(event["timeNano"] / 1e9)

    def lives(self, backend: str) -> tuple[float, float]:
        """Return when the container of a backend began and ended: once, each."""
        name = f"plane-{backend}"
        assert len(self.began.get(name, [])) == 1, f"{name} began {self.began.get(name)}"
        assert len(self.ended.get(name, [])) == 1, f"{name} ended {self.ended.get(name)}"
        return self.began[name][0], self.ended[name][0]


@contextlib.contextmanager
def watching(engine: DockerEngine) -> Iterator[Witness]:
    """Listen to an engine's container events."""
    witness = Witness()
    stream = engine.client.events(decode=True, filters={"type": "container", "label": "dev.plane.backend=true"})

    def listen() -> None:
        with contextlib.suppress(Exception):  # the stream is closed under our feet, in many ways
            for event in stream:
                witness.saw(event)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield witness
    finally:
        stream.close()
        thread.join(5)
