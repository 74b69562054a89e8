"""The log lines of every part: JSON, with the event's fields, and without what a traceback's frames held."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from options import log_lines


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Give the test run its own logging back."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def stumble() -> None:
    """Fail with a token in a local variable."""
    token = "a-token-" + "that-opens-doors"
    raise RuntimeError(f"stumbled over something of {len(token)} characters")


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["file", "terminal"])
def test_a_traceback_shows_no_local_variables(stream: io.StringIO) -> None:
    """They may hold tokens; and the failure itself is there."""
    log_lines.send_to(stream).setLevel(logging.INFO)
    log = structlog.get_logger("tests.lines")
    try:
        stumble()
    except RuntimeError:
        log.exception("step_failed")
    assert "that-opens-doors" not in stream.getvalue()
    assert "stumbled over" in stream.getvalue()


def test_lines_are_json_whoever_writes_them() -> None:
    """Ours with their fields, those of libraries with their words; what is below the level is not written."""
    stream = io.StringIO()
    log_lines.send_to(stream).setLevel(logging.INFO)
    structlog.get_logger("tests.lines").info("backend_ready", backend="b1")
    structlog.get_logger("tests.lines").debug("left_out")
    logging.getLogger("some.library").warning("look at %s", "this")
    ours, theirs = (json.loads(line) for line in stream.getvalue().splitlines())
    assert ours.pop("timestamp").endswith("Z")
    assert ours == {"event": "backend_ready", "backend": "b1", "level": "info", "logger": "tests.lines"}
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("look at this", "warning", "some.library")
