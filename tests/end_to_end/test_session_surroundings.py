"""
What a backend is told: its environment, the headers of a request, its body; and what the user gets back.
"""

from __future__ import annotations

import json
import os
from typing import Any

import httpx
import pytest

from planectl.calls import ApiFailure
from protocol.connect import ConnectResponse
from tests.end_to_end.stack import Stack


@pytest.fixture(scope="module")
def session(stack: Stack) -> ConnectResponse:
    """A backend with all that a caller may say about it."""
    return stack.connect_ready(
        "räume/1",
        namespace="tenant-7",
        tag="editor",
        user="ada",
        auth={"role": "editor", "näme": "Ada"},
        env={"GREETING": "hello\nworld", "PORT": "1", "SESSION_BACKEND_ID": "forged"},
        max_idle_seconds=120,
    )


def ask(session: ConnectResponse, path: str, **more: Any) -> Any:
    """Return what the backend answers as JSON."""
    response = httpx.get(session.url + path, **more)
    assert response.status_code == 200, response.text
    return response.json()


def test_the_environment_tells_a_backend_who_it_is(session: ConnectResponse) -> None:
    """The request's own variables are there, but cannot pretend to be ours."""
    env = ask(session, "env")
    assert env["GREETING"] == "hello\nworld"
    assert env["FROM_IMAGE"] == "yes"
    assert env["PORT"] == "8080"
    assert env["SESSION_BACKEND_ID"] == session.backend_id
    assert env["SESSION_BACKEND_KEY"] == "räume/1"
    assert int(env["SESSION_BACKEND_FENCING_TOKEN"]) > 1_600_000_000_000
    assert "SESSION_BACKEND_STATIC_TOKEN" not in env


def test_the_headers_tell_a_backend_who_asks(session: ConnectResponse) -> None:
    """Nothing that a client sends can pass for what the proxy verified, however it is spelt."""
    forged = {"X-Verified-Username": "eve", "x_verified_secret": "x", "X-Forwarded-For": "6.6.6.6", "X-Mine": "kept"}
    seen = ask(session, "request?a=1&b=%20", headers=forged)
    assert (seen["path"], seen["query"]) == ("/request", "a=1&b=%20")
    headers = [(name, value) for name, value in seen["headers"]]
    told = dict(headers)
    assert len(headers) == len(told), "a header came twice"
    assert told["x-verified-username"] == "ada"
    assert json.loads(told["x-verified-user-data"]) == {"role": "editor", "näme": "Ada"}
    assert told["x-verified-user-data"].isascii()
    assert told["x-verified-path"] == f"/{session.token}/request"
    assert told["x-verified-backend"] == session.backend_id
    assert told["x-verified-secret"] == session.secret_token
    assert told["x-forwarded-for"] in {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert told["x-forwarded-proto"] == "http"
    assert told["host"] == session.url.split("/")[2]
    assert told["x-mine"] == "kept"
    assert "x_verified_secret" not in told


def test_bodies_pass_unchanged_in_both_directions(session: ConnectResponse) -> None:
    """Eight megabytes with a length, and in chunks."""
    content = os.urandom(8 * 2**20)
    assert httpx.post(f"{session.url}body", content=content, timeout=30).content == content
    pieces = (content[start : start + 65_537] for start in range(0, len(content), 65_537))
    assert httpx.post(f"{session.url}body", content=pieces, timeout=30).content == content


def test_an_answer_says_where_it_comes_from(session: ConnectResponse) -> None:
    """The backend's name, and leave for any page to read it."""
    response = httpx.get(session.url)
    assert response.headers["x-plane-backend-id"] == session.backend_id
    assert response.headers["server"].startswith("Plane/")
    assert response.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        ("", {}, 400),
        ("no-such-token/", {}, 410),
        ("favicon.ico", {}, 410),
        ("/", {}, 400),
        ("{token}/", {"host": "elsewhere.example.com"}, 403),
    ],
)
def test_the_proxy_refuses_what_leads_nowhere(
    stack: Stack, session: ConnectResponse, path: str, headers: dict[str, str], code: int
) -> None:
    """No token, a wrong one, an empty segment, another host."""
    url = f"http://{stack.cluster}/{path.format(token=session.token)}"
    assert httpx.get(url, headers=headers).status_code == code


def test_a_static_token_is_one_for_all(stack: Stack) -> None:
    """Known to the backend, left in the path, without a user."""
    answer = stack.connect_ready("static", use_static_token=True, user="ada", max_idle_seconds=60)
    assert answer.token.startswith("s.")
    assert answer.secret_token is None
    assert stack.connect("static", use_static_token=True).token == answer.token
    seen = ask(answer, "request")
    headers = dict(seen["headers"])
    assert seen["path"] == f"/{answer.token}/request"
    assert "x-verified-username" not in headers
    assert "x-verified-user-data" not in headers
    assert headers["x-verified-secret"] == ""
    stack.admin("terminate", "--hard", answer.backend_id)


def test_the_environment_holds_the_static_token(stack: Stack) -> None:
    """The backend can tell its own address."""
    answer = stack.connect_ready("static-env", use_static_token=True, max_idle_seconds=60)
    path = "env"
    container = stack.engine.client.containers.get(f"plane-{answer.backend_id}")
    assert f"SESSION_BACKEND_STATIC_TOKEN={answer.token}" in container.attrs["Config"]["Env"], path
    stack.admin("terminate", "--hard", answer.backend_id)


def test_a_key_that_is_held_for_another_purpose_is_refused(stack: Stack, session: ConnectResponse) -> None:
    """The tag differs: 409, and the session goes on."""
    with pytest.raises(ApiFailure) as refusal:
        stack.connect("räume/1", namespace="tenant-7", tag="viewer")
    assert (refusal.value.kind, refusal.value.status) == ("KeyHeld", 409)
    assert stack.connect("räume/1", namespace="tenant-7", tag="editor").backend_id == session.backend_id
    elsewhere = stack.connect("räume/1", tag="viewer")
    assert elsewhere.spawned
    stack.admin("terminate", "--hard", elsewhere.backend_id)


def test_no_log_holds_a_token_or_an_environment(stack: Stack, session: ConnectResponse) -> None:
    """Nor a secret: whoever may read logs may not enter sessions."""
    httpx.get(f"{session.url}env")
    static = stack.connect("static-log", use_static_token=True)
    httpx.get(static.url, timeout=30)
    stack.admin("terminate", "--hard", static.backend_id)
    words = "".join(program.words for program in stack.programs)
    assert session.backend_id in words
    assert session.secret_token
    for secret in (session.token, session.secret_token, static.token, static.token[2:], "GREETING", "hello\\nworld"):
        assert secret not in words


def test_a_container_is_named_and_labelled(stack: Stack, session: ConnectResponse) -> None:
    """So that operators, and the agent itself, find what is whose."""
    container = stack.engine.client.containers.get(f"plane-{session.backend_id}")
    assert container.labels["dev.plane.backend"] == "true"
    assert container.labels["dev.plane.drone"] == "dr-one"
    assert container.labels["dev.plane.cluster"] == stack.cluster
