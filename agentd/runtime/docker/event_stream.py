"""
The one thread that reads the engine's event stream, and connects again whenever it ends.

It understands nothing: events are handed to the loop as they come, and so is the news of each connection.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import structlog
from docker import APIClient
from docker.errors import DockerException
from docker.types import CancellableStream

from agentd.runtime.docker.engine import EngineError, describe
from daemonkit.backoff import Backoff

_log = structlog.get_logger(__name__)


class EventStream:
    """Reads events in a thread of its own. Both listeners are called in that thread."""

    def __init__(self, client: APIClient, filters: Mapping[str, list[str]], *, backoff: Backoff) -> None:
        self._client = client
        self._filters = filters
        self._backoff = backoff
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._stream: CancellableStream[Mapping[str, Any]] | None = None

    def start(self, connected: Callable[[], None], heard: Callable[[Mapping[str, Any]], None]) -> None:
        """Begin to read; `connected` is called each time the engine has taken the subscription."""
        threading.Thread(target=self._run, args=(connected, heard), name="docker-events", daemon=True).start()

    def stop(self) -> None:
        """End the thread; it may still be in the middle of one event."""
        with self._lock:
            self._stopping.set()
            if self._stream is not None:
                _close(self._stream)

    def _run(self, connected: Callable[[], None], heard: Callable[[Mapping[str, Any]], None]) -> None:
        while not self._stopping.is_set():
            reason = "the engine ended it"
            try:
                self._read(connected, heard)
            except EngineError as error:
                reason = describe(error)
            except Exception:  # noqa: BLE001 - whatever it is, it is logged, and nobody restarts this thread
                reason = "it could not be read"
                _log.exception("engine_event_failed", is_stopping=self._stopping.is_set())
            if not self._stopping.is_set():
                _log.warning("engine_event_stream_ended", reason=reason)
            self._stopping.wait(self._backoff.next_delay())

    def _read(self, connected: Callable[[], None], heard: Callable[[Mapping[str, Any]], None]) -> None:
        stream = self._client.events(filters=dict(self._filters), decode=True)
        with self._lock:
            if self._stopping.is_set():
                _close(stream)
                return
            self._stream = stream
        self._backoff.reset()
        try:
            connected()
            for event in stream:
                heard(event)
        finally:
            with self._lock:
                self._stream = None


def _close(stream: CancellableStream[Mapping[str, Any]]) -> None:
    # It may have ended by itself this moment, and over SSH it cannot be closed; the thread keeps nobody from ending.
    with suppress(AttributeError, OSError, DockerException):
        stream.close()
