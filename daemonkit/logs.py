"""
Where a daemon's log lines go: to standard error.

What libraries log by the standard module or by Twisted's goes the same way, from warnings on.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO, cast

from twisted.logger import ILogObserver, STDLibLogObserver, globalLogBeginner

from options import log_lines


def configure(stream: TextIO = sys.stderr) -> None:
    """Set up all logging of this process; to be called once, by `__main__`."""
    log_lines.send_to(stream).setLevel(logging.INFO)
    for noisy in ("websockets", "twisted", "docker", "urllib3", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    globalLogBeginner.beginLoggingTo([cast(ILogObserver, STDLibLogObserver())], redirectStandardIO=False)
