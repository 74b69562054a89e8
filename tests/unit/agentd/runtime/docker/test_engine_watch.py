"""Which ends are told, and which are held back while a start is on its way."""

from __future__ import annotations

from typing import Any, cast

import pytest

from agentd.runtime.docker.engine import Engine
from agentd.runtime.docker.engine_watch import EngineWatch
from agentd.runtime.docker.event_stream import EventStream


class Told:
    """A watch without an engine, and what it told."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, int | None]] = []
        self.watch = EngineWatch(cast("Engine", None), cast("EventStream", None), drone="dr-one")
        self.watch._listener = lambda backend, code: self.ends.append((backend, code))

    def hears(self, action: str, code: str = "3") -> None:
        attributes = {
            "name": "plane-be1",
            "exitCode": code,
            "dev.plane.backend": "true",
            "dev.plane.drone": "dr-one",
        }
        raw: dict[str, Any] = {"Type": "container", "Action": action, "Actor": {"ID": "c1", "Attributes": attributes}}
        self.watch._heard(raw)


@pytest.fixture
def told() -> Told:
    return Told()


def test_an_end_heard_before_the_start_returns_is_told_when_it_does(told: Told) -> None:
    """The event may be faster than the answer to the call; whoever started it must hear of the end afterwards."""
    told.watch.start_begun("be1")
    told.hears("die")
    assert told.ends == []
    told.watch.start_done("be1", "c1")
    assert told.ends == [("be1", 3)]
    told.hears("destroy")
    assert told.ends == [("be1", 3)]


@pytest.mark.parametrize("is_early", [True, False])
def test_the_end_of_a_start_that_failed_is_not_told(told: Told, is_early: bool) -> None:
    """Its container is killed by the clean-up; there was no life to end, whenever the event comes."""
    told.watch.start_begun("be1")
    if is_early:
        told.hears("die")
    told.watch.start_failed("be1", "c1")
    if not is_early:
        told.hears("die")
    told.hears("destroy")
    assert told.ends == []


def test_another_start_of_the_same_backend_is_a_new_story(told: Told) -> None:
    """What was held back of the one that failed is gone."""
    told.watch.start_begun("be1")
    told.hears("die")
    told.watch.start_failed("be1", None)
    told.watch.start_begun("be1")
    told.watch.start_done("be1", "c1")
    assert told.ends == []
    told.hears("die", "4")
    told.hears("die", "4")
    assert told.ends == [("be1", 4)]


def test_a_container_removed_by_somebody_is_an_end_without_code(told: Told) -> None:
    """If no end of its process was heard."""
    told.watch.start_begun("be1")
    told.watch.start_done("be1", "c1")
    told.hears("destroy")
    assert told.ends == [("be1", None)]
