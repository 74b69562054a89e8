"""
No daemon and no client loads the control plane, its frameworks or its database driver, not even when everything of
theirs is imported. import-linter reads the source; this looks at what really happens.
"""

import subprocess
import sys

import pytest

from tests.meta.sources import ROOT, packages

STRANGERS = {
    "django",
    "rest_framework",
    "channels",
    "daphne",
    "psycopg",
    "psycopg_pool",
    "backends",
    "drones",
    "plane_site",
}
#: Imports every module of a package, runs its program with --help if it has one, and tells what is loaded.
PROBE = """
import contextlib, importlib, io, pkgutil, runpy, sys
package = importlib.import_module(sys.argv.pop())
names = [found.name for found in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
if package.__name__ + ".__main__" in names:
    sys.argv = [package.__name__, "--help"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        runpy.run_module(package.__name__, run_name="__main__")
print(*{name.partition(".")[0] for name in sys.modules})
"""


def loaded_by(package: str) -> set[str]:
    """Tell the top-level modules that a fresh interpreter has loaded after everything in a package."""
    argv = [sys.executable, "-c", PROBE, package]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("package", ["protocol", "options", "daemonkit", "agentd", "proxyd", "planectl"])
def test_daemons_and_client_do_without_the_control_plane(package: str) -> None:
    assert not loaded_by(package) & STRANGERS


def test_the_client_does_without_the_daemons() -> None:
    assert not loaded_by("planectl") & {"twisted", "daemonkit", "agentd", "proxyd"}


def test_a_stranger_would_be_seen() -> None:
    """Planted: the control plane's own package does load them."""
    assert "psycopg" in loaded_by("postgres")
    assert "postgres" in packages()
