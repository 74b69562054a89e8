"""The synchronous client over an in-memory transport: calls, errors, and streams that break."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from planectl.calls import ApiFailure, ControllerUnreachable
from planectl.client import Client
from protocol.backend_state import BackendStatus
from protocol.connect import ConnectRequest
from protocol.keys import LenientKeyConfig

CONNECTED = {
    "backend_id": "b1",
    "spawned": False,
    "status": "ready",
    "token": "t",
    "url": "http://c/t/",
    "subdomain": None,
    "secret_token": "s",
    "status_url": "http://c/pub/b/b1/status",
    "drone": None,
}


def client(answer: Callable[[httpx.Request], httpx.Response], pauses: list[float] | None = None) -> Client:
    """Return a client whose requests are answered by a function, and whose pauses are only noted."""
    noted = [] if pauses is None else pauses
    return Client("http://tok@c:1/", transport=httpx.MockTransport(answer), sleep=noted.append)


def said(answer: Any) -> httpx.Response:
    """Return an answer with a JSON body, null too."""
    return httpx.Response(200, content=json.dumps(answer).encode())


def events(*statuses: str) -> httpx.Response:
    """Return a status stream."""
    text = ": hello\n\n" + "".join(f'id: {word}\ndata: {{"status":"{word}","time":1}}\n\n' for word in statuses)
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, text=text)


def test_connect() -> None:
    """The token of the URL is in the header, not in the request's URL."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=CONNECTED)

    with client(answer) as asked:
        response = asked.connect(ConnectRequest(key=LenientKeyConfig("k")))
    assert response.backend_id == "b1"
    assert str(seen[0].url) == "http://c:1/ctrl/connect"
    assert seen[0].headers["authorization"] == "Bearer tok"
    assert seen[0].content == b'{"key":{"name":"k"}}'


def test_the_other_calls() -> None:
    """Each to its route, each answer in its type."""
    answers: dict[str, Any] = {
        "/ctrl/b/b1/hard-terminate": None,
        "/pub/b/b1/status": {"status": "terminated", "time": 3, "exit_error": True},
        "/ctrl/c/x/state": {"drones": [], "proxies": []},
        "/ctrl/status": {"status": "ok", "version": "1", "hash": "h"},
    }
    asked = client(lambda request: said(answers[request.url.path]))
    asked.terminate("b1", hard=True)
    assert asked.status("b1").exit_error is True
    assert asked.cluster_state("x").drones == []
    assert asked.controller_status().version == "1"


def test_an_error_answer() -> None:
    """Kind, message and status as the controller gave them."""
    body = {"id": "e", "kind": "NotFound", "message": "no such backend"}
    with pytest.raises(ApiFailure) as caught:
        client(lambda _: httpx.Response(404, json=body)).status("b")
    assert (caught.value.kind, caught.value.status) == ("NotFound", 404)


def test_no_answer() -> None:
    """One kind of exception, with a sentence."""

    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("[Errno 111] Connection refused")

    with pytest.raises(ControllerUnreachable, match="http://c:1: Connection refused"):
        client(refuse).controller_status()
    with pytest.raises(ControllerUnreachable):
        list(client(refuse).status_stream("b"))


def test_an_answer_that_cannot_be_unpacked() -> None:
    """Something in between garbled it: the same kind of exception."""

    def garble(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=b"no gzip")

    with pytest.raises(ControllerUnreachable, match="http://c:1"):
        client(garble).controller_status()


def test_a_stream_is_resumed_where_it_broke_off() -> None:
    """A break, an error that passes, a cut before the answer: the reader notices nothing."""
    asked_for: list[str | None] = []
    answers: list[httpx.Response | Exception] = [
        events("scheduled", "loading"),
        httpx.Response(503),
        httpx.ReadError("cut"),
        events("scheduled", "loading", "ready"),
        events("terminated"),
    ]
    pauses: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked_for.append(request.headers.get("last-event-id"))
        now = answers.pop(0)
        if isinstance(now, Exception):
            raise now
        return now

    words = [view.status for view in client(answer, pauses).status_stream("b")]
    assert words == ["scheduled", "loading", "ready", "terminated"]
    assert asked_for == [None, "loading", "loading", "loading", "ready"]
    assert len(pauses) == 4


def test_a_stream_that_is_over_ends() -> None:
    """204 means that all was told already."""
    answers = [events("scheduled"), httpx.Response(204)]
    assert [view.status for view in client(lambda _: answers.pop(0)).status_stream("b")] == [BackendStatus.SCHEDULED]


def test_an_unknown_backend_has_no_stream() -> None:
    """The error is told, not tried again."""
    body = {"id": "e", "kind": "NotFound", "message": "no such backend"}
    with pytest.raises(ApiFailure, match="no such backend"):
        list(client(lambda _: httpx.Response(404, json=body)).status_stream("b"))
