"""
How many connects and statuses a controller answers on one core, beside a straightforward implementation in the same
run; and how many round trips to the database one takes.

Run as `python -m benchmarks.connect`. Rates depend on who else uses the machine; CPU for each request hardly does, so
that is what goals and ratios are judged by: a core that does nothing else answers one second over it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg

from benchmarks.connect_world import (
    CLUSTER,
    Measured,
    controller,
    database,
    distant,
    load,
    naive,
    refresh,
)

RESULTS = Path(__file__).parent / "results" / "connect.json"
SPAWN = {"executable": {"image": "app:1", "env": {"A": "b"}}, "cluster": CLUSTER, "max_idle_seconds": 60}
PERSON = {"user": "user-123", "auth": {"role": "admin"}}
HELD = json.dumps({"key": {"name": "held"}, "spawn_config": SPAWN, **PERSON}).encode()
FREE = json.dumps({"spawn_config": SPAWN, **PERSON}).encode()
JSON = {"content-type": "application/json"}
ONE_WAY = 0.0025
ASKED: dict[str, bytes | None] = {"connect, key held": HELD, "connect, key free": FREE, "status": None}
#: What the finished controller is to reach on one core.
GOALS = {"connect, key held": 1500, "connect, key free": 1500, "status": 3000}


def main() -> None:
    """Measure, print a table, write the results."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.connect")
    options.add_argument("--seconds", type=int, default=3, help="of load in one round")
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    with database() as dsn:
        rows = measure_load(dsn, chosen.seconds, rounds=chosen.rounds)
        rows += measure_distance(dsn)
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    for row in rows:
        ratio = "" if row["ratio"] is None else f"{row['ratio']:8.2f} x {row['ratio_to']}"
        goal = "" if row["goal"] is None else f"goal {row['goal']}: {'met' if row['met'] else 'NOT met'}"
        print(f"{row['name']:50} {row['value']:10} {row['unit']:24} {ratio:26} {goal}")


def measure_load(dsn: str, seconds: int, *, rounds: int) -> list[dict[str, Any]]:
    """Load the product and its peer in turns."""
    seen: dict[tuple[str, str], list[Measured]] = {}
    with controller(dsn) as ours, naive(dsn) as theirs:
        for number in range(1 + rounds):
            for name, body in ASKED.items():
                for who, served in (("ours", ours), ("naive", theirs)):
                    if who == "naive" and body is None:
                        continue
                    time.sleep(0.5)  # what the last round left unanswered
                    refresh(dsn)
                    first = httpx.post(f"{served.url}/ctrl/connect", content=HELD, headers=JSON).json()
                    path = "/ctrl/connect" if body else f"/pub/b/{first['backend_id']}/status"
                    measured = load(served, path, body, seconds=seconds)
                    if number:  # the first round is for warming up
                        seen.setdefault((name, who), []).append(measured)
    rows = []
    for name in ASKED:
        rows += tell(name, seen[name, "ours"], seen.get((name, "naive")))
    return rows


def tell(name: str, ours: list[Measured], theirs: list[Measured] | None) -> list[dict[str, Any]]:
    """Sum up one kind of request."""
    cpu = statistics.median(round_.cpu for round_ in ours)
    rate = statistics.median(round_.rate for round_ in ours)
    capacity = round(1e6 / cpu)
    rows = []
    ratio = None
    if theirs:
        their_cpu = statistics.median(round_.cpu for round_ in theirs)
        their_rate = statistics.median(round_.rate for round_ in theirs)
        ratio = round(their_cpu / cpu, 2)
        rows.append(row(f"{name}: naive, CPU", round(their_cpu), "us a request"))
        rows.append(row(f"{name}: naive, rate in this run", round(their_rate), "requests/s"))
    rows.append(row(f"{name}: CPU", round(cpu), "us a request"))
    rows.append(row(f"{name}: rate in this run", round(rate), "requests/s"))
    goal = GOALS[name]
    rows.append(
        row(f"{name}: one core", capacity, "requests/core-second")
        | {"ratio_to": "naive" if ratio else None, "ratio": ratio, "goal": f">= {goal}", "met": capacity >= goal}
    )
    return rows


def measure_distance(dsn: str) -> list[dict[str, Any]]:
    """
    Ask one at a time, with the database 5 ms away; the same wire without a delay tells what the rest takes.

    The unit is what a round trip over that wire really takes, which is more than the delay.
    """
    near_trip, far_trip = [trip_time(dsn, one_way) for one_way in (0.0, ONE_WAY)]
    trip = far_trip - near_trip
    rows = [row("a round trip to a database 5 ms away", round(trip * 1000, 2), "ms")]
    for who, serve, limit in (("naive", naive, None), ("ours", controller, 1.3)):
        for name, body in (("key held", HELD), ("key free", FREE)):
            near, far = [median_latency(serve, dsn, body=body, one_way=one_way) for one_way in (0.0, ONE_WAY)]
            trips = (far - near) / trip
            rows.append(row(f"connect, {name}, 5 ms away: {who}, answered after", round(far * 1000, 1), "ms"))
            judged = {} if limit is None else {"goal": f"<= {limit}", "met": trips <= limit}
            rows.append(row(f"connect, {name}, 5 ms away: {who}", round(trips, 2), "round trips") | judged)
    return rows


def trip_time(dsn: str, one_way: float) -> float:
    """Return how long the smallest statement takes at a distance."""
    times = []
    with distant(dsn, one_way) as place, psycopg.connect(place, autocommit=True) as connection:
        for _ in range(150):
            began = time.perf_counter()
            connection.execute("select 1", prepare=True)
            times.append(time.perf_counter() - began)
    return statistics.median(times[50:])


def median_latency(serve: Callable[[str], Any], dsn: str, *, body: bytes, one_way: float) -> float:
    """Return the median time of requests that come one after the other, in seconds."""
    refresh(dsn)
    times = []
    with distant(dsn, one_way) as place, serve(place) as served, httpx.Client() as client:
        for _ in range(150):
            began = time.perf_counter()
            client.post(f"{served.url}/ctrl/connect", content=body, headers=JSON).raise_for_status()
            times.append(time.perf_counter() - began)
    return statistics.median(times[50:])


def row(name: str, value: float, unit: str) -> dict[str, Any]:
    """Return one line of the results."""
    return {"name": name, "value": value, "unit": unit, "ratio_to": None, "ratio": None, "goal": None, "met": None}


if __name__ == "__main__":
    main()
