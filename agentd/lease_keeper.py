"""
Acts on leases: asks for renewals, wakes the machines in time, and passes on what they demand. Decides nothing itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from agentd.clock import Clock
from agentd.leases import Event, LeaseCommand, LeaseMachine, Reconnected, RenewalAnswered, Tick, is_startable
from daemonkit.link import Link
from protocol.drone_messages import FromDrone, RenewKey, RenewKeyResponse
from protocol.keys import Deadlines

log = structlog.get_logger(__name__)

#: Told what a lease demands of its backend.
Obey = Callable[[LeaseCommand], None]

#: The loop's timers stand still while the machine is suspended, the drone's clock does not: look at least so often.
LONGEST_SLEEP = 0.5


class LeaseKeeper:
    """Keeps the leases of all backends of this drone."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._leases: dict[str, tuple[LeaseMachine, Obey]] = {}
        self._link: Link | None = None
        self._changed = asyncio.Event()

    def may_take_up(self, deadlines: Deadlines) -> bool:
        """Tell whether an order with these deadlines is not too old already."""
        return is_startable(deadlines, self._clock())

    def hold(self, backend: str, deadlines: Deadlines, *, obey: Obey) -> None:
        """Keep a lease from now on; `obey` is called at once if there is something to do."""
        self._leases[backend] = LeaseMachine(deadlines), obey
        self._handle(backend, Tick(self._clock()))

    def release(self, backend: str) -> None:
        """Keep this lease no longer: its backend is gone."""
        self._leases.pop(backend, None)

    def connected(self, link: Link) -> None:
        """Ask again for what may have been asked in vain."""
        self._link = link
        for backend in list(self._leases):
            self._handle(backend, Reconnected(self._clock()))

    def disconnected(self) -> None:
        """Go on counting time; nothing can be asked."""
        self._link = None

    def answered(self, response: RenewKeyResponse) -> None:
        """Take the controller's answer to a renewal."""
        if response.deadlines is None:
            log.warning("key_renewal_refused", backend=response.backend)
        self._handle(response.backend, RenewalAnswered(response.deadlines, self._clock()))

    async def run(self) -> None:
        """Watch the time, until cancelled."""
        while True:
            self._changed.clear()
            now = self._clock()
            for backend, (machine, _) in list(self._leases.items()):
                if machine.wake_at is not None and machine.wake_at <= now:
                    self._handle(backend, Tick(now))
            await self._sleep()

    async def _sleep(self) -> None:
        wakes = [machine.wake_at for machine, _ in self._leases.values() if machine.wake_at is not None]
        until = min(wakes, default=None)
        pause = LONGEST_SLEEP if until is None else min((until - self._clock()) / 1000, LONGEST_SLEEP)
        try:
            async with asyncio.timeout(max(pause, 0.001)):
                await self._changed.wait()
        except TimeoutError:
            return

    def _handle(self, backend: str, event: Event) -> None:
        if backend not in self._leases:
            return
        machine, obey = self._leases[backend]
        for command in machine.handle(event):
            if command is LeaseCommand.ASK_RENEWAL:
                self._ask(backend)
                continue
            if command is not LeaseCommand.LET_START:
                log.warning("key_lease_over", backend=backend, demand=command.value)
            obey(command)
        self._changed.set()

    def _ask(self, backend: str) -> None:
        if self._link is not None:
            self._link.send(FromDrone(renew_key=RenewKey(backend, self._clock())))
