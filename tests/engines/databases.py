"""
Real Postgres databases: one server for the session, a migrated template on it, a fresh copy for whoever asks.

Tests of the guarantees carry the mark `both_postgres` and run twice: on the embedded server and on Debian's.
"""

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper
from psycopg.conninfo import conninfo_to_dict

from postgres.embedded import EmbeddedPostgres

#: Where Debian keeps the programs of its PostgreSQL (15 in Debian 12); None where there is none.
DEBIAN_PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
#: Speed over safety, and room for several controllers' pools.
SETTINGS = {"fsync": "off", "synchronous_commit": "on", "full_page_writes": "off", "max_connections": "300"}
TEMPLATE = "plane_template"
ROOT = Path(__file__).parents[2]

_numbers = itertools.count(1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is marked `both_postgres` on both servers."""
    marked = metafunc.definition.get_closest_marker("both_postgres")
    if marked and "postgres_flavour" in metafunc.fixturenames:
        metafunc.parametrize("postgres_flavour", ["embedded", "debian"], indirect=True, scope="session")


@pytest.fixture(scope="session")
def postgres_flavour(request: pytest.FixtureRequest) -> str:
    """Which server: `embedded`, unless PLANE_TEST_POSTGRES or the mark `both_postgres` says `debian`."""
    return str(getattr(request, "param", os.environ.get("PLANE_TEST_POSTGRES", "embedded")))


@pytest.fixture(scope="session")
def postgres_server(postgres_flavour: str) -> Iterator[EmbeddedPostgres]:
    """The session's server: `dsn`, `kill()`, `restart()`; leave it running."""
    with serve(postgres_flavour) as server:
        yield server


@pytest.fixture
def own_postgres_server(postgres_flavour: str) -> Iterator[EmbeddedPostgres]:
    """A server for one test, with its template, that the test may kill and restart without harm to others."""
    with serve(postgres_flavour) as server:
        make_template(server)
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgres_server: EmbeddedPostgres) -> EmbeddedPostgres:
    """The session's server, with a migrated template on it."""
    make_template(postgres_server)
    return postgres_server


@pytest.fixture(scope="module")
def database(migrated_template: EmbeddedPostgres) -> Iterator[str]:
    """The address of a migrated, empty database for this module."""
    with copy_of_template(migrated_template) as dsn:
        yield dsn


@pytest.fixture
def fresh_database(migrated_template: EmbeddedPostgres) -> Iterator[str]:
    """The address of a migrated, empty database for this test alone (about 50 ms)."""
    with copy_of_template(migrated_template) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def django_db_setup(migrated_template: EmbeddedPostgres, django_db_blocker: Any) -> Iterator[None]:
    """Let `@pytest.mark.django_db` meet a copy of the template instead of a database that Django makes."""
    with copy_of_template(migrated_template) as dsn, django_db_blocker.unblock(), django_on(dsn):
        yield


@pytest.fixture
def django_on_database(database: str, django_db_blocker: Any) -> Iterator[str]:
    """Let the ORM meet this module's `database`, committing for real, beside other connections to it."""
    with django_db_blocker.unblock(), django_on(database):
        yield database


@contextmanager
def serve(flavour: str) -> Iterator[EmbeddedPostgres]:
    """Run a server in a scratch directory that it can reach whoever it runs as."""
    if flavour == "debian" and not DEBIAN_PROGRAMS:
        pytest.fail("Debian's PostgreSQL is not here; as root: apt-get install postgresql")
    programs = DEBIAN_PROGRAMS if flavour == "debian" else None
    scratch = Path(tempfile.mkdtemp(prefix="plane-test-pg-"))
    scratch.chmod(0o755)
    server = EmbeddedPostgres(programs=programs, settings=SETTINGS)
    try:
        server.start(scratch)
        yield server
    finally:
        server.stop()
        shutil.rmtree(scratch, ignore_errors=True)


def make_template(server: EmbeddedPostgres) -> None:
    """Make the migrated database that all others are copied from, the way an operator would."""
    _execute(server, f"create database {TEMPLATE}")
    environment = os.environ | {"PLANE_DB": dsn_of(server, TEMPLATE)}
    argv = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"migrate failed:\n{done.stdout}{done.stderr}"


@contextmanager
def copy_of_template(server: EmbeddedPostgres) -> Iterator[str]:
    """Copy the template for as long as it is needed."""
    name = f"plane_{next(_numbers)}"
    _execute(server, f"create database {name} template {TEMPLATE}")
    try:
        yield dsn_of(server, name)
    finally:
        if server.running:
            _execute(server, f"drop database {name} with (force)")


@contextmanager
def django_on(dsn: str) -> Iterator[None]:
    """Point Django's default connection somewhere for a while."""
    settings = connections["default"].settings_dict
    before = dict(settings)
    parts = conninfo_to_dict(dsn)
    _disconnect_django()
    settings.update(NAME=parts["dbname"], USER=parts["user"], HOST=parts["host"], PORT="", PASSWORD="")
    try:
        yield
    finally:
        _disconnect_django()
        settings.clear()
        settings.update(before)


def _disconnect_django() -> None:
    """Close Django's connections, and the pool that may hold some more."""
    connections.close_all()
    wrapper = connections["default"]
    if isinstance(wrapper, DatabaseWrapper):
        wrapper.close_pool()


def dsn_of(server: EmbeddedPostgres, name: str) -> str:
    """The address of another database on the same server."""
    return server.dsn.replace("/postgres?", f"/{name}?")


def _execute(server: EmbeddedPostgres, statement: str) -> None:
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute(statement.encode())
