"""
The status stream as a browser's EventSource reads it: raw lines.
"""

from __future__ import annotations

import json

import httpx
import pytest

from tests.end_to_end.stack import Stack


@pytest.fixture(scope="module")
def ended(stack: Stack) -> str:
    """A backend whose life is over."""
    answer = stack.connect_ready("told")
    stack.admin("terminate", "--hard", answer.backend_id)
    return answer.backend_id


def test_the_past_is_told_in_events_of_three_lines(stack: Stack, ended: str) -> None:
    """`data:` holds the status object and `id:` the status word; lines end in LF; it ends after `terminated`."""
    response = httpx.get(f"{stack.url}/pub/b/{ended}/status-stream", timeout=10)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert b"\r" not in response.content
    events = [block.splitlines() for block in response.text.split("\n\n") if block.strip()]
    parsed = [dict(line.split(":", 1) for line in event if line and not line.startswith(":")) for event in events]
    told = [event for event in parsed if event]
    assert all(event["id"].strip() == json.loads(event["data"])["status"] for event in told)
    assert (told[0]["id"].strip(), told[-1]["id"].strip()) == ("scheduled", "terminated")


def test_a_reader_that_comes_back_hears_only_the_rest(stack: Stack, ended: str) -> None:
    """After the status that it heard last."""
    url = f"{stack.url}/pub/b/{ended}/status-stream"
    text = httpx.get(url, headers={"Last-Event-ID": "ready"}, timeout=10).text
    assert '"ready"' not in text
    assert '"terminated"' in text


def test_a_reader_that_heard_everything_is_sent_away(stack: Stack, ended: str) -> None:
    """204 is what makes an EventSource stop asking."""
    url = f"{stack.url}/pub/b/{ended}/status-stream"
    assert httpx.get(url, headers={"Last-Event-ID": "terminated"}, timeout=10).status_code == 204


@pytest.mark.parametrize("path", ["status", "status-stream"])
def test_an_unknown_backend_is_not_found(stack: Stack, path: str) -> None:
    """With the error body of the API."""
    response = httpx.get(f"{stack.url}/pub/b/nosuchbackend/{path}", timeout=10)
    assert response.status_code == 404
    assert response.json()["kind"] == "NotFound"


def test_any_page_may_read_a_status(stack: Stack, ended: str) -> None:
    """And no page may touch a control route."""
    origin = {"Origin": "https://anywhere.example.com"}
    response = httpx.get(f"{stack.url}/pub/b/{ended}/status", headers=origin)
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.json()["exit_error"] in {True, False}
    assert httpx.get(f"{stack.url}/ctrl/status", headers=origin).status_code == 403
