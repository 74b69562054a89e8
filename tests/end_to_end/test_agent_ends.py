"""
An agent that ends takes its backends along; one that was killed finds them when it starts again.
"""

from __future__ import annotations

from protocol.backend_state import BackendStatus
from tests.end_to_end.conftest import MakeStack
from tests.end_to_end.relay import Relay
from tests.end_to_end.session_image import SESSION_IMAGE
from tests.end_to_end.waiting import until
from tests.end_to_end.witness import watching


def test_an_agent_that_ends_takes_its_backends_along(make_stack: MakeStack) -> None:
    """SIGTERM: it leaves nothing running, exits with 0, and what it could not report it reports the next time."""
    stack = make_stack()
    stack.start_controller()
    drone = stack.start_drone()
    answers = [stack.connect_ready(f"along-{number}", max_idle_seconds=120) for number in range(2)]
    assert drone.stop() == 0
    assert stack.containers() == []
    drone.start()
    stack.wait_for_drone()
    for answer in answers:
        until(lambda: stack.status(answer.backend_id) is BackendStatus.TERMINATED, "its end is known")  # noqa: B023
    assert stack.connect_ready("along-0").spawned


def test_an_agent_that_nobody_hears_ends_in_time(make_stack: MakeStack) -> None:
    """The cable is pulled: what it cannot report now keeps it from nothing, and is reported the next time."""
    stack = make_stack()
    stack.start_controller()
    with Relay(stack.ports[0]).running() as wire:
        drone = stack.start_drone(controller=f"http://127.0.0.1:{wire.port}")
        answer = stack.connect_ready("unheard", max_idle_seconds=120)
        wire.cut()
        assert drone.stop() == 0
        assert stack.containers() == []
        assert stack.status(answer.backend_id) is BackendStatus.READY
        wire.mend()
        drone.start()
        stack.wait_for(answer.backend_id, BackendStatus.TERMINATED)


def test_an_agent_that_was_killed_ends_what_it_finds_of_its_own(make_stack: MakeStack) -> None:
    """And only that: a container of another drone is none of its business."""
    stack = make_stack()
    stack.start_controller()
    drone = stack.start_drone()
    labels = {"dev.plane.backend": "true", "dev.plane.drone": "dr-other", "dev.plane.cluster": stack.cluster}
    stranger = stack.engine.client.containers.run(
        SESSION_IMAGE, detach=True, environment={"PORT": "8080"}, labels=labels, name=f"plane-other-{stack.ports[0]}"
    )
    try:
        answer = stack.connect_ready("orphan", max_idle_seconds=120)
        with watching(stack.engine) as witness:
            drone.kill()
            assert len(stack.containers(drone="dr-one")) == 1
            drone.start()
            until(lambda: f"plane-{answer.backend_id}" in witness.ended, "the orphan was ended")
        stack.wait_for(answer.backend_id, BackendStatus.TERMINATED)
        stranger.reload()
        assert stranger.status == "running"
    finally:
        stranger.remove(force=True)
    stack.wait_for_drone()
    successor = stack.connect_ready("orphan", max_idle_seconds=120)
    assert successor.backend_id != answer.backend_id
    assert stack.containers() == [f"plane-{successor.backend_id}"]


def test_an_agent_without_an_engine_says_so(make_stack: MakeStack) -> None:
    """It cannot do its job: a sentence, and an exit status that is not 0."""
    stack = make_stack()
    stack.start_controller()
    program = stack.program(
        "dr-lost",
        ["drone", f"--controller-url={stack.url}", f"--cluster={stack.cluster}"],
        {"DOCKER_HOST": f"unix://{stack.scratch}/nobody.sock"},
    )
    program.start()
    until(lambda: not program.running, "it gives up")
    assert program.stop() != 0
    assert "Traceback" not in program.words
