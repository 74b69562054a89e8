"""
Where the controller's log lines go: to standard error, as JSON unless a person is watching.

What libraries log by the standard module goes the same way, from warnings on. The daemons have their own, with Twisted.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog


def configure(stream: TextIO = sys.stderr) -> None:
    """Set up all logging of this process; to be called once, by `__main__`."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    output = logging.StreamHandler(stream)
    output.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(stream)],
        )
    )
    root = logging.getLogger()
    root.handlers = [output]
    root.setLevel(logging.WARNING)
    for ours in ("backends", "drones", "plane_site", "postgres"):
        logging.getLogger(ours).setLevel(logging.INFO)
    # Whoever answers an error has logged it under its id.
    logging.getLogger("django.request").setLevel(logging.ERROR)
    # The pool tells of each attempt to reach a database that is away; the heartbeat says once that it is.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


def _renderers(stream: TextIO) -> list[Any]:
    # Tracebacks never show local variables: they may hold tokens.
    if stream.isatty():
        return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [structlog.processors.ExceptionRenderer(tracebacks), structlog.processors.JSONRenderer()]
