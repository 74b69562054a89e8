"""
Named SQL statements, kept in .sql files beside the services that use them.

A statement is written with named parameters, `%(name)s`, and is handed to the server with numbered ones, so that
nothing is parsed at the time of a request. This module runs nothing: see `postgres.pool`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_PARAMETER = re.compile(r"%\((\w+)\)s")
_COMMENT = re.compile(r"(^|\s)--[^\n]*")


@dataclass(frozen=True)
class Statement:
    """One statement: a name for logs and tests, and its SQL. Equal parameters are one parameter to the server."""

    name: str
    sql: str
    query: bytes = field(init=False, repr=False)  #: the SQL with `$1`, `$2`, …
    parameters: tuple[str, ...] = field(init=False, repr=False)  #: their names, in the order of their numbers

    def __post_init__(self) -> None:
        numbers: dict[str, int] = {}

        def number(match: re.Match[str]) -> str:
            return f"${numbers.setdefault(match[1], len(numbers) + 1)}"

        query = _PARAMETER.sub(number, _COMMENT.sub(r"\1", self.sql)).strip()
        object.__setattr__(self, "query", query.encode())
        object.__setattr__(self, "parameters", tuple(numbers))

    def arrange(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the values in the order of the numbered parameters. Too few or too many are our own mistake."""
        assert len(values) == len(self.parameters), f"{self.name} takes {self.parameters}, got {sorted(values)}"
        return [values[name] for name in self.parameters]


def load(anchor_file: str | Path, name: str) -> Statement:
    """Read `<name>.sql` from the folder of a module (`__file__`). Done once, when the module is imported."""
    return Statement(name, Path(anchor_file).with_name(f"{name}.sql").read_text(encoding="utf-8"))
