"""
Which Plane this is, for handshakes and `server` headers.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping

from protocol.channel import Version


def own_version(environ: Mapping[str, str]) -> Version:
    """Return the installed version, and the commit it was built from if the build left word of it."""
    try:
        version = importlib.metadata.version("plane")
    except importlib.metadata.PackageNotFoundError:
        version = "0.0.0"
    return Version(version, environ.get("PLANE_GIT_HASH") or "unknown")
