"""
Where the controller's log lines go: to standard error.

What libraries log by the standard module goes the same way, from warnings on. The daemons have their own, with Twisted.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

from options import log_lines


def configure(stream: TextIO = sys.stderr) -> None:
    """Set up all logging of this process; to be called once, by `__main__`."""
    log_lines.send_to(stream).setLevel(logging.WARNING)
    for ours in ("backends", "drones", "plane_site", "postgres"):
        logging.getLogger(ours).setLevel(logging.INFO)
    # Whoever answers an error has logged it under its id.
    logging.getLogger("django.request").setLevel(logging.ERROR)
    # The pool tells of each attempt to reach a database that is away; the heartbeat says once that it is.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
