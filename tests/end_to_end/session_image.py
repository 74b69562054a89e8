"""
The image of the test backend: this very Python, copied, with its standard library and a small web server.

Nothing can be pulled, so whatever the interpreter needs is collected from this machine.
"""

from __future__ import annotations

import importlib.util
import io
import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.engines.docker_engines import DockerEngine

SESSION_IMAGE = "plane-test-session:1"
APP = Path(__file__).with_name("session_app") / "app.py"
PACKAGES = ("uvicorn", "h11", "click", "websockets")
#: Parts of the standard library that a server does not need.
_LEFT_OUT = {"site-packages", "dist-packages", "test", "idlelib", "tkinter", "lib2to3", "ensurepip", "turtledemo"}
_HOME = "opt/python"


def import_session_image(engine: DockerEngine) -> str:
    """Import the image into an engine and return its name."""
    repository, _, tag = SESSION_IMAGE.partition(":")
    changes = [
        f"ENV PYTHONHOME=/{_HOME} LD_LIBRARY_PATH=/{_HOME}/lib PYTHONDONTWRITEBYTECODE=1 FROM_IMAGE=yes",
        f'CMD ["/{_HOME}/bin/python", "/app.py"]',
        "EXPOSE 8080",
    ]
    engine.client.api.import_image_from_data(_tree(), repository=repository, tag=tag, changes=changes)
    return SESSION_IMAGE


def _tree() -> bytes:
    packed = io.BytesIO()
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    interpreter = Path(sys.executable).resolve()
    library = Path(sysconfig.get_path("stdlib"))
    packages = [_folder_of(name) for name in PACKAGES]
    with tarfile.open(fileobj=packed, mode="w", dereference=True) as archive:
        archive.add(interpreter, f"{_HOME}/bin/python")
        archive.add(library, f"{_HOME}/lib/{version}", filter=_wanted)
        for package in packages:
            archive.add(package, f"{_HOME}/lib/{version}/{package.name}", filter=_wanted)
        objects = [interpreter, *library.glob("lib-dynload/*.so"), *(so for p in packages for so in p.rglob("*.so"))]
        for name, path in _shared_libraries(objects):
            archive.add(path, name)
        archive.add(APP, "app.py")
        archive.addfile(_folder("tmp"))
    return packed.getvalue()


def _folder_of(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _folder(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
    return entry


def _wanted(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    path = Path(entry.name)
    if _LEFT_OUT & set(path.parts) or path.name.startswith("config-") or ".opt-" in path.name:
        return None
    return entry


def _shared_libraries(objects: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """Yield where each library that the objects are linked to belongs, and where it is now."""
    found: dict[str, Path] = {}
    for line in _ldd(objects).splitlines():
        if match := re.match(r"\s*(\S+) => (/\S+) \(", line):
            found[f"{_HOME}/lib/{match[1]}"] = Path(match[2])
        elif match := re.match(r"\s*/(\S+/ld-linux\S+) \(", line):
            found[match[1]] = Path("/", match[1])
    yield from found.items()


def _ldd(objects: Iterable[Path]) -> str:
    argv = ["ldd", *map(str, objects)]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout
