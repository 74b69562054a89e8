"""The flags of `plane drone`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from agentd.config import Invocation, command, is_own_address
from protocol.names import Prefix

REQUIRED = ["--controller-url", "http://sesame@127.0.0.1:8080/", "--cluster", "localhost:9090"]


class Served:
    """Notes what would have been served."""

    def __init__(self) -> None:
        self.invocations: list[Invocation] = []

    def __call__(self, invocation: Invocation) -> int:
        self.invocations.append(invocation)
        return 7


def call(*flags: str, env: dict[str, str] | None = None, required: bool = True) -> tuple[Result, Invocation | None]:
    """Call the command, and return its outcome and what it would have served."""
    served = Served()
    program = command(served, lambda prefix: f"{prefix}drawn")
    result = CliRunner().invoke(program, [*(REQUIRED if required else ()), *flags], env=env)
    return result, served.invocations[0] if served.invocations else None


def accept(*flags: str, **rest: Any) -> Invocation:
    """Call it with flags that are good."""
    result, invocation = call(*flags, **rest)
    assert result.exit_code == 7, result.output
    assert invocation is not None
    return invocation


def refuse(*flags: str, **rest: Any) -> str:
    """Call it with flags that are not, and return what it says."""
    result, invocation = call(*flags, **rest)
    assert (result.exit_code, invocation) == (2, None)
    return result.stderr


def test_what_is_left_out() -> None:
    """Docker, loopback, a journal in memory, a drawn name, thirty seconds of grace."""
    invocation = accept()
    agent, runtime = invocation.agent, invocation.runtime_settings("dr-x")
    assert (agent.name, agent.is_name_given, agent.journal, agent.pool) == (Prefix.DRONE + "drawn", False, None, "")
    assert (agent.heartbeat, agent.driving.grace) == (7.0, 30.0)
    assert agent.controller.base_url == "http://127.0.0.1:8080"
    assert agent.controller.bearer_token == "sesame"
    assert invocation.runtime == "docker"
    assert (runtime.drone, runtime.ip, runtime.bind_ip) == ("dr-x", "127.0.0.1", "127.0.0.1")


def test_everything_can_be_said(tmp_path: Path) -> None:
    """Each flag arrives where it belongs."""
    invocation = accept(
        *("--name", "dr-a", "--db", str(tmp_path / "journal"), "--pool", "blue", "--heartbeat", "0.5"),
        *("--grace-seconds", "0", "--docker-runtime", "runsc", "--mount-base", str(tmp_path), "--ip", "10.9.8.7"),
        *("--bind-ip", "127.0.0.2", "--log-config", '{"type": "journald", "config": {"tag": "x"}}'),
    )
    agent, runtime = invocation.agent, invocation.runtime_settings("dr-a")
    assert (agent.name, agent.is_name_given, agent.journal) == ("dr-a", True, tmp_path / "journal")
    assert (agent.pool, agent.heartbeat, agent.driving.grace) == ("blue", 0.5, 0.0)
    assert (runtime.docker_runtime, runtime.mount_base) == ("runsc", tmp_path)
    assert (runtime.ip, runtime.bind_ip) == ("10.9.8.7", "127.0.0.2")
    assert runtime.log_config == {"type": "journald", "config": {"tag": "x"}}


def test_the_process_runtime_has_a_table_of_images() -> None:
    """A request can only name what is in it."""
    invocation = accept("--runtime", "process", "--process-image", "demo=python -m demo", "--process-image", "a=b")
    assert invocation.runtime == "process"
    assert invocation.runtime_settings("dr-x").process_images == {"demo": ("python", "-m", "demo"), "a": ("b",)}


def test_flags_come_from_the_environment_too() -> None:
    """Except what Kubernetes injects."""
    env = {"PLANE_CONTROLLER_URL": "http://h:1", "PLANE_CLUSTER": "c1", "PLANE_POOL": "blue", "PLANE_DB": "tcp://1:2"}
    agent = accept(required=False, env=env).agent
    assert (agent.cluster, agent.pool, agent.journal) == ("c1", "blue", None)


def test_a_database_is_no_journal() -> None:
    """A controller's PLANE_DB in the same environment is refused, and its password is not repeated."""
    said = refuse(env={"PLANE_DB": "postgresql://plane:hunter2@db/plane"})
    assert "--db" in said
    assert "PLANE_DB" in said
    assert "hunter2" not in said
    assert "hunter2" not in refuse("--db", "postgres://plane:hunter2@db/plane")


def test_processes_have_no_mounts(tmp_path: Path) -> None:
    """So a folder for them is refused: it would do nothing."""
    said = refuse("--runtime", "process", "--mount-base", str(tmp_path))
    assert "--mount-base means nothing with --runtime process" in said


def test_everything_wrong_is_said_at_once() -> None:
    """Also what only does not go together."""
    said = refuse("--name", "px-a", "--heartbeat", "0", "--log-config", "[]")
    assert all(flag in said for flag in ("--name", "--heartbeat", "--log-config"))
    said = refuse("--ip", "192.0.2.1", "--process-image", "a=b")
    assert "say with --bind-ip" in said
    assert "--process-image means nothing with --runtime docker" in said
    said = refuse("--runtime", "process", "--docker-runtime", "runsc", "--bind-ip", "192.0.2.1")
    assert "--docker-runtime means nothing with --runtime process" in said
    assert "--bind-ip 192.0.2.1 is not an address of this machine" in said


@pytest.mark.parametrize(
    "text", ["no json", "[]", "{}", '{"type": 1}', '{"type": "x", "config": {"a": 1}}', '{"type": "x", "more": 1}']
)
def test_a_log_config_is_what_docker_takes(text: str) -> None:
    """A mistake in it is found now, not at the first backend."""
    assert "--log-config" in refuse("--log-config", text)


def test_no_flag_that_does_nothing_is_accepted() -> None:
    """What later versions will do is refused until they do it."""
    for flag in ("--executor-socket=/x", "--transport=poll", "--auto-prune-images", "--allow-from=10.0.0.0/8"):
        assert "No such option" in refuse(flag)


def test_which_addresses_are_of_this_machine() -> None:
    """Found out by binding to them."""
    assert is_own_address("127.0.0.1")
    assert is_own_address("0.0.0.0")
    assert not is_own_address("192.0.2.1")
