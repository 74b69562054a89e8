"""
The import rules catch what they are there for: a copy of the source with one planted import fails the rule in question.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.meta import sources
from tests.meta.sources import ROOT


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the product's Python files with the import rules."""
    place = tmp_path_factory.mktemp("copy")
    for package in sources.packages():
        shutil.copytree(ROOT / package, place / package, ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copy(ROOT / ".importlinter", place)
    return place


def broken_rules(place: Path) -> list[str]:
    """Name the import rules that a tree breaks."""
    argv = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-logo"]
    done = subprocess.run(argv, cwd=place, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(place)})
    assert "Contracts:" in done.stdout, f"the rules could not be checked:\n{done.stdout}{done.stderr}"
    return [line.partition(" BROKEN")[0] for line in done.stdout.splitlines() if " BROKEN" in line]


@pytest.mark.parametrize(
    ("module", "imported", "rule"),
    [
        ("daemonkit/backoff.py", "agentd", "Daemons, client and control plane are strangers to each other"),
        ("agentd/planted.py", "proxyd", "Daemons, client and control plane are strangers to each other"),
        ("daemonkit/backoff.py", "django.db", "No daemon and no client reaches Django or the database"),
        ("proxyd/planted.py", "postgres.pool", "No daemon and no client reaches Django or the database"),
        ("planectl/planted.py", "daemonkit.backoff", "The client needs no daemon's parts"),
        ("backends/models.py", "twisted.internet", "The control plane imports no daemon, and no Twisted"),
        ("plane_site/urls.py", "agentd", "The control plane imports no daemon, and no Twisted"),
        ("drones/models.py", "backends.models", "Control plane, daemons and client, above what they share"),
        ("drones/terms.py", "drones.models", "Every module of drones has a place"),
        ("drones/planted.py", "enum", "Every module of drones has a place"),
        ("backends/planted.py", "enum", "Every module of backends has a place"),
        ("proxyd/headers.py", "socket", "What decides does no I/O"),
        ("protocol/names.py", "time", "What decides does no I/O"),
        ("protocol/names.py", "options", "Control plane, daemons and client, above what they share"),
    ],
)
def test_a_planted_import(copy: Path, module: str, imported: str, rule: str) -> None:
    target = copy / module
    before = target.read_text() if target.exists() else None
    target.write_text(f"{before or ''}\nimport {imported}\n")
    try:
        assert any(broken.startswith(rule) for broken in broken_rules(copy))
    finally:
        if before is None:
            target.unlink()
        else:
            target.write_text(before)


def test_nothing_planted(copy: Path) -> None:
    assert broken_rules(copy) == []
