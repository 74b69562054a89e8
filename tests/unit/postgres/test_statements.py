"""Tests of named statements."""

from __future__ import annotations

from pathlib import Path

import pytest

from postgres.statements import Statement, load


def test_names_become_numbers() -> None:
    """Each name has one number, however often it is used."""
    statement = Statement("s", "select %(b)s::text, %(a)s::int where %(b)s is null")
    assert statement.query == b"select $1::text, $2::int where $1 is null"
    assert statement.parameters == ("b", "a")


def test_values_are_arranged_by_number() -> None:
    statement = Statement("s", "select %(b)s, %(a)s")
    assert statement.arrange({"a": 1, "b": None}) == [None, 1]


@pytest.mark.parametrize("values", [{}, {"a": 1, "c": 2}, {"a": 1, "b": 2, "c": 3}])
def test_values_must_fit(values: dict[str, int]) -> None:
    with pytest.raises((AssertionError, KeyError)):
        Statement("s", "select %(a)s, %(b)s").arrange(values)


def test_comments_are_not_sent() -> None:
    """They may hold anything, a parameter's name too; operators that contain dashes stay."""
    statement = Statement("s", "-- why: %(x)s\nselect a -> 'b', 1 - 2 -- end\nfrom t")
    assert b"why" not in statement.query
    assert b"end" not in statement.query
    assert statement.parameters == ()
    assert b"a -> 'b', 1 - 2" in statement.query


def test_a_statement_stands_beside_its_module(tmp_path: Path) -> None:
    (tmp_path / "find.sql").write_text("select %(id)s", encoding="utf-8")
    assert load(tmp_path / "module.py", "find") == Statement("find", "select %(id)s")
