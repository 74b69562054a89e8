"""`plane admin`: flags to requests, answers to lines, failures to sentences and exit statuses."""

import json
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from planectl import admin
from planectl.client import Client
from tests.unit.planectl.test_client import CONNECTED, events

NULL = httpx.Response(200, content=b"null")


class Controller:
    """Answers by path, and remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answers: dict[str, httpx.Response] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answers[request.url.path]

    @property
    def last_body(self) -> Any:
        return json.loads(self.requests[0].content)


@pytest.fixture
def controller(monkeypatch: pytest.MonkeyPatch) -> Controller:
    """A controller in memory, to which every client of the command line leads."""
    made = Controller()
    monkeypatch.setattr(admin, "Client", lambda address: Client(address, transport=httpx.MockTransport(made)))
    return made


def run(*words: str) -> Result:
    return CliRunner(env={"PLANE_CONTROLLER": "http://tok@c:1"}).invoke(admin.admin, words)


def test_connect_sends_what_was_asked_for_and_nothing_else(controller: Controller) -> None:
    """Flags that are not given are not in the request."""
    controller.answers["/ctrl/connect"] = httpx.Response(200, json=CONNECTED)
    result = run("connect", "--image", "i:1", "--immediate")
    assert result.exit_code == 0, result.output
    assert controller.last_body == {"spawn_config": {"executable": {"image": "i:1"}, "max_idle_seconds": 500}}


def test_connect_with_every_flag(controller: Controller) -> None:
    """Each in its place."""
    controller.answers["/ctrl/connect"] = httpx.Response(200, json=CONNECTED)
    flags = ["--cluster=c:9", "--image=i", "--key=k", "--max-idle-seconds=7", "--id=b9", "--static-token"]
    result = run("connect", *flags, "--pool=p", "--mount=a/b", "--subdomain=s", "--immediate")
    assert result.exit_code == 0, result.output
    assert controller.last_body == {
        "key": {"name": "k"},
        "spawn_config": {
            "id": "b9",
            "cluster": "c:9",
            "pool": "p",
            "executable": {"image": "i", "mount": "a/b"},
            "max_idle_seconds": 7,
            "use_static_token": True,
            "subdomain": "s",
        },
    }


@pytest.mark.parametrize(("word", "mount"), [("true", True), ("false", False)])
def test_a_mount_may_be_a_truth_value(controller: Controller, word: str, mount: bool) -> None:
    """As on the wire: true is the key's name."""
    controller.answers["/ctrl/connect"] = httpx.Response(200, json=CONNECTED)
    run("connect", "--image=i", f"--mount={word}", "--immediate")
    assert controller.last_body["spawn_config"]["executable"]["mount"] is mount


def test_connect_follows_until_ready(controller: Controller) -> None:
    """And no further."""
    controller.answers["/ctrl/connect"] = httpx.Response(200, json=CONNECTED)
    controller.answers["/pub/b/b1/status-stream"] = events("scheduled", "ready", "terminated")
    result = run("connect", "--image=i")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Backend: b1")
    assert lines[1:3] == ["URL: http://c/t/", "Status URL: http://c/pub/b/b1/status"]
    assert [line.split()[-1] for line in lines[3:]] == ["scheduled", "ready"]


def test_connect_fails_if_the_backend_does(controller: Controller) -> None:
    """A script must be able to tell."""
    controller.answers["/ctrl/connect"] = httpx.Response(200, json=CONNECTED)
    controller.answers["/pub/b/b1/status-stream"] = events("scheduled", "terminated")
    result = run("connect", "--image=i")
    assert result.exit_code == 1
    assert "never ready" in result.stderr


def test_terminate_waits_for_the_end(controller: Controller) -> None:
    """Softly, unless asked for more."""
    controller.answers["/ctrl/b/b1/soft-terminate"] = NULL
    controller.answers["/pub/b/b1/status-stream"] = events("ready", "terminating", "terminated")
    result = run("terminate", "b1")
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 3


def test_terminate_hard_without_waiting(controller: Controller) -> None:
    """One request, one line."""
    controller.answers["/ctrl/b/b1/hard-terminate"] = NULL
    result = run("terminate", "b1", "--hard", "--immediate")
    assert result.stdout == "b1 will end.\n"
    assert len(controller.requests) == 1


def test_the_questions(controller: Controller) -> None:
    """Controller, cluster and backend."""
    controller.answers["/ctrl/status"] = httpx.Response(200, json={"status": "ok", "version": "1", "hash": "h"})
    controller.answers["/ctrl/c/c:9/state"] = httpx.Response(200, json={"drones": [], "proxies": []})
    controller.answers["/pub/b/b1/status-stream"] = events("scheduled", "terminated")
    assert run("status").stdout == "ok: Plane 1 (h)\n"
    assert run("cluster-state", "c:9").stdout == "Nothing is connected for c:9.\n"
    assert run("backend-status", "b1").stdout.splitlines()[-1].endswith("terminated")


def test_json_is_one_object_a_line(controller: Controller) -> None:
    """As the controller said it, so that a script needs no other tool than a JSON reader."""
    controller.answers["/ctrl/connect"] = httpx.Response(200, json=CONNECTED)
    controller.answers["/pub/b/b1/status-stream"] = events("scheduled", "ready")
    result = run("connect", "--image=i", "--format=json")
    first, *rest = [json.loads(line) for line in result.stdout.splitlines()]
    assert first == CONNECTED
    assert rest == [{"status": "scheduled", "time": 1}, {"status": "ready", "time": 1}]


def test_an_error_is_a_sentence(controller: Controller) -> None:
    """Exit status 1, nothing on standard output, and the id that finds it in the log."""
    body = {"id": "e7", "kind": "NoDroneAvailable", "message": "no drone in c"}
    controller.answers["/ctrl/connect"] = httpx.Response(500, json=body)
    result = run("connect", "--image=i")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == "Error: no drone in c (NoDroneAvailable) [error e7]\n"


def test_a_missing_controller_is_reported_with_the_rest() -> None:
    """All at once, exit status 2."""
    result = CliRunner().invoke(admin.admin, ["connect", "--max-idle-seconds=-1"])
    assert result.exit_code == 2
    for word in ("--controller", "--image", "--max-idle-seconds"):
        assert word in result.stderr


def test_help_needs_no_controller() -> None:
    """Of any command."""
    assert CliRunner().invoke(admin.admin, ["connect", "--help"]).exit_code == 0
