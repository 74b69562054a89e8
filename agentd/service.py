"""
The agent as a whole: puts its parts together, runs them until it is told to stop, and takes its backends along.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import structlog
from msgspec import UNSET

from agentd.capacity import read_capacity, read_load
from agentd.clock import Clock, read_boot_id, since_boot_ms, steady_clock, wall_ms
from agentd.heartbeat import HeartbeatSender
from agentd.journal import Identity, Journal, open_journal
from agentd.journal_thread import JournalFailure
from agentd.lease_keeper import LeaseKeeper
from agentd.leftovers import kill_leftovers, report_leftovers
from agentd.reporter import Reporter
from agentd.runtime.interface import Runtime, RuntimeFailure
from agentd.sampling import Sampler
from agentd.session import AgentSession
from agentd.settings import AgentSettings, StopPacing
from agentd.supervisor import Supervisor
from daemonkit.control_channel import ControlChannel, Tuning
from daemonkit.service import CannotServe
from protocol.channel import Extension, Handshake, Version
from protocol.drone_messages import ToDrone

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Agent:
    """The parts of one running agent."""

    runtime: Runtime
    supervisor: Supervisor
    reporter: Reporter
    session: AgentSession
    chores: tuple[Callable[[], Coroutine[Any, Any, None]], ...]  #: what goes on all the time, beside the channel


async def run_agent(
    settings: AgentSettings,
    make_runtime: Callable[[str], Runtime],
    *,
    stopping: asyncio.Event,
    version: Version,
    tuning: Tuning | None = None,
) -> None:
    """
    Be this drone's agent until told to stop; `make_runtime` is given the drone's name.

    Raises:
        CannotServe: no engine, no journal, leftovers that cannot be killed, or backends that did not end in time.
    """
    try:
        async with contextlib.AsyncExitStack() as exits:
            journal = open_journal(settings.journal)
            exits.push_async_callback(journal.close)
            identity = await journal.identify(settings.name, settings.cluster, insists=settings.is_name_given)
            runtime = make_runtime(identity.name)
            agent = _assemble(settings, runtime, journal=journal, clock=await _settle_clock(journal))
            # Nothing runs yet: an engine that is slow to answer must not keep us from ending.
            if not await _finishes(runtime.open(agent.supervisor.exited), before=stopping):
                return
            exits.push_async_callback(runtime.close)
            clearing = asyncio.ensure_future(kill_leftovers(runtime))
            if not await _finishes(clearing, before=stopping):
                return
            killed = clearing.result()
            report_leftovers(await journal.leftovers(), killed, report=agent.reporter.report)
            channel = ControlChannel(
                settings.controller,
                f"/ctrl/c/{quote(settings.cluster)}/drone-socket?{urlencode({'pool': settings.pool})}",
                handshake=_handshake(identity, version, has_file=settings.journal is not None),
                incoming=ToDrone,
                user=agent.session,
                tuning=tuning or Tuning(),
            )
            log.info("agent_started", drone=identity.name, cluster=settings.cluster, pool=settings.pool)
            await _serve(agent, channel, stopping=stopping, pacing=settings.stopping)
    except* (JournalFailure, RuntimeFailure) as failures:
        raise CannotServe("; ".join(_sentences(failures))) from failures


async def _finishes(work: Awaitable[object], *, before: asyncio.Event) -> bool:
    """Wait for some work, or until told to stop; then give it up and return False."""
    working = asyncio.ensure_future(work)
    told = asyncio.ensure_future(before.wait())
    try:
        await asyncio.wait({working, told}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
        return working.done()
    finally:
        for task in (working, told):
            task.cancel()
        await asyncio.wait({working, told})


async def _settle_clock(journal: Journal) -> Clock:
    return steady_clock(await journal.settle_clock(read_boot_id(), wall=wall_ms(), since_boot=since_boot_ms()))


def _assemble(settings: AgentSettings, runtime: Runtime, *, journal: Journal, clock: Clock) -> Agent:
    reporter = Reporter(journal, clock, pacing=settings.reporting)
    keeper = LeaseKeeper(clock)
    supervisor = Supervisor(runtime, journal, reporter=reporter, keeper=keeper, pacing=settings.driving)
    heartbeat = HeartbeatSender(
        clock, settings.heartbeat, capacity=read_capacity, load=lambda: read_load(supervisor.count)
    )
    sampler = Sampler(runtime, lambda: supervisor.running, interval=settings.sample_every)
    session = AgentSession(supervisor, reporter, keeper=keeper, others=(heartbeat, sampler))
    chores = (supervisor.run, reporter.run, keeper.run, heartbeat.run, sampler.run)
    return Agent(runtime, supervisor, reporter, session, chores)


def _handshake(identity: Identity, version: Version, *, has_file: bool) -> Handshake:
    # A journal in memory is no identity: whoever has none is taken as published drones are.
    extensions = [Extension.BATCH, Extension.CAPACITY, *([Extension.INSTANCE] if has_file else [])]
    instance = identity.instance if has_file else UNSET
    return Handshake(version, identity.name, [str(name) for name in extensions], instance)


async def _serve(
    agent: Agent, channel: ControlChannel[ToDrone], *, stopping: asyncio.Event, pacing: StopPacing
) -> None:
    """Run all parts until told to stop; whatever happens, leave no backend behind."""
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(chore()) for chore in (channel.run, *agent.chores)]
            await stopping.wait()
            left = await agent.supervisor.end_all(soft_seconds=pacing.soft, hard_seconds=pacing.hard)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pacing.flush):
                    await agent.reporter.flush()
            for task in running:
                task.cancel()
    except BaseException:
        await _kill_everything(agent.runtime, within=pacing.hard)
        raise
    if left:
        raise CannotServe(f"these backends did not end in time, and may still run: {', '.join(left)}")


async def _kill_everything(runtime: Runtime, *, within: float) -> None:
    try:
        async with asyncio.timeout(within):
            await kill_leftovers(runtime)
    except (TimeoutError, RuntimeFailure) as failure:
        log.error("backends_left_running", reason=str(failure) or "out of time")  # noqa: TRY400 - no mistake of ours


def _sentences(failures: BaseExceptionGroup[BaseException]) -> list[str]:
    sentences = []
    for failure in failures.exceptions:
        sentences += _sentences(failure) if isinstance(failure, BaseExceptionGroup) else [str(failure)]
    return sentences
