"""Pull policies, and what is said when an image is not to be had."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
import requests
from docker import APIClient
from docker.errors import APIError, ImageNotFound

from agentd.runtime.docker.images import PullAbandoned, needs_pull, pull
from agentd.runtime.interface import PrepareFailed
from protocol.spawn import Executable, RegistryCredentials
from tests.unit.agentd.runtime.orders import IMAGE

SECRET = "hunter2"
PRIVATE = Executable(image=IMAGE, credentials=RegistryCredentials(username="me", password=SECRET))


class FakeEngine:
    """Has some images, and gives prepared progress for a pull."""

    def __init__(self, *images: str, progress: tuple[dict[str, Any], ...] = (), error: Exception | None = None) -> None:
        self.images = images
        self.progress = progress
        self.error = error
        self.asked: dict[str, Any] = {}

    def inspect_image(self, image: str) -> dict[str, str]:
        if image not in self.images:
            raise ImageNotFound("no such image")
        return {"Id": image}

    def pull(self, image: str, **options: Any) -> Iterator[dict[str, Any]]:
        self.asked = {"image": image, **options}
        if self.error is not None:
            raise self.error
        yield from self.progress


def client(engine: FakeEngine) -> APIClient:
    return cast("APIClient", engine)


@pytest.mark.parametrize(
    ("policy", "is_there", "pulls"),
    [
        (None, True, False),
        (None, False, True),
        ("IfNotPresent", True, False),
        ("IfNotPresent", False, True),
        ("Always", True, True),
        ("Always", False, True),
        ("Never", True, False),
    ],
)
def test_the_policy_decides(policy: Any, is_there: bool, pulls: bool) -> None:
    """IfNotPresent is the default."""
    engine = FakeEngine(*([IMAGE] if is_there else []))
    assert needs_pull(client(engine), Executable(image=IMAGE, pull_policy=policy)) is pulls


def test_an_image_that_may_not_be_pulled_and_is_not_there() -> None:
    """Is said to be just that."""
    with pytest.raises(PrepareFailed, match="is not on this machine, and may not be pulled"):
        needs_pull(client(FakeEngine()), Executable(image=IMAGE, pull_policy="Never"))


def test_credentials_go_to_the_engine() -> None:
    """And only with the request that has some."""
    engine = FakeEngine()
    pull(client(engine), PRIVATE, is_abandoned=lambda: False)
    assert engine.asked["auth_config"] == {"username": "me", "password": SECRET}
    pull(client(engine), Executable(image=IMAGE), is_abandoned=lambda: False)
    assert engine.asked["auth_config"] is None


@pytest.mark.parametrize(
    "engine",
    [
        FakeEngine(progress=({"status": "Pulling"}, {"error": f"denied: me:{SECRET} may not"})),
        FakeEngine(error=APIError("refused", explanation=f"unauthorized {SECRET}")),
        FakeEngine(error=requests.ConnectionError(f"cannot send {SECRET}")),
    ],
)
def test_a_failed_pull_tells_why_and_no_secret(engine: FakeEngine) -> None:
    """Also when the registry repeats what it was sent, and also in the exception's history."""
    with pytest.raises(PrepareFailed, match="could not be pulled") as caught:
        pull(client(engine), PRIVATE, is_abandoned=lambda: False)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_pull_nobody_waits_for_is_left() -> None:
    """At the next sign of life of the engine."""
    with pytest.raises(PullAbandoned):
        pull(client(FakeEngine(progress=({"status": "Pulling"},))), PRIVATE, is_abandoned=lambda: True)
