"""What the demo's image is made of."""

import io
import tarfile

import pytest

from planectl.demo.image import _for_everybody, fingerprint, write_image


@pytest.fixture(scope="module")
def archive() -> tarfile.TarFile:
    """The whole image, as a tar in memory."""
    written = io.BytesIO()
    write_image(written)
    written.seek(0)
    return tarfile.open(fileobj=written)


def test_it_holds_a_python_and_the_application(archive: tarfile.TarFile) -> None:
    """The interpreter, its loader and libraries, asyncio, websockets, the page."""
    names = set(archive.getnames())
    assert {"usr/bin/python3", "app/planectl/demo/backend/__main__.py"} <= names
    assert {"app/planectl/demo/backend/static/page.html", "app/websockets/__init__.py"} <= names
    assert any(name.endswith("/asyncio/__init__.py") for name in names)
    assert any("libc.so" in name or "libc.musl" in name for name in names)
    assert any(name.startswith("lib") and "/ld-" in name for name in names)


def test_it_holds_nothing_else_of_ours(archive: tarfile.TarFile) -> None:
    """No client, no configuration, no other package of this machine."""
    packages = {name.split("/")[1] for name in archive.getnames() if name.startswith("app/")}
    assert packages == {"planectl", "websockets"}
    modules = {name for name in archive.getnames() if name.startswith("app/planectl/")}
    assert not any("admin" in name or "client" in name for name in modules)
    assert not any("site-packages/" in name for name in archive.getnames())


def test_everybody_may_read_it(archive: tarfile.TarFile) -> None:
    """It runs as a user without a name, wherever its files came from; and is no file's owner."""
    for entry in archive:
        assert entry.uid == 0
        assert entry.mode & 0o444 == 0o444
        assert entry.isdir() or entry.isfile(), entry.name


@pytest.mark.parametrize(("here", "there"), [(0o600, 0o644), (0o700, 0o755), (0o640, 0o644), (0o4755, 0o755)])
def test_a_strict_umask_does_not_lock_anybody_out(here: int, there: int) -> None:
    """And no file keeps a special permission."""
    entry = tarfile.TarInfo("x")
    entry.mode, entry.uid = here, 1000
    assert (_for_everybody(entry).mode, entry.uid) == (there, 0)


def test_the_fingerprint_is_steady() -> None:
    """Else the image would be built at every start."""
    assert fingerprint() == fingerprint()
