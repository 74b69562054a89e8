"""How a demo finds out that its parts have found each other, and when it gives up."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from planectl.demo import readiness
from planectl.demo.readiness import DemoReadiness, NotReady, request_of
from planectl.demo.settings import DemoSettings
from protocol.codec import encode
from tests.unit.planectl.test_client import CONNECTED, events

SETTINGS = DemoSettings(Path("/d"), 8180, 9190)
FAILURE = {"id": "e", "kind": "NoDroneAvailable", "message": "none yet"}


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for real."""
    monkeypatch.setattr(readiness, "_INTERVAL", 0)
    monkeypatch.setattr(readiness, "_PART_LIMIT", 0.05)


class Surroundings:
    """Controller and proxy in one: lists of answers by path, of which the last one stays."""

    def __init__(self, **answers: list[httpx.Response | Exception]) -> None:
        self.answers = answers
        self.paths: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(request.url.path)
        word = "page" if request.url.path.startswith("/t/") else request.url.path.rpartition("/")[2].replace("-", "_")
        waiting = self.answers[word]
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(answer, Exception):
            raise answer
        # A response can be read once; tests give one for many requests.
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


def ready(surroundings: Callable[[httpx.Request], httpx.Response]) -> DemoReadiness:
    return DemoReadiness(SETTINGS, transport=httpx.MockTransport(surroundings))


def joined(*, spawned: bool = False) -> httpx.Response:
    """Return an answer to connect."""
    return httpx.Response(200, json={**CONNECTED, "spawned": spawned})


def listed(name: str, *, is_ready: bool) -> httpx.Response:
    """Return a cluster with one drone."""
    node: dict[str, Any] = {"name": {"Drone": name}, "plane_version": "1", "plane_hash": "h"}
    node |= {"controller": "co-1", "controller_heartbeat_age": 1}
    drone = {"ready": is_ready, "draining": False, "last_heartbeat_age": 1, "backend_count": 0, "node": node}
    return httpx.Response(200, json={"drones": [drone], "proxies": []})


async def test_each_part_is_asked_until_it_is_ready() -> None:
    """Refused, not yet, then yes."""
    refused = httpx.ConnectError("refused")
    ok = httpx.Response(200, json={"status": "ok", "version": "1", "hash": "h"})
    asked = ready(Surroundings(status=[refused, httpx.Response(500), ok]))
    await asked.controller()
    asked = ready(Surroundings(ready=[refused, httpx.Response(503), httpx.Response(200)]))
    await asked.proxy()
    states: list[httpx.Response | Exception] = [
        listed("dr-other", is_ready=True),
        listed("dr-a", is_ready=False),
        listed("dr-a", is_ready=True),
    ]
    surroundings = Surroundings(state=states)
    await ready(surroundings).drone("dr-a")
    assert len(surroundings.paths) == 3


async def test_a_part_that_stays_away_is_named() -> None:
    """With what was last heard of it."""
    with pytest.raises(NotReady, match=r"controller was not ready.*refused"):
        await ready(Surroundings(status=[httpx.ConnectError("refused")])).controller()


async def test_the_backend_is_asked_for_until_there_is_a_page() -> None:
    """No drone yet; a backend that a crash left on paper; a page that does not answer; then one that does."""
    surroundings = Surroundings(
        connect=[httpx.Response(500, json=FAILURE), joined()],
        status_stream=[events("scheduled", "terminated"), events("ready")],
        page=[httpx.Response(410), httpx.ReadError("cut"), httpx.Response(200)],
    )
    answer = await ready(surroundings).backend()
    assert answer.backend_id == "b1"
    assert surroundings.paths[-1] == "/t/"
    assert len([path for path in surroundings.paths if path == "/ctrl/connect"]) == 5


async def test_backends_that_keep_ending_are_not_tried_for_ever() -> None:
    """The next one would end in the same way."""
    surroundings = Surroundings(connect=[joined(spawned=True)], status_stream=[events("scheduled", "terminated")])
    with pytest.raises(NotReady, match="3 backends have ended"):
        await ready(surroundings).backend()


async def test_an_error_that_will_stay_is_told() -> None:
    """Not tried again."""
    failure = {"id": "e", "kind": "InvalidClusterName", "message": "odd"}
    with pytest.raises(NotReady, match="odd"):
        await ready(Surroundings(connect=[httpx.Response(400, json=failure)])).backend()


async def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """At some time the answer is no."""
    monkeypatch.setattr(readiness, "_BACKEND_LIMIT", 0.05)
    with pytest.raises(NotReady, match="No backend answered"):
        await ready(Surroundings(connect=[httpx.Response(500, json=FAILURE)])).backend()


def test_the_image_is_never_pulled() -> None:
    """It exists on this machine only, and its name may belong to a stranger elsewhere."""
    request = json.loads(encode(request_of(SETTINGS)))
    assert request["key"] == {"name": "demo"}
    assert request["spawn_config"]["executable"] == {"image": "plane-demo:latest", "pull_policy": "Never"}
    assert request["spawn_config"]["cluster"] == "localhost:9190"
