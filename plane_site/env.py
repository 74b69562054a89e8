"""
What Django's settings take from the environment. `plane controller` puts its flags there before Django starts.

Operators' commands (`manage.py`, `python -m plane_site createsuperuser`) read the same variables.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from postgres.silence import SILENCE_LIMITS

DATABASE: Final = "PLANE_DB"
SECRET_KEY: Final = "PLANE_SECRET_KEY"  # noqa: S105 - the name of a variable
ALLOWED_HOSTS: Final = "PLANE_ALLOWED_HOSTS"
CONTROLLER_URL: Final = "PLANE_CONTROLLER_URL"
#: Set by the controller for itself: commands need one connection, and no pool that tries again behind their backs.
POOLED: Final = "PLANE_DB_POOLED"

#: What Django knows under its own names; the rest of an address are options of the connection.
_OWN_NAMES = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}


def read_variable(environ: Mapping[str, str], name: str) -> str:
    """Return a variable, or the content of the file that `<name>_FILE` names; empty when neither is set."""
    path = environ.get(f"{name}_FILE", "")
    return Path(path).read_text(encoding="utf-8").strip() if path else environ.get(name, "")


def read_list(environ: Mapping[str, str], name: str) -> list[str]:
    """Return a variable's values, which commas separate."""
    return [part.strip() for part in environ.get(name, "").split(",") if part.strip()]


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL; empty when it has none of them."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.scheme and parts.netloc else ""


def describe_database(dsn: str, *, pooled: bool) -> dict[str, Any]:
    """Return Django's description of the database at an address."""
    try:
        parts = conninfo_to_dict(dsn)
    except ProgrammingError:
        # Whoever uses the database will say so; settings must not fail for commands that do not.
        parts = {}
    described: dict[str, Any] = {ours: str(parts.pop(theirs, "")) for theirs, ours in _OWN_NAMES.items()}
    described["NAME"] = described["NAME"] or "plane"
    # Asked seldom enough to look first: after a crash of the database every kept connection is a broken one.
    described |= {"ENGINE": "django.db.backends.postgresql", "CONN_HEALTH_CHECKS": True}
    described["OPTIONS"] = {"connect_timeout": 5, **SILENCE_LIMITS, **parts}
    if pooled:
        # Under ASGI a kept connection per thread and request would run the database out of them.
        described["OPTIONS"]["pool"] = {"min_size": 0, "max_size": 4, "timeout": 5, "max_idle": 60}
    return described


def environment() -> Mapping[str, str]:
    """Return this process's environment."""
    return os.environ
