"""
Runs backends as containers of a Docker engine. Carries out and tells; decides nothing about a backend's life.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from functools import partial
from random import Random
from typing import Any

import structlog
from docker import APIClient
from docker.errors import NotFound
from docker.utils import version_lt

from agentd.runtime.addresses import address_at, probe_ip, split_address
from agentd.runtime.docker import images
from agentd.runtime.docker.cgroup_stats import CpuReading, metrics_between, read_cpu
from agentd.runtime.docker.container_spec import container_name, create_config
from agentd.runtime.docker.containers import (
    condition_of,
    find,
    list_containers,
    remove_ended,
    remove_entirely,
    send_signal,
)
from agentd.runtime.docker.engine import Engine, Lane, connect
from agentd.runtime.docker.engine_events import event_filters
from agentd.runtime.docker.engine_watch import EngineWatch
from agentd.runtime.docker.event_stream import EventStream
from agentd.runtime.docker.mount_directory import ensure_directory
from agentd.runtime.docker.mount_path import MountPlan, plan_mount
from agentd.runtime.docker.published_ports import published_port, readiness_port_of
from agentd.runtime.docker.start_attempt import EndedAtOnce, StartAttempt, StartPlan
from agentd.runtime.interface import (
    Condition,
    ExitListener,
    PrepareFailed,
    RuntimeFailure,
    Started,
    StartFailed,
    StartOrder,
)
from agentd.runtime.readiness import wait_for_answer
from agentd.runtime.session_environment import port_of
from agentd.runtime.settings import RuntimeSettings
from daemonkit.backoff import Backoff, Delays
from protocol.metrics import BackendMetrics
from protocol.spawn import Executable, Readiness

_log = structlog.get_logger(__name__)

_OLDEST_API = "1.41"  # the first with one-shot samples
_RECONNECT = Delays(first=0.05, longest=1.0)


class DockerRuntime:
    """The Runtime of `agentd.runtime.interface`, by Docker."""

    def __init__(self, settings: RuntimeSettings, *, environment: Mapping[str, str], dice: Random) -> None:
        self._settings = settings
        self._environment = environment  # DOCKER_HOST and its kin
        self._dice = dice
        self._cpu: dict[str, CpuReading] = {}
        self._engine: Engine
        self._watch: EngineWatch

    async def open(self, on_exit: ExitListener) -> None:
        """Connect and begin to watch. Raises RuntimeFailure when there is no engine that can do what it must."""
        client = await asyncio.to_thread(connect, self._environment)
        self._engine = Engine(client)
        try:
            await self._engine.call(self._check_engine)
            drone = self._settings.drone
            stream = EventStream(client, event_filters(drone), backoff=Backoff(_RECONNECT, self._dice))
            self._watch = EngineWatch(self._engine, stream, drone=drone)

            def exited(backend: str, exit_code: int | None) -> None:
                self._cpu.pop(backend, None)
                on_exit(backend, exit_code)

            await self._watch.open(exited)
        except BaseException:
            self._engine.close()
            raise

    async def close(self) -> None:
        """Stop watching and let go of the engine; running containers are left alone."""
        await self._watch.close()
        self._engine.close()

    async def prepare(self, executable: Executable) -> None:
        """Make the image available. Raises PrepareFailed."""
        abandoned = threading.Event()
        try:
            if await self._engine.call(partial(images.needs_pull, executable=executable)):
                pull = partial(images.pull, executable=executable, is_abandoned=abandoned.is_set)
                await self._engine.call(pull, Lane.PULL)
        except PrepareFailed:
            raise
        except RuntimeFailure as failure:
            raise PrepareFailed(str(failure)) from failure
        finally:
            abandoned.set()

    async def start(self, order: StartOrder) -> Started:
        """Create and start a container. Raises StartFailed. Cancelled in the middle, it leaves nothing behind."""
        attempt = StartAttempt(self._plan(order))
        self._watch.start_begun(order.backend)
        try:
            started = await self._run(attempt)
        except BaseException as failure:
            if isinstance(failure, EndedAtOnce):
                # It lived, if only for a moment.
                self._watch.start_done(order.backend, failure.container_id)
                self._watch.ended(failure.container_id, order.backend, exit_code=failure.exit_code)
            else:
                self._watch.start_failed(order.backend, attempt.container_id)
            raise
        self._watch.start_done(order.backend, started.container_id)
        return started

    async def _run(self, attempt: StartAttempt) -> Started:
        running = asyncio.ensure_future(self._engine.call(attempt.run, Lane.START))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await self._take_back(attempt, running)
            raise
        except StartFailed:
            raise
        except RuntimeFailure as failure:
            raise StartFailed(str(failure)) from failure

    async def wait_until_ready(self, started: Started, executable: Executable) -> None:
        """Return as soon as the backend answers HTTP. Sets no limit: the caller cancels."""
        _, port = split_address(started.address)
        inner = readiness_port_of(executable)
        if inner != port_of(executable):
            inspection = await self._engine.call(lambda client: client.inspect_container(started.container_id))
            port = published_port(inspection, inner) or port
        await wait_for_answer(address_at(probe_ip(self._settings), port), (executable.readiness or Readiness()).target)

    async def terminate(self, backend: str, *, hard: bool) -> bool:
        """Send SIGTERM or SIGKILL; return as soon as it is sent. False when there was nothing to signal."""
        return await self._engine.call(
            partial(send_signal, backend=backend, drone=self._settings.drone, hard=hard),
        )

    async def inspect(self, backend: str) -> Condition:
        """Ask the engine itself what became of a backend."""
        return condition_of(await self._engine.call(partial(find, backend=backend, drone=self._settings.drone)))

    async def remove(self, backend: str) -> None:
        """Delete the remains of an ended backend, its anonymous volumes too. Raises RuntimeFailure if it still runs."""
        await self._engine.call(partial(remove_ended, backend=backend, drone=self._settings.drone))
        self._cpu.pop(backend, None)

    async def list_own(self) -> list[str]:
        """Name all backends of this drone that the engine knows, running or not."""
        rows = await self._engine.call(partial(list_containers, drone=self._settings.drone))
        return [row.backend for row in rows]

    async def sample(self, backend: str) -> BackendMetrics | None:
        """Measure one backend since the sample before; None for the first, and for one that does not run."""

        def measure(client: APIClient) -> Mapping[str, Any]:
            try:
                stats: Mapping[str, Any] = client.stats(container_name(backend), stream=False, one_shot=True)
            except NotFound:
                return {}
            return stats

        stats = await self._engine.call(measure, Lane.SAMPLE)
        before = self._cpu.get(backend)
        now = read_cpu(stats)
        if now is None:
            self._cpu.pop(backend, None)
            return None
        self._cpu[backend] = now
        return metrics_between(backend, stats, before=before)

    def _plan(self, order: StartOrder) -> StartPlan:
        mount = plan_mount(order, has_base=self._settings.mount_base is not None)
        if mount.left_out is not None:
            _log.warning("mount_left_out", backend=order.backend, reason=mount.left_out)
        return StartPlan(
            backend=order.backend,
            drone=self._settings.drone,
            ip=self._settings.ip,
            container_port=port_of(order.executable),
            config=partial(self._config, order, mount),
        )

    def _config(self, order: StartOrder, mount: MountPlan) -> dict[str, Any]:
        source = None
        if mount.parts:
            assert self._settings.mount_base is not None
            source = ensure_directory(self._settings.mount_base, mount.parts)
        return create_config(order, self._settings, mount_source=source)

    async def _take_back(self, attempt: StartAttempt, running: asyncio.Future[Started]) -> None:
        """Wait until nothing of an attempt is left. Cancelled again, its thread still cleans up by itself."""
        running.add_done_callback(_consume)
        if not attempt.abandon():
            running.cancel()
            return
        await asyncio.wait([running])
        if attempt.succeeded:
            # It was up already when the cancellation came.
            started = running.result()
            await self._engine.call(partial(remove_entirely, container=started.container_id))

    def _check_engine(self, client: APIClient) -> None:
        if version_lt(client.api_version, _OLDEST_API):
            raise RuntimeFailure(
                f"the engine's API is {client.api_version}; Docker 20.10 (API {_OLDEST_API}) is needed"
            )
        runtime = self._settings.docker_runtime
        known = sorted(client.info().get("Runtimes") or {})
        if runtime is not None and runtime not in known:
            raise RuntimeFailure(f"the engine has no runtime {runtime!r}; it has {', '.join(known)}")
        base = self._settings.mount_base
        if base is not None and not base.is_dir():
            raise RuntimeFailure(f"the mount base {base} is not a directory")


def _consume(running: asyncio.Future[Started]) -> None:
    # The attempt was given up, so nobody else asks for its outcome.
    if not running.cancelled() and (error := running.exception()) is not None:
        _log.debug("abandoned_start_ended", error=str(error))
