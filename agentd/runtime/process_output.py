"""
What backend processes print, line by line into the agent's log at debug level.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

_log = structlog.get_logger(__name__)

_LONGEST_LINE: Final = 2000  # bytes; the rest becomes a line of its own


class OutputLog(asyncio.Protocol):
    """Reads one process's output, for as long as anybody holds the other end."""

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self._write(line)

    def eof_received(self) -> None:
        if self._rest:
            self._write(self._rest)

    def _write(self, line: bytes) -> None:
        for start in range(0, max(len(line), 1), _LONGEST_LINE):
            _log.debug(
                "backend_printed",
                backend=self._backend,
                line=line[start : start + _LONGEST_LINE].decode("utf-8", "replace"),
            )
