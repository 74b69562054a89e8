"""The demo and an engine that hangs, over a real socket."""

import socket
import time
from pathlib import Path

import docker
import pytest

from planectl.demo.engine import Engine
from planectl.demo.settings import DemoRefused


def test_an_engine_that_hangs_holds_up_the_end_only_shortly(tmp_path: Path) -> None:
    """The whole end of a demo has 15 s, of which the parts before have used some."""
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "docker.sock"))
        silent.listen()
        client = docker.DockerClient(base_url=f"unix://{tmp_path}/docker.sock", version="1.41", timeout=10)
        began = time.monotonic()
        with pytest.raises(DemoRefused, match="timed out"):
            Engine(client).remove_containers("dr-mine")
        assert time.monotonic() - began < 6
        client.close()
