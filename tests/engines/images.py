"""
Container images made on the spot: nothing can be pulled, and nothing needs to be.
"""

import io
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.engines.docker_engines import DockerEngine

#: A web server of 2 MB that answers on port 8080 within 0.3 s.
BUSYBOX_IMAGE = "plane-test-busybox:1"


@pytest.fixture(scope="session")
def busybox_image(docker_engine: DockerEngine) -> str:
    """The name of an image on `docker_engine`: busybox's httpd on 8080, whose page says `hello`; `sh` is in it too."""
    return import_busybox(docker_engine)


def import_busybox(engine: DockerEngine) -> str:
    """Import the busybox image into an engine, for instance the second one."""
    busybox = shutil.which("busybox")
    assert busybox, "busybox is missing; as root: apt-get install busybox-static"
    files = {"bin/busybox": Path(busybox).read_bytes(), "www/index.html": b"hello\n"}
    links = {f"bin/{name}": "busybox" for name in ("sh", "sleep", "cat", "echo", "httpd", "env", "kill", "nc")}
    command = ["/bin/httpd", "-f", "-p", "8080", "-h", "/www"]
    return import_image(engine, BUSYBOX_IMAGE, tarball(files, links), command=command, expose=8080)


def import_image(engine: DockerEngine, name: str, tree: bytes, *, command: Sequence[str], expose: int) -> str:
    """Import a tar archive as an image with a command and an exposed port."""
    repository, _, tag = name.partition(":")
    words = ", ".join(f'"{word}"' for word in command)
    engine.client.api.import_image_from_data(
        tree, repository=repository, tag=tag, changes=[f"CMD [{words}]", f"EXPOSE {expose}"]
    )
    return name


def tarball(files: Mapping[str, bytes], links: Mapping[str, str]) -> bytes:
    """Pack files (all executable) and symbolic links."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
        for name, target in links.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return packed.getvalue()
