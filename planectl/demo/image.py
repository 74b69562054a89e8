"""
The demo's image as a list of files: the Python that runs here with its libraries, and the demo's application.

Nothing is pulled and no Dockerfile is needed: the files go into one tar, which an engine imports.
"""

import hashlib
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Final

import websockets

import planectl

_VERSION: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"
_LIBRARIES: Final = "usr/lib/plane-demo"
_APPLICATION: Final = "app"
#: What the application never imports, and what tests, draws windows or installs.
_LEFT_OUT: Final = {"ensurepip", "idlelib", "lib2to3", "test", "tests", "tkinter", "turtledemo"} | {
    "site-packages",
    "dist-packages",
}
_LEFT_OUT_LIBRARIES: Final = re.compile(r"_tkinter|_test|_ctypes_test|xx")
_LDD_LINE: Final = re.compile(r"\s+(?:(?P<name>\S+) => )?(?P<path>/\S+) \(0x")

#: How the engine is to run the image, in the words of a Dockerfile.
CHANGES: Final = (
    'CMD ["/usr/bin/python3", "-m", "planectl.demo.backend"]',
    "ENV PYTHONHOME=/usr",
    f"ENV PYTHONPATH=/{_APPLICATION}",
    "ENV PYTHONDONTWRITEBYTECODE=1",
    "ENV PYTHONUNBUFFERED=1",
    f"ENV LD_LIBRARY_PATH=/{_LIBRARIES}",
    f"WORKDIR /{_APPLICATION}",
    "USER 65534:65534",
    "EXPOSE 8080",
)

#: A name in the image, and the file on this machine.
Entry = tuple[str, Path]


def fingerprint() -> str:
    """Return what changes when an image built now would differ from one built before."""
    digest = hashlib.sha256(repr((sys.version, CHANGES)).encode())
    for name, path in sorted([*_standard_library(), *_application()]):
        facts = path.stat()
        digest.update(f"{name} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:32]


def write_image(archive: IO[bytes]) -> None:
    """Write the whole image as a tar."""
    with tarfile.open(fileobj=archive, mode="w", dereference=True) as tar:
        folder = tarfile.TarInfo("tmp")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(folder)
        for name, path in [*_interpreter(), *_standard_library(), *_application()]:
            tar.add(path, name, recursive=False, filter=_for_everybody)


def _for_everybody(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Owned by root and readable by the image's user, whoever owns the file here."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.mode & 0o100 else 0o644
    return entry


def _interpreter() -> Iterator[Entry]:
    program = Path(sys.executable).resolve()
    yield "usr/bin/python3", program
    extensions = [path for name, path in _standard_library() if name.endswith(".so")]
    found: dict[str, Path] = {}
    for name, path in _linked_libraries([program, *extensions]):
        # The loader is found by its own path, all others by their names.
        found[f"{_LIBRARIES}/{name}" if name else str(path).lstrip("/")] = path
    yield from found.items()


def _linked_libraries(programs: Iterable[Path]) -> Iterator[tuple[str | None, Path]]:
    done = subprocess.run(
        ["ldd", *map(str, programs)],  # noqa: S607 - part of every libc
        capture_output=True,
        text=True,
        check=False,
    )
    for line in done.stdout.splitlines():
        if match := _LDD_LINE.match(line):
            yield match["name"], Path(match["path"])


def _standard_library() -> Iterator[Entry]:
    root = Path(sysconfig.get_path("stdlib"))
    compiled = f".{sys.implementation.cache_tag}.pyc"
    for name, path in _walk(root):
        wanted = name.endswith((".py", compiled)) or (name.endswith(".so") and not _LEFT_OUT_LIBRARIES.match(path.name))
        if wanted:
            yield f"usr/{sys.platlibdir}/{_VERSION}/{name}", path


def _application() -> Iterator[Entry]:
    package = _folder_of(planectl.__file__)
    for name, path in _walk(package / "demo" / "backend"):
        if "__pycache__" not in name:
            yield f"{_APPLICATION}/planectl/demo/backend/{name}", path
    for name in ("__init__.py", "demo/__init__.py"):
        yield f"{_APPLICATION}/planectl/{name}", package / name
    for name, path in _walk(_folder_of(websockets.__file__)):
        if name.endswith(".py"):
            yield f"{_APPLICATION}/websockets/{name}", path


def _folder_of(module: str | None) -> Path:
    assert module is not None, "a package without files"
    return Path(module).parent


def _walk(root: Path) -> Iterator[Entry]:
    """Yield all files below a folder by their relative names, but for those in folders that are left out."""
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if name not in _LEFT_OUT)
        for file in sorted(files):
            path = Path(folder, file)
            # Debian links some files to places outside; a broken link is no file.
            if path.is_file():
                yield str(path.relative_to(root)), path
