"""
The database crashes and comes back: everything recovers by itself, with nothing lost or done twice.
"""

from __future__ import annotations

import httpx
from websockets.sync.client import connect as open_websocket

from postgres.embedded import EmbeddedPostgres
from protocol.backend_state import BackendStatus
from tests.end_to_end.conftest import MakeStack
from tests.end_to_end.waiting import until
from tests.end_to_end.witness import watching
from tests.engines.databases import copy_of_template


def test_everything_recovers_when_the_database_is_back(
    make_stack: MakeStack, own_postgres_server: EmbeddedPostgres
) -> None:
    """Two controllers: red meanwhile and still there, sessions go on, orders and reports flow again afterwards."""
    with copy_of_template(own_postgres_server) as dsn:
        stack = make_stack(None, dsn)
        stack.start()
        stack.start_controller()
        with watching(stack.engine) as witness:
            stack.expected_errors.add("database_lost")
            answer = stack.connect_ready("patient", max_idle_seconds=120)
            with open_websocket(f"{answer.url.replace('http:', 'ws:')}ws") as session:
                own_postgres_server.kill()
                for number in range(2):
                    until(lambda: not stack.healthy(number), f"controller {number} is red", within=10)  # noqa: B023
                red = httpx.get(f"{stack.url}/pub/health", timeout=5)
                assert (red.status_code, red.json()["kind"]) == (500, "Other")
                refused = httpx.get(f"{stack.url}/ctrl/status", timeout=10)
                assert refused.status_code == 500
                session.send("anybody there?")
                assert session.recv(timeout=5) == "anybody there?"
                assert httpx.get(answer.url).text == "hello"

                own_postgres_server.restart()
                for number in range(2):
                    stack.wait_for_controller(number)
                stack.wait_for_drone()
                session.send("and now?")
                assert session.recv(timeout=5) == "and now?"

            joined = stack.connect("patient", controller=1)
            assert (joined.backend_id, joined.spawned) == (answer.backend_id, False)
            assert httpx.get(joined.url, timeout=30).text == "hello"
            newcomer = stack.connect_ready("newcomer", max_idle_seconds=120)
            httpx.post(f"{stack.url_of(1)}/ctrl/b/{answer.backend_id}/soft-terminate").raise_for_status()
            stack.wait_for(answer.backend_id, BackendStatus.TERMINATED)
            assert stack.containers() == [f"plane-{newcomer.backend_id}"]
            assert sorted(map(len, witness.began.values())) == [1, 1]
        for program in stack.programs:
            assert program.expect_alive()
            program.stop()
