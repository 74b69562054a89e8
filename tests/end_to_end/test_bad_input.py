"""
Bad input to connect: the error of the wire, and not a row more in the database.
"""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.api_errors import ErrorKind
from tests.contracts.wire_files import FOLDER
from tests.end_to_end.session_image import SESSION_IMAGE
from tests.end_to_end.stack import Stack
from tests.strategies import json_values

NOWHERE = "nowhere.test:1234"
JSON = {"content-type": "application/json"}
EXECUTABLE = {"image": SESSION_IMAGE}
#: All statuses that a refusal may have; a 500 only where clients match on it.
REFUSALS = {400, 409, 413, 415, 422}


def spawn(**fields: Any) -> dict[str, Any]:
    """Return a request that would spawn, but for what is wrong with it."""
    return {"spawn_config": {"executable": EXECUTABLE, **fields}}


def post(stack: Stack, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    """Send a body to connect."""
    response = httpx.post(f"{stack.url}/ctrl/connect", content=body, headers=headers or JSON, timeout=30)
    stack.controllers[0].expect_alive()
    return response


def expect_refusal(response: httpx.Response) -> dict[str, Any]:
    """Check the form of an error and return its body."""
    assert response.headers["content-type"].startswith("application/json"), response.text
    body: dict[str, Any] = response.json()
    assert {"id", "kind", "message"} <= set(body) <= {"id", "kind", "message", "fields"}
    assert re.fullmatch(r"[a-z0-9]{14}", body["id"])
    assert body["kind"] in set(ErrorKind)
    assert body["message"]
    assert "Traceback" not in body["message"]
    return body


@pytest.fixture(autouse=True)
def nothing_is_stored(stack: Stack) -> Any:
    """Compare the number of rows in every table before and after each test."""
    before = stack.rows()
    assert "backend" in "".join(before)
    yield
    assert stack.rows() == before


NOT_JSON = {
    "nothing": b"",
    "half": b'{"key":',
    "not-utf-8": b'{"user":"\xff"}',
    "two": b"{}{}",
    "nan": b'{"wait_for_release":NaN}',
    "lone-surrogate": b'{"user":"\\ud800"}',
    "lone-surrogate-in-auth": b'{"auth":{"\\udfff":1}}',
    "bottomless": b'{"auth":{"a":' + b"[" * 200_000,
    "deep": b'{"auth":{"a":' + b"[" * 1500 + b"]" * 1500 + b"}}",
    "comments": b"{} // not JSON",
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_what_is_not_json_is_400(stack: Stack, body: bytes) -> None:
    """Malformed: the message says where."""
    response = post(stack, body)
    assert response.status_code == 400
    assert expect_refusal(response)["kind"] == "Other"


WRONG = {
    "list": [],
    "number": 5,
    "null": None,
    "key-is-text": {"key": "room-1"},
    "key-without-name": {"key": {}},
    "empty-key-name": {"key": {"name": ""}, **spawn()},
    "long-key-name": {"key": {"name": "x" * 257}, **spawn()},
    "nul-in-key": {"key": {"name": "a\0b"}, **spawn()},
    "newline-in-key": {"key": {"name": "a\nb"}, **spawn()},
    "nul-in-namespace": {"key": {"name": "a", "namespace": "\0"}, **spawn()},
    "nul-in-tag": {"key": {"name": "a", "tag": "\0"}, **spawn()},
    "no-executable": {"spawn_config": {}},
    "no-image": {"spawn_config": {"executable": {}}},
    "image-is-a-number": {"spawn_config": {"executable": {"image": 1}}},
    "space-in-image": {"spawn_config": {"executable": {"image": "a b"}}},
    "nul-in-image": {"spawn_config": {"executable": {"image": "a\0"}}},
    "nul-in-environment": {"spawn_config": {"executable": {**EXECUTABLE, "env": {"A": "\0"}}}},
    "number-in-environment": {"spawn_config": {"executable": {**EXECUTABLE, "env": {"A": 1}}}},
    "equals-in-environment": {"spawn_config": {"executable": {**EXECUTABLE, "env": {"A=B": "1"}}}},
    "negative-limit": spawn(lifetime_limit_seconds=-1),
    "endless-limit": spawn(lifetime_limit_seconds=10**30),
    "fraction": spawn(max_idle_seconds=1.5),
    "yes-as-a-number": spawn(use_static_token=1),
    "capital-id": spawn(id="Mine"),
    "long-id": spawn(id="x" * 46),
    "two-labels": spawn(subdomain="a.b"),
    "hyphen-first": spawn(subdomain="-a"),
    "nul-in-pool": spawn(pool="\0"),
    "pull-policy": {"spawn_config": {"executable": {**EXECUTABLE, "pull_policy": "Sometimes"}}},
    "nul-in-user": {"user": "a\0", **spawn()},
    "escape-in-user": {"user": "\x1b[2J", **spawn()},
    "user-is-a-number": {"user": 1, **spawn()},
    "auth-is-text": {"auth": "admin", **spawn()},
    "nul-in-auth": {"auth": {"a": "\0"}, **spawn()},
    "nul-in-a-name-of-auth": {"auth": {"\0": 1}, **spawn()},
    "newline-deep-in-auth": {"auth": {"a": [{"b": "c\nd"}]}, **spawn()},
    "auth-over-4-KiB": {"auth": {"a": "x" * 4096}, **spawn()},
    "user-over-4-KiB": {"user": "x" * 4097, **spawn()},
    "user-and-auth-over-4-KiB": {"user": "x" * 2048, "auth": {"a": "x" * 2048}, **spawn()},
}


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG.keys())
def test_what_is_json_but_wrong_is_422(stack: Stack, body: Any) -> None:
    """Wrong types, lengths, characters: 422, and the message says what."""
    response = post(stack, json.dumps(body).encode())
    assert response.status_code == 422, response.text
    assert expect_refusal(response)["kind"] == "Other"


def test_a_refusal_names_the_field(stack: Stack) -> None:
    """In the message, and (beyond the published protocol) as a path."""
    body = expect_refusal(post(stack, json.dumps({"spawn_config": {"executable": {"image": 1}}}).encode()))
    assert "image" in body["message"]
    assert any("image" in field for field in body["fields"])


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
def test_another_content_type_is_415(stack: Stack, kind: str) -> None:
    """A form of a browser never gets through, even if its text is JSON."""
    response = post(stack, json.dumps(spawn()).encode(), {"content-type": kind})
    assert response.status_code == 415
    expect_refusal(response)


def test_more_than_a_mebibyte_is_413(stack: Stack) -> None:
    """Whether or not it would be valid."""
    response = post(stack, json.dumps({"user": "x" * 2**20}).encode())
    assert response.status_code == 413
    expect_refusal(response)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({}, 409, "KeyUnheldNoSpawnConfig"),
        ({"key": None, "spawn_config": None}, 409, "KeyUnheldNoSpawnConfig"),
        ({"key": {"name": "nobody-holds-this"}}, 409, "KeyUnheldNoSpawnConfig"),
        (spawn(cluster=NOWHERE), 500, "NoDroneAvailable"),
        (spawn(pool="nobody-is-in-this"), 500, "NoDroneAvailable"),
        ({"key": {"name": "a"}, **spawn(cluster=NOWHERE)}, 500, "NoDroneAvailable"),
        (spawn(cluster="a b"), 400, "InvalidClusterName"),
        (spawn(cluster="a:99999"), 400, "InvalidClusterName"),
        (spawn(cluster="a\0"), 400, "InvalidClusterName"),
    ],
    ids=str,
)
def test_what_cannot_be_had_has_a_kind_of_its_own(stack: Stack, body: Any, status: int, kind: str) -> None:
    """Clients match on the kind and the status."""
    response = post(stack, json.dumps(body).encode())
    assert (response.status_code, expect_refusal(response)["kind"]) == (status, kind)
    assert ("retry-after" in response.headers) == (kind == "NoDroneAvailable")


def test_an_error_is_found_in_the_log_by_its_id(stack: Stack) -> None:
    """Whoever reports it can be helped."""
    body = expect_refusal(post(stack, json.dumps(spawn(cluster=NOWHERE)).encode()))
    assert body["id"] in stack.controllers[0].words


def nowhere(document: dict[str, Any]) -> dict[str, Any]:
    """Send a valid request where no drone is, so that nothing can come of it."""
    if isinstance(document.get("spawn_config"), dict):
        document["spawn_config"]["cluster"] = NOWHERE
    return document


GOLDEN = [json.loads(path.read_bytes()) for path in sorted(FOLDER.glob("connect_request/*.json"))]


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_no_request_makes_a_controller_stumble(stack: Stack, data: st.DataObject) -> None:
    """Valid requests with any part replaced by any JSON: refused in the form of the wire, never a server error."""
    document = json.loads(json.dumps(data.draw(st.sampled_from(GOLDEN))))
    for holder, index in data.draw(st.lists(st.sampled_from(list(places(document))), max_size=2)) if document else []:
        holder[index] = data.draw(json_values)
    response = post(stack, json.dumps(nowhere(document)).encode())
    body = expect_refusal(response)
    assert response.status_code in REFUSALS or body["kind"] == "NoDroneAvailable", response.text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(junk=st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_no_bytes_make_a_controller_stumble(stack: Stack, junk: bytes) -> None:
    """Not even those that nobody thought of."""
    assert post(stack, junk).status_code in REFUSALS


def places(document: Any) -> Any:
    """Yield every (container, key or index) within a document."""
    if isinstance(document, dict | list):
        for index in list(document) if isinstance(document, dict) else range(len(document)):
            yield document, index
            yield from places(document[index])
