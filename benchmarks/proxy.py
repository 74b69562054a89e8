"""
The proxy beside nginx: same run, same core, same backend, rounds in turns. Run as `python -m benchmarks.proxy`.

Needs nginx and wrk (Debian). Both proxies write one log line per request. CPU per request is the steadiest figure on a
machine with neighbours; a ratio above 1 is in the proxy's favour.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks.proxy_tunnels import bulk, idle_tunnels, small_messages
from benchmarks.proxy_world import OTHER_CORE, Peer, World, running_world

RESULTS = Path(__file__).parent / "results" / "proxy.json"

#: What a browser sends.
HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.5",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Referer": "https://apps.example.com/rooms/room-1?tab=board",
    "Cookie": "session=0123456789abcdef0123456789abcdef; theme=dark; seen=1",
    "DNT": "1",
    "Sec-Fetch-Dest": "empty",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "same-origin",
    "Priority": "u=4",
}
UNIQUE = """
local n = 0
request = function()
  n = n + 1
  wrk.headers["X-Request-Id"] = tostring(n) .. "-0123456789abcdef"
  return wrk.format("GET")
end
"""


@dataclass(frozen=True)
class Load:
    """One kind of load by wrk."""

    name: str
    path: str
    connections: int
    goal: float  #: the ratio to nginx that performance.md asks for
    headers: tuple[str, ...] = ()
    script: str = ""


LOADS = (
    Load("small keep-alive", "/web/", 32, 0.95),
    Load("small keep-alive, one connection", "/web/", 1, 0.9),
    Load("small keep-alive, 256 connections", "/web/", 256, 0.85),
    Load("unique header blocks", "/web/", 32, 0.75, script=UNIQUE),
    Load("a new connection per request", "/web/", 32, 0.95, headers=("Connection: close",)),
    Load("1 MiB bodies", "/web/big", 32, 0.83),
)


@dataclass(frozen=True)
class Sample:
    """What one round showed."""

    per_second: float
    cpu_micros: float  #: per request or message
    p99_ms: float = 0.0


async def wrk(peer: Peer, load: Load, seconds: float) -> Sample:
    """Load one proxy for so many seconds."""
    command = ["taskset", "-c", OTHER_CORE, "wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s", "--latency"]
    for header in (*(f"{name}: {value}" for name, value in HEADERS.items()), *load.headers):
        command += ["-H", header]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(load.script)
        script.flush()
        command += ["-s", script.name] if load.script else []
        before = peer.cpu_seconds()
        process = await asyncio.create_subprocess_exec(
            *command, peer.url(load.path), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output = (await process.communicate())[0].decode()
        used = peer.cpu_seconds() - before
    if "Non-2xx" in output or not (match := re.search(r"(\d+) requests in", output)):
        raise RuntimeError(f"{peer.name}: {output}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])  # type: ignore[index]
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", output)
    assert p99 is not None, output
    return Sample(rate, used / int(match[1]) * 1e6, float(p99[1]) * {"us": 0.001, "ms": 1, "s": 1000}[p99[2]])


def entry(name: str, value: float, unit: str, *, ratio: float, goal: float) -> dict[str, object]:
    """Return one line of the results."""
    return {
        "name": f"proxy: {name}",
        "value": round(value, 2),
        "unit": unit,
        "ratio_to": "nginx",
        "ratio": round(ratio, 2),
        "goal": goal,
        "met": ratio >= goal,
    }


def middle(samples: list[Sample], field: str) -> float:
    """Return the median of one figure."""
    return float(statistics.median(getattr(sample, field) for sample in samples))


def judge(name: str, ours: list[Sample], peers: list[Sample], *, goal: float) -> list[dict[str, object]]:
    """Compare rounds by rate and by CPU."""
    rate, cpu = middle(ours, "per_second"), middle(ours, "cpu_micros")
    return [
        entry(f"{name}: rate", rate, "1/s", ratio=rate / middle(peers, "per_second"), goal=goal),
        entry(f"{name}: CPU", cpu, "µs", ratio=middle(peers, "cpu_micros") / cpu, goal=goal),
    ]


async def measure(world: World, seconds: float, *, rounds: int, only: str) -> list[dict[str, object]]:
    """Run every load in turns."""
    results: list[dict[str, object]] = []
    if only in "idle tunnels":
        # First of all: later on there is memory that was used before, and nothing would show.
        ours_bytes = await idle_tunnels(world.ours)
        peer_bytes = await idle_tunnels(world.nginx)
        line = entry("idle tunnel: memory", ours_bytes / 1000, "KB", ratio=peer_bytes / ours_bytes, goal=0)
        results.append({**line, "goal": "<= 6 KB", "met": ours_bytes <= 6000})
    for load in LOADS:
        if only not in load.name:
            continue
        ours, peers = [], []
        for _ in range(rounds):
            peers.append(await wrk(world.nginx, load, seconds))
            ours.append(await wrk(world.ours, load, seconds))
        results += judge(load.name, ours, peers, goal=load.goal)
        if load.connections == 32 and load.name == "small keep-alive":
            p99, peer_p99 = middle(ours, "p99_ms"), middle(peers, "p99_ms")
            results.append(entry(f"{load.name}: p99", p99, "ms", ratio=peer_p99 / p99, goal=round(1 / 1.5, 2)))
    for name, run, goal in (("small-message tunnel", small_messages, 0.85), ("bulk tunnel", bulk, 1.2)):
        if only not in name:
            continue
        ours, peers = [], []
        for _ in range(rounds):
            peers.append(Sample(*await run(world.nginx, seconds)))
            ours.append(Sample(*await run(world.ours, seconds)))
        results += judge(name, ours, peers, goal=goal)
    return results


async def run(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Measure in a world of its own."""
    async with running_world() as world:
        return await measure(world, arguments.seconds, rounds=arguments.rounds, only=arguments.only)


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="loads whose name contains this; results are then not written")
    arguments = parser.parse_args()
    results = uvloop.run(run(arguments))
    for line in results:
        met = "met" if line["met"] else "MISSED"
        words = (f"{line['name']!s:52}", f"{line['value']!s:>10}", f"{line['unit']!s:4}", f"{line['ratio']!s:>6} x")
        print(*words, f" goal {line['goal']!s:8}", met)
    if not arguments.only:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    sys.exit(0)


if __name__ == "__main__":
    main()
