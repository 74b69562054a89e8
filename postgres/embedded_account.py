"""
As whom the private server runs, and from where.

Postgres refuses to run as root. Started by root it runs as `nobody`, who often reaches neither the wheel's programs nor
the data directory (both may lie under /root). Such a server then runs from a copy below /var/lib, and the data
directory only remembers where its data are. Started by anybody else, nothing of this is needed.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

#: Where root keeps what `nobody` must reach.
SHELTER = Path("/var/lib/plane-embedded-postgres")
#: In a data directory: where its data really are.
POINTER = "moved-to"


@dataclass(frozen=True)
class ServerAccount:
    """A user that may run Postgres; None when that is simply us."""

    user: pwd.struct_passwd | None

    def command(self, *argv: str, end_with_us: bool = False) -> list[str]:
        """Prefix a command so that it runs as this account, and ends (fast shutdown) with the thread that starts it."""
        prefix = ["setpriv"]
        if self.user is not None:
            prefix += [f"--reuid={self.user.pw_uid}", f"--regid={self.user.pw_gid}", "--clear-groups"]
        if end_with_us:
            prefix += ["--pdeathsig", "INT"]
        return [*prefix, *argv] if len(prefix) > 1 else list(argv)

    def can(self, *argv: str) -> bool:
        """Tell whether this account succeeds with a command."""
        quiet = subprocess.DEVNULL
        return subprocess.run(self.command(*argv), stdout=quiet, stderr=quiet, cwd="/", check=False).returncode == 0

    def own(self, path: Path) -> None:
        """Give a directory to this account, and to nobody else."""
        path.chmod(0o700)
        if self.user is not None:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)


def choose_account(data: Path) -> ServerAccount:
    """Run as whoever owns the data already; else as ourselves, or as `nobody` when we are root."""
    if os.geteuid() != 0:
        return ServerAccount(None)
    owner = data.stat().st_uid if data.exists() else 0
    return ServerAccount(pwd.getpwuid(owner) if owner else pwd.getpwnam("nobody"))


def reachable_programs(account: ServerAccount, programs: Path) -> Path:
    """Return a directory of server programs that the account can run: the given one, or a copy of its installation."""
    # Asked of `test`, not by a try: setpriv itself may still enter where the program that it starts may not.
    if account.can("test", "-x", str(programs / "postgres")):
        return programs
    # Named for its content, so that all installations of one release share one copy.
    place = SHELTER / "programs" / _digest((programs / "postgres").read_bytes())
    package = programs.parent.parent
    if not place.exists():
        _open_shelter()
        place.parent.mkdir(mode=0o755, exist_ok=True)
        # The programs look for the wheel's libraries beside their package.
        _copy([programs.parent, package.with_name(f"{package.name}.libs")], base=package.parent, place=place)
    return place / programs.relative_to(package.parent)


def reachable_data(account: ServerAccount, data_dir: Path) -> Path:
    """Return where the data of `data_dir` are or shall be: inside it, or in the shelter with a pointer to it."""
    pointer = data_dir / POINTER
    if pointer.exists() and (moved := Path(pointer.read_text().strip())).exists():
        return moved
    inside = data_dir / "data"
    if inside.exists() or account.can("test", "-x", str(data_dir)):
        return inside
    _open_shelter()
    place = SHELTER / "data" / _digest(os.fsencode(data_dir.resolve()))
    place.parent.mkdir(mode=0o711, exist_ok=True)
    # Left by a data directory that somebody has deleted since: it shall start afresh.
    shutil.rmtree(place, ignore_errors=True)
    pointer.write_text(f"{place}\n")
    return place


def _open_shelter() -> None:
    SHELTER.mkdir(mode=0o711, parents=True, exist_ok=True)
    SHELTER.chmod(0o711)


def _copy(trees: Sequence[Path], *, base: Path, place: Path) -> None:
    """Copy trees with their paths below `base`, readable by all; complete or not at all."""
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=place.parent))
    try:
        for tree in filter(Path.exists, trees):
            without = shutil.ignore_patterns("include")
            shutil.copytree(tree, draft / tree.relative_to(base), symlinks=True, ignore=without)
        for path in [draft, *draft.rglob("*")]:
            if not path.is_symlink():
                runnable = path.is_dir() or path.stat().st_mode & 0o100
                path.chmod(0o755 if runnable else 0o644)
        draft.rename(place)
    except OSError:
        # Somebody else was faster, or the disk is full: the caller sees which.
        shutil.rmtree(draft, ignore_errors=True)
        if not place.exists():
            raise


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
