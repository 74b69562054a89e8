"""
A drone is cut off from its controller: its backend is gone before the key can be had elsewhere.

Whatever its wall clock says meanwhile.
"""

from __future__ import annotations

import time

import httpx
import pytest

from planectl.calls import ApiFailure
from protocol.backend_state import BackendStatus
from protocol.connect import ConnectResponse
from tests.end_to_end.conftest import MakeStack
from tests.end_to_end.relay import Relay
from tests.end_to_end.stack import SHORT_LEASES, Stack
from tests.end_to_end.waiting import remains, until
from tests.end_to_end.witness import Witness, watching
from tests.engines.wall_clocks import WallClock


def connect_elsewhere(stack: Stack, key: str, holder: ConnectResponse) -> tuple[ConnectResponse, float]:
    """Ask again and again until the key is had by another backend; return it, and when it was asked for."""

    def ask() -> tuple[ConnectResponse, float] | None:
        asked = time.time()
        try:
            answer = stack.connect(key, max_idle_seconds=120)
        except ApiFailure as refusal:
            # What a caller is told while the holder's drone is not heard from, and its lease still runs.
            if refusal.kind != "KeyHeldUnhealthy":
                raise
            return None
        return None if answer.backend_id == holder.backend_id else (answer, asked)

    return until(ask, f"{key} can be had again", within=30)


def expect_no_overlap(witness: Witness, holder: ConnectResponse, successor: ConnectResponse, asked: float) -> None:
    """The engine's own times: the first was gone before the second was even asked for."""
    until(lambda: f"plane-{holder.backend_id}" in witness.ended, "the engine told of the end")
    _, ended = witness.lives(holder.backend_id)
    (began,) = witness.began[f"plane-{successor.backend_id}"]
    assert ended < asked < began, f"the first ended {ended - began:.2f} s after the second began"


def test_a_drone_that_is_cut_off_has_let_go_before_the_key_can_be_had(make_stack: MakeStack) -> None:
    """The cable is pulled, not the socket closed; the other drone gets the key."""
    stack = make_stack(SHORT_LEASES)
    stack.start_controller()
    stack.start_proxy()
    with Relay(stack.ports[0]).running() as wire, watching(stack.engine) as witness:
        stack.start_drone("dr-far", controller=f"http://127.0.0.1:{wire.port}")
        holder = stack.connect_ready("torn", max_idle_seconds=120)
        stack.start_drone("dr-near")
        wire.cut()
        successor, asked = connect_elsewhere(stack, "torn", holder)
        assert successor.drone == "dr-near"
        assert httpx.get(successor.url, timeout=30).text == "hello"
        expect_no_overlap(witness, holder, successor, asked)

        # It comes back, tells what it did, and is of use again; the key stays where it is.
        wire.mend()
        stack.wait_for_drone("dr-far")
        until(lambda: stack.status(holder.backend_id) is BackendStatus.TERMINATED, "the end of the first is known")
        assert stack.connect("torn").backend_id == successor.backend_id


@pytest.mark.parametrize("hours", [7, -7])
def test_a_jump_of_the_wall_clock_changes_nothing(make_stack: MakeStack, wall_clock: WallClock, hours: int) -> None:
    """By hours in either direction: leases go on being renewed, and are let go in time when the drone is cut off."""
    stack = make_stack(SHORT_LEASES)
    stack.start_controller()
    with Relay(stack.ports[0]).running() as wire, watching(stack.engine) as witness:
        address = f"http://127.0.0.1:{wire.port}"
        stack.start_drone("dr-far", controller=address, env=wall_clock.environment)
        holder = stack.connect_ready("adrift", max_idle_seconds=120)
        wall_clock.jump(hours)
        remains(lambda: stack.status(holder.backend_id) is BackendStatus.READY, "the lease is renewed", during=6)
        stack.start_drone("dr-near")
        wire.cut()
        successor, asked = connect_elsewhere(stack, "adrift", holder)
        stack.wait_for(successor.backend_id, BackendStatus.READY)
        assert successor.drone == "dr-near"
        expect_no_overlap(witness, holder, successor, asked)


def test_terminate_is_delivered_although_the_drone_was_away(make_stack: MakeStack) -> None:
    """Asked while its socket was down, carried out when it is back; the caller need not ask twice."""
    stack = make_stack()
    stack.start_controller()
    with Relay(stack.ports[0]).running() as wire, watching(stack.engine) as witness:
        stack.start_drone("dr-far", controller=f"http://127.0.0.1:{wire.port}")
        answer = stack.connect_ready("away", max_idle_seconds=120)
        wire.drop()
        until(lambda: not stack.ready_drones(), "the drone is away")
        httpx.post(f"{stack.url}/ctrl/b/{answer.backend_id}/soft-terminate").raise_for_status()
        remains(lambda: len(stack.containers()) == 1, "nobody has told the drone", during=1)
        wire.mend()
        stack.wait_for(answer.backend_id, BackendStatus.TERMINATED)
        assert stack.containers() == []
        until(lambda: witness.ended, "the engine told of the end")
        witness.lives(answer.backend_id)
