"""Which programs make up a demo, what they are told, and in which order they end."""

from pathlib import Path

import pytest

from options.types import ImageCommandType
from planectl.demo.keepsakes import Keepsakes
from planectl.demo.plan import DemoPlan, Part, stop_order
from planectl.demo.settings import IMAGE, DemoSettings

DSN = "postgresql://u:hush@/d?host=/s"


@pytest.fixture
def plan() -> DemoPlan:
    return DemoPlan(
        DemoSettings(Path("/d ir"), 8180, 9190), Keepsakes("pass", "dr-mine", "px-mine"), python="/a b/python"
    )


def parts(plan: DemoPlan) -> list[Part]:
    """Return every part that runs until it is ended."""
    return [plan.database(), plan.controller(DSN), plan.drone(with_docker=True), plan.proxy()]


def test_no_secret_is_on_a_command_line(plan: DemoPlan) -> None:
    """Everybody on the machine can read those."""
    for part in [*parts(plan), plan.migration(DSN), plan.admin_account(DSN)]:
        assert "hush" not in " ".join(part.argv)
        assert "pass" not in " ".join(part.argv).replace("password", "").replace("PASSWORD", "")
        assert "hush" not in repr(part)


def test_who_needs_the_database_is_told_where_it_is(plan: DemoPlan) -> None:
    """In the environment; the daemons are not."""
    for part in (plan.controller(DSN), plan.migration(DSN), plan.admin_account(DSN)):
        assert part.environment["PLANE_DB"] == DSN
    assert not plan.drone(with_docker=True).environment
    assert not plan.proxy().environment


def test_the_controller_listens_on_loopback_only(plan: DemoPlan) -> None:
    """It serves without authentication there."""
    assert {"--host=127.0.0.1", "--port=8180", "--default-cluster=localhost:9190"} <= set(plan.controller(DSN).argv)


def test_drone_and_proxy_belong_to_one_cluster(plan: DemoPlan) -> None:
    """With names that last from run to run."""
    drone, proxy = plan.drone(with_docker=True).argv, plan.proxy().argv
    assert {"--cluster=localhost:9190", "--name=dr-mine", "--runtime=docker", "--ip=127.0.0.1"} <= set(drone)
    assert {"--cluster=localhost:9190", "--name=px-mine", "--http-port=9190"} <= set(proxy)


def test_without_docker_a_program_stands_for_the_image(plan: DemoPlan) -> None:
    """The same application, on loopback only; its path may hold spaces."""
    argv = plan.drone(with_docker=False).argv
    assert "--runtime=process" in argv
    flag = next(word for word in argv if word.startswith("--process-image="))
    image, command = ImageCommandType().convert(flag.partition("=")[2], None, None)
    assert image == IMAGE
    assert command == ("/a b/python", "-P", "-m", "planectl.demo.backend", "--host", "127.0.0.1")


def test_parts_end_in_an_order_in_which_each_can_end_well(plan: DemoPlan) -> None:
    """The drone says goodbye for its backends to a controller that can still store it."""
    names = [[part.name for part in group] for group in stop_order(parts(plan))]
    assert names == [["drone"], ["controller", "proxy"], ["database"]]


def test_everything_ends_within_fifteen_seconds(plan: DemoPlan) -> None:
    """Even if every part must be killed."""
    assert sum(max(part.patience for part in group) for group in stop_order(parts(plan))) <= 13.5
