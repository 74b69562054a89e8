"""
Stacks for the end-to-end tests: one shared by the tests of a module, or one for a single test.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from postgres.embedded import EmbeddedPostgres
from tests.end_to_end.session_image import import_session_image
from tests.end_to_end.stack import Stack, Timings
from tests.engines.databases import copy_of_template
from tests.engines.docker_engines import DockerEngine

MakeStack = Callable[..., Stack]

#: Whatever runs now, so that a failing test can show what the programs said.
_stacks: list[Stack] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these tests meet the real parts."""
    for item in items:
        if "end_to_end" in str(item.path):
            item.add_marker(pytest.mark.docker)
            item.add_marker(pytest.mark.postgres)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Show the end of every program's log beside a failure."""
    report = yield
    if report.failed:
        for stack in _stacks:
            report.sections += [(f"log of {program.name}", program.words[-4000:]) for program in stack.programs]
    return report


@pytest.fixture(scope="session")
def session_engine(docker_engine: DockerEngine) -> Iterator[DockerEngine]:
    """An engine that holds the image of the test backend, as long as it is needed."""
    name = import_session_image(docker_engine)
    yield docker_engine
    docker_engine.client.images.remove(name, force=True)


@pytest.fixture(scope="session")
def stack(migrated_template: EmbeddedPostgres, session_engine: DockerEngine) -> Iterator[Stack]:
    """One controller, one drone and one proxy, shared by all tests that leave them in peace."""
    with ExitStack() as exits:
        stack = _make(exits, exits.enter_context(copy_of_template(migrated_template)), session_engine)
        stack.start()
        yield stack


@pytest.fixture
def make_stack(fresh_database: str, session_engine: DockerEngine) -> Iterator[MakeStack]:
    """Return a function that makes an empty stack for this test alone; keywords are timings."""
    with ExitStack() as exits:
        yield lambda timings=None, dsn=None: _make(exits, dsn or fresh_database, session_engine, timings)


def _make(exits: ExitStack, dsn: str, engine: DockerEngine, timings: Timings | None = None) -> Stack:
    # As root the folder must be readable by others: nothing in it is secret.
    scratch = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix=f"plane-e2e-{os.getpid()}-")))
    stack = Stack(dsn, scratch, engine, timings or Timings())
    _stacks.append(stack)
    exits.callback(_stacks.remove, stack)
    return exits.enter_context(stack.running())
