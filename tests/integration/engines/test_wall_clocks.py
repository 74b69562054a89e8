"""
A program's wall clock can be put wrong while it runs, and its steady clock does not notice.
"""

import os
import subprocess
import sys

from tests.engines.wall_clocks import WallClock

TELL = "import sys, time\nfor line in sys.stdin: print(time.time(), time.monotonic(), flush=True)"


def test_a_jump_of_hours(wall_clock: WallClock) -> None:
    """Three hours on, and two back from the truth: only the wall clock shows it."""
    argv = [sys.executable, "-c", TELL]
    environment = os.environ | wall_clock.environment
    with subprocess.Popen(
        argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as program:
        assert program.stdin
        assert program.stdout
        readings = []
        for hours in (0, 3, -2):
            wall_clock.jump(hours)
            program.stdin.write("now\n")
            readings.append([float(word) for word in program.stdout.readline().split()])
    (wall, steady), (ahead, later), (behind, last) = readings
    assert round((ahead - wall) / 3600) == 3
    assert round((behind - wall) / 3600) == -2
    assert steady <= later <= last < steady + 60
