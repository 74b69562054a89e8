"""Tests of what the settings take from the environment."""

from __future__ import annotations

from pathlib import Path

from plane_site.env import describe_database, origin_of, read_list, read_variable
from postgres.silence import SILENCE_LIMITS


def test_a_database_as_django_describes_it() -> None:
    described = describe_database("postgres://u:p@db.example:5433/plane?sslmode=require", pooled=True)
    assert {name: described[name] for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT")} == {
        "NAME": "plane", "USER": "u", "PASSWORD": "p", "HOST": "db.example", "PORT": "5433",
    }  # fmt: skip
    assert described["OPTIONS"]["sslmode"] == "require"
    assert described["OPTIONS"]["pool"]["min_size"] == 0
    assert "pool" not in describe_database("postgres:///plane", pooled=False)["OPTIONS"]


def test_django_waits_for_no_database_that_is_gone() -> None:
    """Its connections are few; an address may ask for more patience."""
    options = describe_database("postgres://db.example/plane?connect_timeout=30", pooled=True)["OPTIONS"]
    assert options["connect_timeout"] == "30"
    assert options.items() >= SILENCE_LIMITS.items()


def test_no_address_and_a_bad_one_are_for_others_to_complain_of() -> None:
    assert describe_database("", pooled=False)["NAME"] == "plane"
    assert describe_database("postgres://[", pooled=False)["NAME"] == "plane"


def test_a_secret_may_be_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("from-file\n", encoding="utf-8")
    assert read_variable({"X": "plain"}, "X") == "plain"
    assert read_variable({"X_FILE": str(path)}, "X") == "from-file"
    assert read_variable({}, "X") == ""


def test_a_list_has_commas() -> None:
    assert read_list({"X": " a, b ,,c"}, "X") == ["a", "b", "c"]
    assert read_list({}, "X") == []


def test_the_origin_of_a_url() -> None:
    assert origin_of("https://token@plane.example:8443/path") == "https://plane.example:8443"
    assert origin_of("") == origin_of("plane.example") == ""
