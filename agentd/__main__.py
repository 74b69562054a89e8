"""
`python -m agentd`, also known as `plane drone`: reads flags and environment, and runs the agent under the reactor.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from random import SystemRandom

from agentd.config import Invocation, command
from agentd.runtime.interface import Runtime
from agentd.service import run_agent
from daemonkit import logs, service
from daemonkit.release import own_version
from protocol.names import Prefix, draw_name

_DICE = SystemRandom()


def main() -> None:
    """Be `plane drone`."""
    command(serve, draw_drone_name).main(prog_name="plane drone")


def draw_drone_name(prefix: Prefix) -> str:
    """Draw the name of a node."""
    return draw_name(prefix, _DICE)


def serve(invocation: Invocation) -> int:
    """Run the agent until it ends, and return its exit status."""
    logs.configure()
    make_runtime = runtime_of(invocation)
    version = own_version(os.environ)
    return service.run(lambda stopping: run_agent(invocation.agent, make_runtime, stopping=stopping, version=version))


def runtime_of(invocation: Invocation) -> Callable[[str], Runtime]:
    """Return what makes the runtime once the drone's name is known; the other one is never imported."""
    if invocation.runtime == "process":
        from agentd.runtime.process import ProcessRuntime

        return lambda name: ProcessRuntime(invocation.runtime_settings(name), environment=os.environ, dice=_DICE)
    from agentd.runtime.docker.runtime import DockerRuntime

    return lambda name: DockerRuntime(invocation.runtime_settings(name), environment=os.environ, dice=_DICE)


if __name__ == "__main__":
    main()
