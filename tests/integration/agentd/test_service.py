"""
A whole agent with a runtime in memory, against a controller that is only told what the wire says: real sockets between.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentd.clock import since_boot_ms
from agentd.driver import DriverPacing
from agentd.reporter import ReportPacing
from agentd.runtime.interface import Alive
from agentd.runtime.memory import MemoryRuntime
from agentd.service import run_agent
from agentd.settings import AgentSettings, StopPacing
from daemonkit.backoff import Delays
from daemonkit.control_channel import Tuning
from daemonkit.service import CannotServe
from options.types import parse_controller_address
from protocol.channel import Version
from tests.integration.fake_controller import HANDSHAKE, FakeController, Json, Visit
from tests.integration.waiting import until

TUNING = Tuning(delays=Delays(0.02, 0.1), handshake_timeout=0.2, close_timeout=0.2)
PACING = DriverPacing(grace=0.2, look_every=0.2, look_while_ending=0.05, retry_after=0.02)
ORDINARY_LIFE = ["loading", "starting", "waiting", "ready"]


class Drone:
    """One agent under test, in this process."""

    def __init__(self, controller: FakeController, runtime: MemoryRuntime, journal: Path | None = None) -> None:
        self.controller = controller
        self.runtime = runtime
        self.settings = AgentSettings(
            parse_controller_address(controller.url),
            "c1.example.com",
            "dr-test",
            pool="blue",
            journal=journal,
            heartbeat=0.1,
            sample_every=0.05,
            driving=PACING,
            reporting=ReportPacing(window=10, repeat_after=0.1),
            stopping=StopPacing(soft=0.3, hard=0.3, flush=0.3),
        )
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        """Be the agent."""
        version = Version("0.1.0", "abc")
        await run_agent(
            self.settings, lambda _name: self.runtime, stopping=self.stopping, version=version, tuning=TUNING
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        """Run it until the end of the block, and stop it as SIGTERM does."""
        self.stopping.clear()
        task = asyncio.create_task(self.run())
        try:
            yield task
        finally:
            self.stopping.set()
            async with asyncio.timeout(5):
                await task


@pytest.fixture
async def controller() -> AsyncIterator[FakeController]:
    async with FakeController().serving() as listening:
        listening.answer = thank
        yield listening


@pytest.fixture
def runtime() -> MemoryRuntime:
    return MemoryRuntime()


@pytest.fixture
async def drone(controller: FakeController, runtime: MemoryRuntime) -> AsyncIterator[Drone]:
    agent = Drone(controller, runtime)
    async with agent.running():
        yield agent


def thank(_visit: Visit, message: Json) -> Iterable[Json]:
    """Acknowledge reports as a controller does, and renew no keys."""
    if "BackendEvent" in message:
        yield {"AckEvent": {"event_id": message["BackendEvent"]["event_id"]}}


def spawn(backend: str, *, action: str = "", key: Json | None = None) -> Json:
    """Return a spawn order."""
    order = {"Spawn": {"executable": {"image": backend}, "key": key, "static_token": None}}
    name = action or f"ak-spawn-{backend}"
    return {"Action": {"action_id": name, "backend_id": backend, "drone_id": 1, "action": order}}


def terminate(backend: str, kind: str = "soft", *, action: str = "") -> Json:
    """Return an order to end a backend."""
    order = {"Terminate": {"kind": kind, "reason": "external"}}
    name = action or f"ak-{kind}-{backend}"
    return {"Action": {"action_id": name, "backend_id": backend, "drone_id": 1, "action": order}}


def key_with(now: int, renew: int, soft: int, hard: int) -> Json:
    """Return a key whose deadlines count from `now`, in milliseconds."""
    deadlines = {"renew_at": now + renew, "soft_terminate_at": now + soft, "hard_terminate_at": now + hard}
    return {"key": {"name": "k", "namespace": "", "tag": ""}, "deadlines": deadlines, "token": 7}


def drone_clock(visit: Visit) -> int:
    """Return what the drone's clock said last."""
    return int(visit.of_kind("Heartbeat")[-1]["local_time"])


def states(visit: Visit, backend: str) -> list[Json]:
    """Return the states that were reported of a backend, in the order of arrival."""
    return [event["state"] for event in visit.of_kind("BackendEvent") if event["backend_id"] == backend]


def statuses(visit: Visit, backend: str) -> list[str]:
    """Return only their words."""
    return [state["status"] for state in states(visit, backend)]


async def test_it_introduces_itself_and_beats_at_once(controller: FakeController, drone: Drone) -> None:
    """Path, pool, name, extensions; no instance without a journal file; the first message is a heartbeat."""
    visit = await controller.visit()
    assert visit.path == "/ctrl/c/c1.example.com/drone-socket?pool=blue"
    assert visit.handshake["name"] == "dr-test"
    assert visit.handshake["extensions"] == ["batch", "capacity"]
    assert "instance" not in visit.handshake
    await until(lambda: len(visit.of_kind("Heartbeat")) >= 3)
    first = visit.messages[0]["Heartbeat"]
    assert first["capacity"]["memory_bytes"] > 0
    assert first["load"]["backends"] == 0


async def test_a_published_controller_gets_plain_heartbeats(controller: FakeController, runtime: MemoryRuntime) -> None:
    """What goes beyond the published protocol is sent to nobody who did not ask for it."""
    controller.handshake = {key: value for key, value in HANDSHAKE.items() if key != "extensions"}
    async with Drone(controller, runtime).running():
        visit = await controller.visit()
        await until(lambda: visit.of_kind("Heartbeat"))
    assert set(visit.of_kind("Heartbeat")[0]) == {"local_time"}


async def test_an_ordinary_life(controller: FakeController, drone: Drone, runtime: MemoryRuntime) -> None:
    """Ordered, acknowledged, reported in order, measured, ended softly, and nothing left."""
    visit = await controller.visit()
    await visit.say(spawn("b1"))
    await until(lambda: statuses(visit, "b1") == ORDINARY_LIFE)
    assert visit.of_kind("AckAction") == [{"action_id": "ak-spawn-b1"}]
    assert states(visit, "b1")[-1] == {"status": "ready", "address": "127.0.0.1:4000"}
    await until(lambda: visit.of_kind("BackendMetrics"))
    await visit.say(terminate("b1"))
    await until(lambda: statuses(visit, "b1")[-1] == "terminated")
    assert states(visit, "b1")[-2:] == [
        {"status": "terminating", "last_status": "ready", "termination": "soft", "reason": "external"},
        {"status": "terminated", "last_status": "ready", "termination": "soft", "reason": "external", "exit_code": 0},
    ]
    ids = [event["event_id"] for event in visit.of_kind("BackendEvent")]
    assert ids == sorted(ids)
    await until(lambda: not runtime.containers)


async def test_an_order_that_comes_twice_is_carried_out_once(controller: FakeController, drone: Drone) -> None:
    """By its id, and by its backend; both times it is acknowledged."""
    visit = await controller.visit()
    for order in (spawn("b1"), spawn("b1"), spawn("b1", action="ak-other")):
        await visit.say(order)
    await until(lambda: len(visit.of_kind("AckAction")) == 3)
    await until(lambda: statuses(visit, "b1") == ORDINARY_LIFE)
    assert drone.runtime.starts["b1"] == 1


async def test_reports_are_repeated_until_they_are_acknowledged(controller: FakeController, drone: Drone) -> None:
    """On the same connection after a while, on the next one at once, in order, and then no more."""
    controller.answer = lambda _visit, _message: ()
    first = await controller.visit()
    await first.say(spawn("b1"))
    await until(lambda: statuses(first, "b1") == ORDINARY_LIFE * 2)
    await first.socket.close()
    second = await controller.visit(1)
    await until(lambda: statuses(second, "b1")[:4] == ORDINARY_LIFE)
    for event in first.of_kind("BackendEvent")[:4]:
        await second.say({"AckEvent": {"event_id": event["event_id"]}})
    await asyncio.sleep(0.05)
    second.messages.clear()
    await asyncio.sleep(0.25)
    assert not second.of_kind("BackendEvent")


async def test_a_report_that_nobody_thanks_for_holds_up_no_other(controller: FakeController, drone: Drone) -> None:
    """More reports than fit the window, the first of which are never acknowledged: all arrive."""
    visit = await controller.visit()
    names = [f"b{number}" for number in range(8)]
    controller.answer = lambda _visit, _message: ()
    for name in names:
        await visit.say(spawn(name))
    await until(lambda: all(set(statuses(visit, name)) == set(ORDINARY_LIFE) for name in names))


async def test_what_happened_while_the_controller_was_away_is_told_later(
    controller: FakeController, runtime: MemoryRuntime
) -> None:
    """The agent keeps what it could not say."""
    away = FakeController()
    away.answer = thank
    async with away.serving():
        pass
    async with Drone(away, runtime).running():
        async with away.serving():
            visit = await away.visit()
            await visit.say(spawn("b1"))
            await until(lambda: statuses(visit, "b1") == ORDINARY_LIFE)
        runtime.end("b1", 3)
        await asyncio.sleep(0.1)
        async with away.serving():
            later = await away.visit(1)
            await until(lambda: statuses(later, "b1") == ["terminated"])
            assert states(later, "b1")[0] == {
                "status": "terminated",
                "last_status": "ready",
                "termination": None,
                "reason": None,
                "exit_code": 3,
            }


async def test_what_is_already_gone_is_reported_as_terminated(controller: FakeController, drone: Drone) -> None:
    """A backend that nobody knows; and the spawn order that comes too late for it starts nothing."""
    visit = await controller.visit()
    await visit.say(terminate("b1", "hard"))
    await until(lambda: statuses(visit, "b1") == ["terminated"])
    await visit.say(spawn("b1"))
    await until(lambda: {"action_id": "ak-spawn-b1"} in visit.of_kind("AckAction"))
    await asyncio.sleep(0.1)
    assert statuses(visit, "b1") == ["terminated"]
    assert not drone.runtime.starts


async def test_a_lost_exit_event_is_found_by_asking(controller: FakeController, drone: Drone) -> None:
    """The engine is asked, not only listened to."""
    visit = await controller.visit()
    drone.runtime.script("b1").loses_exit_event = True
    await visit.say(spawn("b1"))
    await until(lambda: statuses(visit, "b1") == ORDINARY_LIFE)
    drone.runtime.end("b1", 1)
    await until(lambda: statuses(visit, "b1")[-1] == "terminated")


async def test_cut_off_it_kills_before_the_hard_deadline(controller: FakeController, runtime: MemoryRuntime) -> None:
    """No controller, no renewal: asked to end at the soft deadline, gone before the hard one."""
    drone = Drone(controller, runtime)
    drone.settings = replace_grace(drone.settings, 30.0)
    async with drone.running():
        visit = await controller.visit()
        runtime.script("b1").ignores_sigterm = True
        await until(lambda: visit.of_kind("Heartbeat"))
        lag = drone_clock(visit) - since_boot_ms()
        await visit.say(spawn("b1", key=key_with(drone_clock(visit), 1000, 2000, 3000)))
        hard_at = drone_clock(visit) + 3000
        await until(lambda: statuses(visit, "b1") == ORDINARY_LIFE)
        controller.handshake = None  # from now on nobody gets through
        await visit.socket.close()
        await until(lambda: ("terminate", "b1") in runtime.calls)
        assert "b1" in runtime.alive
        await until(lambda: not runtime.alive)
        assert since_boot_ms() + lag < hard_at + 500  # the key is free for others a second after the deadline
        controller.handshake = HANDSHAKE
        (last, *_) = await until(lambda: [visit for visit in controller.visits[1:] if states(visit, "b1")])
        await until(lambda: statuses(last, "b1")[-1] == "terminated")
        assert states(last, "b1")[-1]["reason"] == "keyexpired"


async def test_a_key_that_is_renewed_is_kept(controller: FakeController, drone: Drone) -> None:
    """Renewals carry the clock they were asked at, and the backend lives on beyond its first deadlines."""

    def renew(visit: Visit, message: Json) -> Iterable[Json]:
        yield from thank(visit, message)
        if "RenewKey" in message:
            asked = message["RenewKey"]
            deadlines = key_with(asked["local_time"], 200, 3000, 4000)["deadlines"]
            yield {"RenewKeyResponse": {"backend": asked["backend"], "deadlines": deadlines}}

    controller.answer = renew
    visit = await controller.visit()
    await until(lambda: visit.of_kind("Heartbeat"))
    began = drone_clock(visit)
    await visit.say(spawn("b1", key=key_with(began, 200, 3000, 4000)))
    await until(lambda: drone_clock(visit) > began + 4000)
    assert len(visit.of_kind("RenewKey")) >= 2
    assert statuses(visit, "b1") == ORDINARY_LIFE


async def test_a_refused_renewal_ends_the_backend(controller: FakeController, drone: Drone) -> None:
    """Null deadlines mean that the key is no longer ours."""

    def refuse(visit: Visit, message: Json) -> Iterable[Json]:
        yield from thank(visit, message)
        if "RenewKey" in message:
            yield {"RenewKeyResponse": {"backend": message["RenewKey"]["backend"], "deadlines": None}}

    controller.answer = refuse
    visit = await controller.visit()
    await until(lambda: visit.of_kind("Heartbeat"))
    await visit.say(spawn("b1", key=key_with(drone_clock(visit), 50, 60_000, 70_000)))
    await until(lambda: "terminated" in statuses(visit, "b1"))
    assert states(visit, "b1")[-1]["reason"] == "keyexpired"


async def test_orders_that_are_too_old_start_nothing(controller: FakeController, drone: Drone) -> None:
    """Past the deadline: refused. Past the renewal time: renewed first, and started after the answer."""
    controller.answer = thank
    visit = await controller.visit()
    await until(lambda: visit.of_kind("Heartbeat"))
    now = drone_clock(visit)
    await visit.say(spawn("old", key=key_with(now, -3000, -2000, -1000)))
    await until(lambda: statuses(visit, "old") == ["terminated"])
    assert states(visit, "old")[0]["reason"] == "keyexpired"
    await visit.say(spawn("late", key=key_with(now, -1000, 60_000, 70_000)))
    await until(lambda: visit.of_kind("RenewKey"))
    assert not drone.runtime.starts
    fresh = key_with(now, 50_000, 60_000, 70_000)["deadlines"]
    await visit.say({"RenewKeyResponse": {"backend": "late", "deadlines": fresh}})
    await until(lambda: statuses(visit, "late") == ORDINARY_LIFE)
    assert drone.runtime.starts == {"late": 1}


async def test_it_takes_its_backends_along(controller: FakeController, runtime: MemoryRuntime) -> None:
    """Softly, then hard, within its time; the reports still get through."""
    runtime.script("stubborn").ignores_sigterm = True
    async with Drone(controller, runtime).running():
        visit = await controller.visit()
        for name in ("gentle", "stubborn"):
            await visit.say(spawn(name))
        await until(lambda: len(runtime.alive) == 2)
        await until(lambda: statuses(visit, "stubborn") == statuses(visit, "gentle") == ORDINARY_LIFE)
    assert not runtime.containers
    assert states(visit, "gentle")[-1]["termination"] == "soft"
    assert states(visit, "stubborn")[-1]["termination"] == "hard"


async def test_what_it_could_not_end_is_said(controller: FakeController, runtime: MemoryRuntime) -> None:
    """An engine that hangs: the agent ends in time all the same, and as a failure that names what may still run."""
    agent = Drone(controller, runtime)
    running = asyncio.create_task(agent.run())
    visit = await controller.visit()
    await visit.say(spawn("stuck"))
    await until(lambda: statuses(visit, "stuck") == ORDINARY_LIFE)
    runtime.script("stuck").failing_calls.update(terminate=10**6, kill=10**6)
    agent.stopping.set()
    with pytest.raises(CannotServe, match="may still run: stuck"):
        await running
    assert runtime.alive == {"stuck"}


async def test_a_new_run_ends_what_the_old_one_left(
    controller: FakeController, runtime: MemoryRuntime, tmp_path: Path
) -> None:
    """Killed like a power cut: the next run removes the container, reports its end, and numbers reports upwards."""
    drone = Drone(controller, runtime, tmp_path / "journal")
    task = asyncio.create_task(drone.run())
    visit = await controller.visit()
    await visit.say(spawn("b1"))
    await until(lambda: statuses(visit, "b1") == ORDINARY_LIFE)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    runtime.containers["b1"] = Alive()  # as if it had been too sudden for any cleaning
    async with drone.running():
        second = await controller.visit(1)
        assert second.handshake["instance"] == visit.handshake["instance"]
        # What nobody had thanked for when it was cut off comes once more before.
        await until(lambda: "terminated" in statuses(second, "b1"))
        assert not runtime.containers
        assert states(second, "b1")[-1] == {
            "status": "terminated",
            "last_status": "ready",
            "termination": "hard",
            "reason": "internalerror",
            "exit_code": None,
        }
        before = [event["event_id"] for event in visit.of_kind("BackendEvent")]
        assert second.of_kind("BackendEvent")[-1]["event_id"] > max(before)
        await second.say(spawn("b1"))
        await until(lambda: second.of_kind("AckAction"))
        assert runtime.starts["b1"] == 1


@pytest.mark.parametrize("slow", ["open", "list_own"])
async def test_an_engine_that_is_silent_at_the_start_does_not_keep_it_from_ending(
    controller: FakeController, runtime: MemoryRuntime, *, slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told to stop while it waits for its engine, it stops."""
    asked = asyncio.Event()

    async def be_silent(*_: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(runtime, slow, be_silent)
    async with Drone(controller, runtime).running():
        await asked.wait()
    assert not controller.visits


async def test_without_an_engine_it_says_so(controller: FakeController, runtime: MemoryRuntime) -> None:
    """One sentence."""
    runtime.cannot_open = "no engine answers"
    with pytest.raises(CannotServe, match="no engine answers"):
        await Drone(controller, runtime).run()


async def test_a_journal_that_fails_ends_the_agent_and_its_backends(
    controller: FakeController, runtime: MemoryRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: one clear sentence, and no backend that nobody watches."""
    drone = Drone(controller, runtime, tmp_path / "journal")
    task = asyncio.create_task(drone.run())
    visit = await controller.visit()
    await visit.say(spawn("b1"))
    await until(lambda: statuses(visit, "b1") == ORDINARY_LIFE)

    def fail(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("agentd.journal._prune", fail)
    runtime.script("b2").exit_by_itself_after = 0.01
    await visit.say(spawn("b2"))
    with pytest.raises(CannotServe, match="disk is full"):
        await task
    assert not runtime.alive


def replace_grace(settings: AgentSettings, grace: float) -> AgentSettings:
    """Return settings with another grace period."""
    return replace(settings, driving=replace(settings.driving, grace=grace))
