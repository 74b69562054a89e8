"""
The tests' own databases: migrated, separate, on the server that was asked for, and known to Django.
"""

import psycopg
import pytest
from django.contrib.auth.models import User

from postgres.embedded import EmbeddedPostgres
from tests.engines.databases import DEBIAN_PROGRAMS, copy_of_template, dsn_of

pytestmark = pytest.mark.postgres


@pytest.mark.both_postgres
def test_each_flavour_is_the_server_it_says(postgres_flavour: str, database: str) -> None:
    with psycopg.connect(database) as connection:
        row = connection.execute("show server_version_num").fetchone()
        assert row is not None
        assert DEBIAN_PROGRAMS
        assert row[0].startswith({"embedded": "18", "debian": DEBIAN_PROGRAMS.parent.name}[postgres_flavour])


def test_a_fresh_database_is_migrated_and_empty(fresh_database: str) -> None:
    with psycopg.connect(fresh_database) as connection:
        row = connection.execute("select count(*) from auth_user").fetchone()
        assert row == (0,)


def test_the_orm_shares_the_modules_database(django_on_database: str) -> None:
    """What Django commits is there for plain connections."""
    User.objects.create_user("ada")
    with psycopg.connect(django_on_database) as connection:
        assert connection.execute("select username from auth_user").fetchone() == ("ada",)


@pytest.mark.django_db
def test_djangos_own_mark_works() -> None:
    assert not User.objects.exists()


def test_a_server_of_ones_own_may_crash(own_postgres_server: EmbeddedPostgres) -> None:
    with copy_of_template(own_postgres_server) as dsn:
        own_postgres_server.kill()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(dsn)
        assert own_postgres_server.restart() in dsn_of(own_postgres_server, "postgres")
        psycopg.connect(dsn).close()
