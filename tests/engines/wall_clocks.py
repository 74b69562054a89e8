"""
A wrong wall clock for one program, through libfaketime. Steady clocks go on as they are.
"""

from pathlib import Path

import pytest


class WallClock:
    """What one program takes for the time of day: start it with `environment`, then `jump` as often as you like."""

    def __init__(self, library: Path, file: Path) -> None:
        self._file = file
        self.environment = {
            "LD_PRELOAD": str(library),
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
        }
        self.jump(0)

    def jump(self, hours: float) -> None:
        """Put the clock so many hours off the true time, forward or back."""
        draft = self._file.with_suffix(".draft")
        draft.write_text(f"{hours * 3600:+.0f}\n")
        draft.replace(self._file)


@pytest.fixture
def wall_clock(tmp_path: Path) -> WallClock:
    """A wall clock of one's own for a program that the test starts."""
    for library in sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")):
        return WallClock(library, tmp_path / "wall-clock")
    pytest.fail("libfaketime is not here; as root: apt-get install libfaketime")
