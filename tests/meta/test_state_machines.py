"""
The drawings of state machines are as their tables say.
"""

from __future__ import annotations

import subprocess
import sys

from tests.meta.sources import ROOT


def test_the_drawings_are_as_the_tables_say() -> None:
    """Whoever changes a table draws it again: `.venv/bin/python tools/draw_state_machines.py`."""
    argv = [sys.executable, "tools/draw_state_machines.py", "--check"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
