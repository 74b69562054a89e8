"""
What a drone and an external executor say to each other.
"""

from __future__ import annotations

import pytest

from protocol.codec import InvalidMessage, decode, encode
from protocol.executor_messages import (
    ExecutorReply,
    ExecutorRequest,
    OtherFailure,
    ToExecutor,
    WaitForBackendResult,
)
from protocol.spawn import Executable
from tests.factories import BACKEND, TOKEN, make_key


def test_a_spawn_is_a_tuple_in_the_published_order() -> None:
    """Backend, executable, key, static token."""
    request = ExecutorRequest("1", ToExecutor(spawn=(BACKEND, Executable(image="app"), None, None)))
    assert encode(request) == f'{{"id":"1","message":{{"Spawn":["{BACKEND}",{{"image":"app"}},null,null]}}}}'.encode()


def test_a_request_does_not_show_the_static_token() -> None:
    """It is one place within a tuple, which would show all of its places."""
    message = ToExecutor(spawn=(BACKEND, Executable(image="app"), make_key(), f"s.{TOKEN}"))
    assert TOKEN not in repr(ExecutorRequest("1", message))


def test_a_failure_to_become_ready_is_a_word_or_tells_more() -> None:
    """The word is told apart, since it is a reason of its own."""
    assert decode('{"Err":"StartupTimeout"}', WaitForBackendResult).err == "StartupTimeout"
    assert decode('{"Err":{"Other":"refused"}}', WaitForBackendResult).err == OtherFailure("refused")


@pytest.mark.parametrize(
    "line",
    [
        '{"message":{"WaitForBackendResult":{"Err":"Whatever"}}}',
        '{"message":{"TerminateResult":{"Ok":true,"Err":"both"}}}',
        '{"message":{"SpawnResult":{"Ok":{"container_id":"a"}}}}',
        '{"id":"1"}',
    ],
)
def test_an_answer_that_means_nothing_is_refused(line: str) -> None:
    """Neither fish nor fowl."""
    with pytest.raises(InvalidMessage):
        decode(line, ExecutorReply)
