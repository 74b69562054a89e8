"""
A controller dies in the middle of everything, and another life of it takes over.
"""

from __future__ import annotations

from contextlib import ExitStack

import httpx
from websockets.sync.client import connect as open_websocket

from tests.end_to_end.conftest import MakeStack
from tests.end_to_end.waiting import until
from tests.end_to_end.witness import watching


def test_sessions_do_not_notice_that_the_controller_died(make_stack: MakeStack) -> None:
    """SIGKILL with WebSockets open: they stay open, connect works again, nothing runs twice."""
    stack = make_stack()
    stack.start()
    with watching(stack.engine) as witness, ExitStack() as sockets:
        answers = [stack.connect_ready(f"survivor-{number}", max_idle_seconds=120) for number in range(2)]
        urls = [f"{answer.url.replace('http:', 'ws:')}ws" for answer in answers for _ in range(2)]
        sessions = [sockets.enter_context(open_websocket(url)) for url in urls]

        def expect_all_open() -> None:
            for number, session in enumerate(sessions):
                session.send(f"ping {number}")
                assert session.recv(timeout=5) == f"ping {number}"

        expect_all_open()
        stack.controllers[0].kill()
        expect_all_open()
        # The proxy knows these routes and needs nobody to serve them.
        assert [httpx.get(answer.url).text for answer in answers] == ["hello", "hello"]

        stack.controllers[0].start()
        stack.wait_for_controller()
        stack.wait_for_drone()
        expect_all_open()

        joined = stack.connect("survivor-0")
        assert (joined.backend_id, joined.spawned) == (answers[0].backend_id, False)
        assert httpx.get(joined.url, timeout=30).text == "hello"
        newcomer = stack.connect_ready("newcomer", max_idle_seconds=120)
        assert newcomer.spawned
        expect_all_open()

        backends = [*(answer.backend_id for answer in answers), newcomer.backend_id]
        wanted = sorted(f"plane-{backend}" for backend in backends)
        until(lambda: len(witness.began) == 3, "the engine told of three containers")
        assert stack.containers(everything=True) == wanted
        assert sorted(witness.began) == wanted
        assert witness.ended == {}


def test_an_order_given_while_the_drone_was_at_no_controller_is_kept(make_stack: MakeStack) -> None:
    """The first controller is dead, the drone's; the second takes the connect; the first comes back with the drone."""
    stack = make_stack()
    stack.start()
    stack.start_controller()
    answer = stack.connect_ready("kept", max_idle_seconds=120)
    stack.controllers[0].kill()
    httpx.post(f"{stack.url_of(1)}/ctrl/b/{answer.backend_id}/soft-terminate").raise_for_status()
    stack.controllers[0].start()
    stack.wait_for_controller()
    until(lambda: stack.containers() == [], "the container is gone")
    until(lambda: str(stack.status(answer.backend_id)) == "terminated", "its end is known")
