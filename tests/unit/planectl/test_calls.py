"""What is sent for each call, and what answers mean."""

import json

import pytest

from options.types import ControllerAddress
from planectl.calls import (
    ApiFailure,
    cluster_state_call,
    connect_call,
    controller_status_call,
    read_answer,
    status_call,
    stream_path,
    terminate_call,
    unreachable,
)
from protocol.backend_state import BackendStatus
from protocol.connect import ConnectRequest
from protocol.keys import LenientKeyConfig
from protocol.spawn import Executable, SpawnConfig

CONTROLLER = ControllerAddress("http://c", "tok")


def test_a_connect_leaves_out_what_is_not_set() -> None:
    """Published controllers refuse null in many places, so none is sent."""
    request = ConnectRequest(
        key=LenientKeyConfig("room"), spawn_config=SpawnConfig(executable=Executable(image="i"), cluster="c")
    )
    call = connect_call(request)
    assert (call.method, call.path) == ("POST", "/ctrl/connect")
    assert json.loads(call.body or b"") == {
        "key": {"name": "room"},
        "spawn_config": {"executable": {"image": "i"}, "cluster": "c"},
    }


def test_paths() -> None:
    """Names that would change a path cannot."""
    assert terminate_call("b1", hard=False).path == "/ctrl/b/b1/soft-terminate"
    assert terminate_call("b1", hard=True).path == "/ctrl/b/b1/hard-terminate"
    assert status_call("b1").path == "/pub/b/b1/status"
    assert stream_path("a/../b?c") == "/pub/b/a%2F..%2Fb%3Fc/status-stream"
    assert cluster_state_call("localhost:9090").path == "/ctrl/c/localhost:9090/state"
    assert controller_status_call().path == "/ctrl/status"


def test_the_token_goes_only_where_it_is_needed() -> None:
    """Control routes get it, public ones never; bodies are said to be JSON."""
    assert controller_status_call().headers(CONTROLLER) == {"Authorization": "Bearer tok"}
    assert status_call("b").headers(CONTROLLER) == {}
    assert connect_call(ConnectRequest()).headers(CONTROLLER)["Content-Type"] == "application/json"


def test_an_answer_is_read() -> None:
    """Unknown fields are ignored."""
    view = read_answer(status_call("b"), 200, body=b'{"status":"ready","time":5,"new":1}')
    assert (view.status, view.time) == (BackendStatus.READY, 5)
    read_answer(terminate_call("b", hard=False), 200, body=b"null")


def test_an_error_keeps_its_kind_and_id() -> None:
    """Callers match on the kind; the id finds the controller's log line."""
    with pytest.raises(ApiFailure) as caught:
        read_answer(status_call("b"), 409, body=b'{"id":"x1","kind":"KeyHeld","message":"held by another"}')
    failure = caught.value
    assert (failure.kind, failure.status, failure.id) == ("KeyHeld", 409, "x1")
    assert str(failure) == "held by another (KeyHeld)"


@pytest.mark.parametrize("body", [b"<html>Bad Gateway</html>", b"", b"\xff\xfe", b"[]"])
def test_an_error_of_something_in_between(body: bytes) -> None:
    """A load balancer answers in its own words; they are quoted, shortened."""
    with pytest.raises(ApiFailure) as caught:
        read_answer(status_call("b"), 502, body=body * 1000)
    assert caught.value.kind == "Other"
    assert "502" in caught.value.message
    assert len(caught.value.message) < 300


def test_an_answer_of_another_shape_is_a_failure() -> None:
    """Not a crash somewhere later."""
    with pytest.raises(ApiFailure, match="does not fit"):
        read_answer(status_call("b"), 200, body=b'{"status":"dancing","time":1}')


def test_no_answer_is_a_sentence() -> None:
    """Without error numbers, and without the token."""
    sentence = unreachable(CONTROLLER, ConnectionError("[Errno 111] Connection refused"))
    assert sentence == "no answer from the controller at http://c: Connection refused"
    assert unreachable(CONTROLLER, TimeoutError()).endswith("TimeoutError")
