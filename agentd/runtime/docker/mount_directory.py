"""
Makes the directory that is mounted into a container, walking down from the mount base one name at a time.

No symbolic link below the base is followed: a backend that was given a parent directory may have left one there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from agentd.runtime.docker.mount_path import MountRefused

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def ensure_directory(base: Path, parts: Sequence[str]) -> str:
    """
    Make what is missing of the way from the base down, and return the real path.

    Raises:
        MountRefused: something on the way is no directory of its own, or could not be made.
    """
    try:
        real_base = os.path.realpath(base, strict=True)
        descriptor = os.open(real_base, _OPEN_DIRECTORY)
    except OSError as error:
        raise MountRefused(f"the mount base cannot be used: {error.strerror}") from error
    try:
        for part in parts:
            descriptor = _descend(descriptor, part)
    except OSError as error:
        raise MountRefused(f"the mount cannot be used: {error.strerror}") from error
    finally:
        os.close(descriptor)
    return os.path.join(real_base, *parts)  # noqa: PTH118 - the parts are names already checked, pathlib would fold them


def _descend(parent: int, name: str) -> int:
    """Open (made first if need be) one directory below an open one, which is closed if that works."""
    with suppress(FileExistsError):
        os.mkdir(name, 0o755, dir_fd=parent)
    child = os.open(name, _OPEN_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    os.close(parent)
    return child
