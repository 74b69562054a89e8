"""
The life of a backend, from the first connect to the freed key, as an application and its users see it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from msgspec import UNSET
from websockets.sync.client import connect as open_websocket

from planectl.client import Client
from protocol.backend_state import BackendStatus, TerminationKind, TerminationReason
from protocol.views import BackendStatusView
from tests.end_to_end.stack import Stack
from tests.end_to_end.waiting import remains, until

READY, TERMINATED = BackendStatus.READY, BackendStatus.TERMINATED
WHOLE_LIFE = ["scheduled", "loading", "starting", "waiting", "ready", "terminating", "terminated"]


@contextmanager
def following(url: str, backend: str) -> Iterator[list[BackendStatusView]]:
    """Collect the statuses of a backend as they are told, until it is terminated."""
    told: list[BackendStatusView] = []

    def listen() -> None:
        with Client(url) as client:
            told.extend(client.status_stream(backend))

    thread = threading.Thread(target=listen)
    thread.start()
    yield told
    thread.join(30)
    assert not thread.is_alive(), f"the status stream of {backend} did not end"


def websocket_url(url: str) -> str:
    """Return where a session's WebSocket is."""
    return url.replace("http:", "ws:") + "ws"


def test_the_life_of_a_backend(stack: Stack) -> None:
    """Spawned, reached over HTTP and WebSocket, ended because nobody uses it, refused from then on, its key free."""
    answer = stack.connect("life", max_idle_seconds=2, user="ada", auth={"role": "editor"})
    assert answer.spawned
    assert answer.drone == "dr-one"
    assert answer.url == f"http://{stack.cluster}/{answer.token}/"

    with following(stack.url, answer.backend_id) as told:
        # Asked before it is ready: held until it is.
        assert httpx.get(answer.url, timeout=30).text == "hello"
        with open_websocket(websocket_url(answer.url)) as session:
            session.send("over and back")
            assert session.recv(timeout=5) == "over and back"
        stack.wait_for(answer.backend_id, TERMINATED)

    assert [str(view.status) for view in told] == WHOLE_LIFE
    assert [view.time for view in told] == sorted(view.time for view in told)
    assert told[-1].termination_reason is TerminationReason.SWEPT
    assert told[-1].termination_kind is TerminationKind.SOFT
    assert told[-1].exit_error is False
    until(lambda: httpx.get(answer.url).status_code == 410, "the token leads nowhere", within=5)
    assert stack.containers() == []

    successor = stack.connect_ready("life")
    assert successor.spawned
    assert successor.backend_id != answer.backend_id
    stack.admin("terminate", successor.backend_id)


def test_use_of_any_kind_keeps_a_backend(stack: Stack) -> None:
    """A WebSocket that says nothing, a long download without one; the third, which nobody uses, is swept meanwhile."""
    spoken = stack.connect_ready("use-websocket", max_idle_seconds=2)
    with open_websocket(websocket_url(spoken.url)) as session:
        loaded = stack.connect_ready("use-download", max_idle_seconds=2)
        with httpx.stream("GET", f"{loaded.url}slow?seconds=10", timeout=30) as download:
            pieces = download.iter_text()
            assert "line 0" in next(pieces)
            unused = stack.connect_ready("use-nothing", max_idle_seconds=2)
            stack.wait_for(unused.backend_id, TERMINATED)
            assert stack.status(spoken.backend_id) is READY
            assert stack.status(loaded.backend_id) is READY
            assert "line 99" in "".join(pieces)
        session.send("still here")
        assert session.recv(timeout=5) == "still here"
    stack.wait_for(spoken.backend_id, TERMINATED)
    stack.wait_for(loaded.backend_id, TERMINATED)


def test_a_lifetime_limit_ends_a_backend_in_use(stack: Stack) -> None:
    """However busy it is, its time is up."""
    answer = stack.connect_ready("limited", lifetime_limit_seconds=3, max_idle_seconds=60)
    with open_websocket(websocket_url(answer.url)) as session:
        session.send("a")
        assert session.recv(timeout=5) == "a"
        stack.wait_for(answer.backend_id, TERMINATED)
    with Client(stack.url) as client:
        assert client.status(answer.backend_id).termination_reason is TerminationReason.SWEPT


def test_a_process_that_leaves_by_itself_frees_its_key(stack: Stack) -> None:
    """Nobody ended it, so there is no reason; it failed, and that is told."""
    answer = stack.connect_ready("leaver")
    httpx.get(f"{answer.url}leave?code=3")
    stack.wait_for(answer.backend_id, TERMINATED)
    with Client(stack.url) as client:
        seen = client.status(answer.backend_id)
    assert seen.exit_error is True
    assert seen.termination_reason is UNSET
    successor = stack.connect("leaver")
    assert successor.spawned
    stack.admin("terminate", "--hard", successor.backend_id)


def test_a_hard_termination_asks_nobody(stack: Stack) -> None:
    """No grace: SIGKILL at once, and the statuses say so."""
    answer = stack.connect_ready("killed")
    with following(stack.url, answer.backend_id) as told:
        assert httpx.post(f"{stack.url}/ctrl/b/{answer.backend_id}/hard-terminate").text == "null"
    assert told[-1].termination_kind is TerminationKind.HARD
    assert told[-1].termination_reason is TerminationReason.EXTERNAL
    assert BackendStatus.TERMINATING not in [view.status for view in told]


def test_a_backend_can_be_ended_before_it_is_ready(stack: Stack) -> None:
    """It starts slowly, and nobody has to wait for that to be rid of it; whoever waits for it is told."""
    answer = stack.connect("hasty", env={"START_DELAY": "60"})
    stack.wait_for(answer.backend_id, BackendStatus.WAITING)
    waiting: list[int] = []
    thread = threading.Thread(target=lambda: waiting.append(httpx.get(answer.url, timeout=30).status_code))
    thread.start()
    assert stack.admin("terminate", "--hard", answer.backend_id).returncode == 0
    thread.join(30)
    assert waiting == [410]
    assert stack.status(answer.backend_id) is TERMINATED


def test_an_image_that_does_not_exist_ends_in_terminated(stack: Stack) -> None:
    """Nothing can be pulled here, so it cannot be loaded; nothing is left behind."""
    answer = stack.connect("nothing", image="plane-test-missing:1", pull_policy="Never")
    stack.wait_for(answer.backend_id, TERMINATED)
    with Client(stack.url) as client:
        assert client.status(answer.backend_id).termination_reason is TerminationReason.INTERNAL_ERROR
    assert f"plane-{answer.backend_id}" not in stack.containers(everything=True)


def test_the_key_outlives_its_connections(stack: Stack) -> None:
    """Whoever connects with the same key joins, whoever leaves does not end it for the others."""
    first = stack.connect_ready("shared", max_idle_seconds=60)
    second = stack.connect("shared")
    assert not second.spawned
    assert second.drone is None
    assert (second.backend_id, second.status) == (first.backend_id, READY)
    assert second.token != first.token
    with open_websocket(websocket_url(first.url)):
        pass
    remains(lambda: httpx.get(second.url).text == "hello", "the second user is served", during=1)
    stack.admin("terminate", first.backend_id)
