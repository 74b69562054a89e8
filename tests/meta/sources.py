"""
The project's own Python files, parsed. Lists them; judges nothing.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Folders in the root that hold Python but no package of the product.
NOT_PRODUCT = {"tests", "tools", "benchmarks", "docs", "deploy", "build"}


@dataclass(frozen=True)
class Source:
    """One module: where it is, its text, its syntax tree."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def dotted(self) -> str:
        """The name under which it is imported."""
        parts = self.path.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def size(self) -> int:
        return len(self.text.splitlines())


def parse(path: Path, text: str) -> Source:
    return Source(path, text, ast.parse(text))


def packages() -> list[str]:
    """Name the product's top-level packages."""
    found = (init.parent.name for init in ROOT.glob("*/__init__.py"))
    return sorted(name for name in found if name not in NOT_PRODUCT)


@cache
def product() -> list[Source]:
    """Parse every module of the product but migrations, which Django writes."""
    return [source for name in packages() for source in _below(ROOT / name) if "migrations" not in source.path.parts]


@cache
def tests() -> list[Source]:
    return list(_below(ROOT / "tests"))


def _below(folder: Path) -> Iterator[Source]:
    for path in sorted(folder.rglob("*.py")):
        yield parse(path.relative_to(ROOT), path.read_text())
