"""
Brings the database's tables up to date, one program at a time.
"""

from __future__ import annotations

import psycopg

from plane_site.checks import CONNECT_LIMIT, StartRefused, first_line, place_of

#: Any number that nothing else locks.
_LOCK = 7_263_001


def migrate_database(dsn: str) -> None:
    """
    Apply Django's migrations while no other program does; Django's settings must name the same database.

    Raises:
        StartRefused: the database does not answer.
    """
    place = place_of(dsn)
    try:
        with psycopg.connect(dsn, connect_timeout=CONNECT_LIMIT, autocommit=True) as connection:
            connection.execute("select pg_advisory_lock(%s)", [_LOCK])
            _apply()
    except psycopg.OperationalError as error:
        raise StartRefused(f"cannot use the database at {place}: {first_line(error)}") from error


def _apply() -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", interactive=False)
