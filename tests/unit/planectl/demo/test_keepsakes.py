"""What a demo keeps, and that nobody else can read it."""

from pathlib import Path
from random import Random

import pytest

from planectl.demo.keepsakes import recall
from protocol.names import Prefix, check_name


def test_what_was_drawn_once_stays(tmp_path: Path) -> None:
    """The password is the same in the next run, and so are the nodes."""
    first = recall(tmp_path / "kept.json", Random(1))
    assert recall(tmp_path / "kept.json", Random(2)) == first
    assert len(first.password) >= 16
    assert check_name(first.drone, Prefix.DRONE)
    assert check_name(first.proxy, Prefix.PROXY)


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    """From the first moment on; and no repr shows it."""
    kept = recall(tmp_path / "kept.json", Random(1))
    assert (tmp_path / "kept.json").stat().st_mode & 0o777 == 0o600
    assert kept.password not in repr(kept)


def test_a_spoilt_file_is_written_anew(tmp_path: Path) -> None:
    """Half a file, or one of another version; a draft that a crash left is no obstacle."""
    (tmp_path / "kept.json").write_text('{"password": 3')
    (tmp_path / "kept.draft").write_text("half")
    kept = recall(tmp_path / "kept.json", Random(1))
    assert recall(tmp_path / "kept.json", Random(2)) == kept


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="none"):
        recall(tmp_path / "none" / "kept.json", Random(1))
