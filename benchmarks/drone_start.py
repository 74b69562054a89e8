"""
How much the agent's runtime adds to the engine's own time, and how soon it notices a first answer.

Run as `python -m benchmarks.drone_start`; it uses the Docker engine that answers, or (as root) starts one of its own.
What the engine takes varies by a hundred milliseconds, so it is taken out start by start: the time in which the create
and start calls waited for its answers. The same container asked by hand, in turns, is there for comparison.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, cast

import uvloop

from agentd.runtime.docker.container_spec import create_config
from agentd.runtime.docker.runtime import DockerRuntime
from agentd.runtime.interface import StartOrder
from agentd.runtime.readiness import wait_for_answer
from agentd.runtime.settings import RuntimeSettings
from protocol.spawn import Executable
from tests.engines.docker_engines import DEFAULT_HOST, DockerEngine, answering, own_engine
from tests.engines.images import import_busybox

RESULTS = Path(__file__).parent / "results" / "drone_start.json"
SETTINGS = RuntimeSettings(drone="dr-benchmark", cluster="localhost", ip="127.0.0.1", bind_ip="127.0.0.1")


class EngineClock:
    """Adds up how long this process waited for the engine's answers to create and start calls."""

    def __init__(self) -> None:
        self.waited = 0.0
        self._request = http.client.HTTPConnection.putrequest
        self._answer = http.client.HTTPConnection.getresponse

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count, in every thread."""
        clock = self

        def putrequest(self: http.client.HTTPConnection, method: str, url: str, *rest: Any, **more: Any) -> None:
            self.is_counted = method == "POST" and ("/create" in url or "/start" in url)  # type: ignore[attr-defined]
            clock._request(self, method, url, *rest, **more)

        def getresponse(self: http.client.HTTPConnection) -> http.client.HTTPResponse:
            began = time.perf_counter()
            response = clock._answer(self)
            if getattr(self, "is_counted", False):
                clock.waited += time.perf_counter() - began
            return response

        patched = cast("Any", http.client.HTTPConnection)
        patched.putrequest, patched.getresponse = putrequest, getresponse
        try:
            yield
        finally:
            patched.putrequest, patched.getresponse = self._request, self._answer


class ByHand(http.client.HTTPConnection):
    """The engine's API without any library."""

    def __init__(self, host: str) -> None:
        super().__init__("localhost")
        self._path = host.removeprefix("unix://")

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)

    def ask(self, path: str, body: object = None) -> Any:
        """Post, and return the answer's JSON if there is some."""
        text = None if body is None else json.dumps(body)
        self.request("POST", path, text, {"Content-Type": "application/json"})
        answer = self.getresponse().read()
        return json.loads(answer) if answer else None


def start_by_hand(host: str, order: StartOrder) -> float:
    """Create and start the same container as the runtime does; return the seconds that it took."""
    config = create_config(order, SETTINGS, mount_source=None)
    connection = ByHand(host)
    began = time.perf_counter()
    created = connection.ask(f"/containers/create?name=plane-{order.backend}", config)
    connection.ask(f"/containers/{created['Id']}/start")
    took = time.perf_counter() - began
    connection.close()
    return took


async def measure_starts(engine: DockerEngine, rounds: int) -> tuple[list[float], list[float], list[float]]:
    """Return seconds for each start: by hand, by the runtime, and what the latter took beyond the engine."""
    executable = Executable(image=import_busybox(engine))
    runtime = DockerRuntime(SETTINGS, environment=engine.environment, dice=Random())
    await runtime.open(lambda _backend, _code: None)
    by_hand, ours, beyond = [], [], []
    try:
        for number in range(rounds + 1):
            hand = StartOrder(f"hand{number}", executable, None, None)
            by_hand.append(await asyncio.to_thread(start_by_hand, engine.host, hand))
            engine.client.api.remove_container("plane-" + hand.backend, force=True)
            clock = EngineClock()
            with clock.running():
                began = time.perf_counter()
                started = await runtime.start(StartOrder(f"ours{number}", executable, None, None))
                ours.append(time.perf_counter() - began)
            beyond.append(ours[-1] - clock.waited)
            engine.client.api.remove_container(started.container_id, force=True)
    finally:
        await runtime.close()
    # The first of each warms things up.
    return by_hand[1:], ours[1:], beyond[1:]


def answer_from(listener: socket.socket, moment: float) -> None:
    """Accept connections; hang up on them before a moment, as Docker's forwarder does, and answer after it."""
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            if time.perf_counter() >= moment:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                return


async def measure_readiness(rounds: int) -> list[float]:
    """Return the seconds between the moment at which an answer could be had and its being noticed."""
    noticed, dice = [], Random(1)
    for _ in range(rounds):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            moment = time.perf_counter() + dice.uniform(0.1, 0.5)
            threading.Thread(target=answer_from, args=(listener, moment), daemon=True).start()
            await wait_for_answer(f"127.0.0.1:{listener.getsockname()[1]}", "/")
            noticed.append(time.perf_counter() - moment)
    return noticed


def p99(values: list[float]) -> float:
    """Return the 99th percentile (the largest of fewer than a hundred)."""
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


def result(name: str, seconds: float, *, goal_ms: float | None = None, peer: tuple[str, float] | None = None) -> Any:
    """Return one row of the results."""
    return {
        "name": name,
        "value": round(seconds * 1000, 2),
        "unit": "ms",
        "ratio_to": peer[0] if peer else None,
        "ratio": round(seconds / peer[1], 3) if peer else None,
        "goal": None if goal_ms is None else f"<= {goal_ms:g} ms",
        "met": None if goal_ms is None else seconds * 1000 <= goal_ms,
    }


async def measure(engine: DockerEngine, rounds: int) -> list[Any]:
    """Measure everything."""
    by_hand, ours, beyond = await measure_starts(engine, rounds)
    noticed = await measure_readiness(rounds)
    hand = statistics.median(by_hand)
    return [
        result("create and start by hand, median", hand),
        result("order to container started, median", statistics.median(ours), peer=("by hand", hand)),
        result("order to started beyond the engine, median", statistics.median(beyond), goal_ms=10),
        result("order to started beyond the engine, p99", p99(beyond), goal_ms=30),
        result("first answer noticed, median", statistics.median(noticed), goal_ms=10),
        result("first answer noticed, p99", p99(noticed)),
    ]


@contextmanager
def some_engine() -> Iterator[DockerEngine]:
    """Yield the engine that answers, else one of our own."""
    for host in filter(None, [os.environ.get("DOCKER_HOST"), DEFAULT_HOST]):
        if client := answering(host):
            yield DockerEngine(host, client)
            return
    with own_engine("m") as engine:
        yield engine


def main() -> None:
    """Measure, print a table, keep the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    with some_engine() as engine:
        rows = uvloop.run(measure(engine, arguments.rounds))
    for row in rows:
        verdict = "" if row["met"] is None else f"{row['goal']}: {'met' if row['met'] else 'MISSED'}"
        ratio = "" if row["ratio"] is None else f"{row['ratio']} x {row['ratio_to']}"
        print(f"{row['name']:<45} {row['value']:>8} {row['unit']}  {ratio}{verdict}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
