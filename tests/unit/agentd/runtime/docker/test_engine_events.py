"""What the engine's events say of our containers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.runtime.docker.engine_events import Destroyed, Died, event_filters, parse_event


def event(action: str = "die", **changes: Any) -> dict[str, Any]:
    attributes = {
        "dev.plane.backend": "true",
        "dev.plane.drone": "dr-one",
        "exitCode": "137",
        "name": "plane-be1",
        **changes,
    }
    return {"Type": "container", "Action": action, "Actor": {"ID": "c1", "Attributes": attributes}}


def test_the_end_of_a_process_and_of_a_container_are_understood() -> None:
    """The exit code comes as text."""
    assert parse_event(event(), "dr-one") == Died("c1", "be1", 137)
    assert parse_event(event("destroy"), "dr-one") == Destroyed("c1", "be1")


@pytest.mark.parametrize("code", ["", "x", None, "-1", 5])
def test_an_exit_code_that_is_none_is_unknown(code: Any) -> None:
    """The end counts all the same."""
    assert parse_event(event(exitCode=code), "dr-one") == Died("c1", "be1", None)


@pytest.mark.parametrize(
    "foreign",
    [
        event(**{"dev.plane.drone": "dr-two"}),
        event(**{"dev.plane.backend": "false"}),
        event(name="postgres"),
        event(name="plane-"),
        event("start"),
        {**event(), "Type": "network"},
        {"Type": "container", "Action": "die"},
        {},
    ],
)
def test_what_is_not_ours_or_no_end_is_nothing(foreign: dict[str, Any]) -> None:
    """Another drone's container least of all."""
    assert parse_event(foreign, "dr-one") is None


@given(st.dictionaries(st.sampled_from(["Type", "Action", "Actor"]), st.none() | st.just({}) | st.text()))
def test_odd_events_do_no_harm(raw: dict[str, Any]) -> None:
    """An engine may add kinds of events that we do not know."""
    if not isinstance(raw.get("Actor"), str):
        assert parse_event(raw, "dr-one") is None


def test_the_engine_is_asked_for_our_ends_only() -> None:
    """So that a busy machine does not keep the thread busy."""
    assert event_filters("dr-one") == {
        "type": ["container"],
        "event": ["die", "destroy"],
        "label": ["dev.plane.backend=true", "dev.plane.drone=dr-one"],
    }
