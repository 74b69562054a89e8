"""
What must be right before a controller starts: each wrong thing is a sentence for the operator, not a traceback.
"""

from __future__ import annotations

import ipaddress
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

#: Seconds to wait for the database at the start.
CONNECT_LIMIT: Final = 5
LOOPBACK_NAMES: Final = frozenset({"localhost", "ip6-localhost"})

_SECRET_KEY = "select secret_key from drones_installation where id = 1"  # noqa: S105 - a statement
_APPLIED = "select app, name from django_migrations"


class StartRefused(Exception):
    """The controller cannot start; the message says why and what to do."""


def read_secret_key(dsn: str) -> str:
    """
    Return the secret key that the database keeps.

    Raises:
        StartRefused: no such database, no answer, or one that was not migrated.
    """
    try:
        with psycopg.connect(dsn, connect_timeout=CONNECT_LIMIT, autocommit=True) as connection:
            row = connection.execute(_SECRET_KEY).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        raise StartRefused(f"the database at {place_of(dsn)} has no tables yet: run `plane migrate` first") from error
    except psycopg.Error as error:
        raise StartRefused(f"cannot use the database at {place_of(dsn)}: {first_line(error)}") from error
    if row is None:
        raise StartRefused(f"the database at {place_of(dsn)} has no identity: run `plane migrate` first")
    return str(row[0])


def demand_migrated(dsn: str, expected: frozenset[tuple[str, str]]) -> None:
    """Raise StartRefused unless all these migrations (app and name) were applied."""
    try:
        with psycopg.connect(dsn, connect_timeout=CONNECT_LIMIT, autocommit=True) as connection:
            applied = {(str(app), str(name)) for app, name in connection.execute(_APPLIED).fetchall()}
    except psycopg.Error as error:
        raise StartRefused(f"cannot use the database at {place_of(dsn)}: {first_line(error)}") from error
    if missing := sorted(expected - applied):
        names = ", ".join(f"{app} {name}" for app, name in missing)
        raise StartRefused(f"the database's tables are out of date ({names}): run `plane migrate` first")


def demand_private_address(host: str, *, is_sure: bool) -> None:
    """
    Refuse to serve control routes without authentication where others could reach them.

    Raises:
        StartRefused: not a loopback address, and nobody said `--i-know`.
    """
    if is_sure or host in LOOPBACK_NAMES:
        return
    try:
        private = ipaddress.ip_address(host).is_loopback
    except ValueError:
        private = False
    if not private:
        raise StartRefused(
            f"whoever reaches {host} could run anything here, because this controller asks nobody for a key. "
            "Listen on a loopback address (--host 127.0.0.1) behind a proxy that does ask, "
            "or say --i-know if only those you trust can reach it"
        )


def place_of(dsn: str) -> str:
    """Return where a database is, without its password."""
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as error:
        raise StartRefused("the address of the database is malformed: expected postgres://…") from error
    host, port = parts.get("host") or "the local socket", parts.get("port")
    return f"{host}{f':{port}' if port else ''}/{parts.get('dbname') or ''}"


def first_line(error: psycopg.Error) -> str:
    """Return the first line of what the database or its driver said."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
