"""
Takes orders and keeps the drivers of all backends. Each order is carried out once, and acknowledged when journalled.

It decides nothing about a life: that is `lifecycle`; nor about a lease: that is `leases`.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial

import structlog

from agentd.driver import BackendDriver, DriverPacing
from agentd.journal import Journal
from agentd.lease_keeper import LeaseKeeper
from agentd.leases import LeaseCommand
from agentd.lifecycle import Begin, HardAsked, SoftAsked
from agentd.reporter import Reporter
from agentd.runtime.interface import Runtime, StartOrder
from daemonkit.link import Link
from protocol.actions import ActionOrder, Prepare, Spawn, Terminate
from protocol.backend_state import BackendState, BackendStatus, Terminated, TerminationKind, TerminationReason
from protocol.drone_messages import AckAction, FromDrone

log = structlog.get_logger(__name__)


class Supervisor:
    """Everything that runs on this drone."""

    def __init__(
        self, runtime: Runtime, journal: Journal, *, reporter: Reporter, keeper: LeaseKeeper, pacing: DriverPacing
    ) -> None:
        self._runtime = runtime
        self._journal = journal
        self._reporter = reporter
        self._keeper = keeper
        self._pacing = pacing
        self._drivers: dict[str, BackendDriver] = {}
        self._orders: asyncio.Queue[ActionOrder] = asyncio.Queue()
        self._link: Link | None = None
        self._is_closing = False
        self._emptied = asyncio.Event()

    @property
    def running(self) -> list[str]:
        """The backends whose containers run."""
        return [backend for backend, driver in self._drivers.items() if driver.is_up]

    @property
    def count(self) -> int:
        """How many backends there are, in whatever state."""
        return len(self._drivers)

    def connected(self, link: Link) -> None:
        """Acknowledge on this connection from now on."""
        self._link = link

    def disconnected(self) -> None:
        """Acknowledge nothing; what is not acknowledged comes again."""
        self._link = None

    def deliver(self, order: ActionOrder) -> None:
        """Take an order from the controller; it is carried out in its turn."""
        if order.backend_id is None and not isinstance(order.action.variant, Prepare):
            log.error("order_refused", action=order.action_id, reason="it names no backend")
        elif not self._is_closing:
            self._orders.put_nowait(order)

    def exited(self, backend: str, exit_code: int | None) -> None:
        """Pass on the engine's word that a container ended."""
        if backend in self._drivers:
            self._drivers[backend].exited(exit_code)

    async def run(self) -> None:
        """Carry out orders, until cancelled; cancelled, it leaves what runs as it is."""
        async with asyncio.TaskGroup() as lives:
            while True:
                orders = [await self._orders.get()]
                while not self._orders.empty():
                    orders.append(self._orders.get_nowait())
                for taken in await self._journal.take(orders):
                    if taken.is_new:
                        await self._carry_out(taken.order, lives)
                    self._acknowledge(taken.order)

    async def end_all(self, *, soft_seconds: float, hard_seconds: float) -> list[str]:
        """Take no more orders, end every backend, and return when the time is over, with those that are not gone."""
        self._is_closing = True
        for ask, seconds in ((SoftAsked, soft_seconds), (HardAsked, hard_seconds)):
            for driver in self._drivers.values():
                driver.tell(ask(TerminationReason.EXTERNAL))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wait_until_empty()
        return sorted(self._drivers)

    async def _wait_until_empty(self) -> None:
        while self._drivers:
            self._emptied.clear()
            await self._emptied.wait()

    async def _carry_out(self, order: ActionOrder, lives: asyncio.TaskGroup) -> None:
        backend = order.backend_id
        match order.action.variant:
            case Spawn() as spawn if backend is not None:
                self._spawn(backend, spawn, lives=lives)
            case Terminate() as terminate if backend is not None:
                await self._terminate(backend, terminate)
            case other:
                log.warning("order_not_understood", action=order.action_id, kind=type(other).__name__)

    def _spawn(self, backend: str, spawn: Spawn, *, lives: asyncio.TaskGroup) -> None:
        if spawn.key is not None and not self._keeper.may_take_up(spawn.key.deadlines):
            state = Terminated(BackendStatus.SCHEDULED, reason=TerminationReason.KEY_EXPIRED)
            self._reporter.report(backend, state)
            return
        order = StartOrder(backend, spawn.executable, spawn.key, spawn.static_token)
        driver = BackendDriver(order, runtime=self._runtime, report=self._report, pacing=self._pacing)
        self._drivers[backend] = driver
        lives.create_task(self._live(driver), name=f"life of {backend}")
        if spawn.key is None:
            driver.tell(Begin())
        else:
            self._keeper.hold(backend, spawn.key.deadlines, obey=partial(_obey, driver))

    async def _live(self, driver: BackendDriver) -> None:
        try:
            await driver.run()
        finally:
            self._keeper.release(driver.backend)
            del self._drivers[driver.backend]
            self._emptied.set()

    async def _terminate(self, backend: str, order: Terminate) -> None:
        driver = self._drivers.get(backend)
        if driver is not None:
            ask = SoftAsked if order.kind is TerminationKind.SOFT else HardAsked
            driver.tell(ask(order.reason))
            return
        # Already gone is success, and is reported; the first report stands if there was one.
        await self._reporter.journalled()
        known, is_on_its_way = await self._journal.ended_state(backend)
        if not is_on_its_way:
            gone = Terminated(BackendStatus.SCHEDULED, order.kind, order.reason)
            self._reporter.report(backend, known or gone)

    def _report(self, backend: str, state: BackendState) -> None:
        self._reporter.report(backend, state)
        if isinstance(state, Terminated):
            self._keeper.release(backend)

    def _acknowledge(self, order: ActionOrder) -> None:
        if self._link is not None:
            self._link.send(FromDrone(ack_action=AckAction(order.action_id)))


def _obey(driver: BackendDriver, command: LeaseCommand) -> None:
    match command:
        case LeaseCommand.LET_START:
            driver.tell(Begin())
        case LeaseCommand.END_SOFTLY:
            driver.tell(SoftAsked(TerminationReason.KEY_EXPIRED))
        case LeaseCommand.KILL:
            driver.tell(HardAsked(TerminationReason.KEY_EXPIRED))
        case LeaseCommand.ASK_RENEWAL:
            raise AssertionError("the keeper asks by itself")
