"""
Waits until the parts of a demo have found each other, by asking them over HTTP; sets a limit to each wait.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Final

import httpx

from planectl.async_client import AsyncClient
from planectl.calls import ApiFailure, ControllerUnreachable
from planectl.demo.settings import IMAGE, KEY, DemoSettings
from protocol.api_errors import PASSING
from protocol.backend_state import BackendStatus
from protocol.connect import ConnectRequest, ConnectResponse
from protocol.keys import LenientKeyConfig
from protocol.spawn import Executable, SpawnConfig

_INTERVAL: Final = 0.1
_PART_LIMIT: Final = 60.0
#: After a crash the key may be held for one whole lease by a backend that is no more.
_BACKEND_LIMIT: Final = 120.0
#: So many new backends may end before they are ready; more would end in the same way.
_MOST_SPAWNS: Final = 3


class NotReady(Exception):
    """Something did not come up in time, or not as it should."""


class DemoReadiness:
    """Asks the parts of one demo, directly: no proxy of the surroundings has a say in addresses of this machine."""

    def __init__(self, settings: DemoSettings, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        direct = transport or httpx.AsyncHTTPTransport()
        self._client = AsyncClient(settings.controller_address, transport=direct)
        self._http = httpx.AsyncClient(transport=direct, timeout=5.0)

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()
        await self._http.aclose()

    async def controller(self) -> None:
        """Wait until the controller and its database answer."""

        async def answers() -> bool:
            return (await self._client.controller_status()).status == "ok"

        await _poll("controller", answers)

    async def drone(self, name: str) -> None:
        """Wait until the controller would give this drone a backend."""

        async def is_listed() -> bool:
            state = await self._client.cluster_state(self._settings.cluster)
            return any(drone.ready and drone.node.name.variant == name for drone in state.drones)

        await _poll("drone", is_listed)

    async def proxy(self) -> None:
        """Wait until the proxy says that it is ready."""

        async def is_ready() -> bool:
            return (await self._http.get(f"{self._settings.proxy_address}/ready")).status_code == 200

        await _poll("proxy", is_ready)

    async def backend(self) -> ConnectResponse:
        """Connect with the demo's key until that leads to a page. Raises NotReady."""
        try:
            async with asyncio.timeout(_BACKEND_LIMIT):
                return await self._connect_until_answered()
        except TimeoutError:
            raise NotReady(
                f"No backend answered within {_BACKEND_LIMIT:.0f} s; see the logs of drone and proxy."
            ) from None

    async def _connect_until_answered(self) -> ConnectResponse:
        spawns = 0
        while True:
            try:
                answer = await self._client.connect(request_of(self._settings))
                spawns += answer.spawned
                if await self._follow(answer.backend_id) and await self._answers(answer):
                    return answer
            except ApiFailure as failure:
                if failure.kind not in PASSING:
                    raise NotReady(f"The controller gives no backend: {failure}.") from failure
            except (ControllerUnreachable, httpx.TransportError):
                pass  # if it has died, its supervisor says so; else it will be back
            if spawns >= _MOST_SPAWNS:
                raise NotReady(f"{spawns} backends have ended before they were ready; see the drone's log.")
            await asyncio.sleep(_INTERVAL)

    async def _follow(self, backend: str) -> bool:
        """Tell whether a backend becomes ready."""
        async with aclosing(self._client.status_stream(backend)) as views:
            async for view in views:
                if view.status is BackendStatus.READY:
                    return True
                if view.status.is_ending:
                    return False
        return False

    async def _answers(self, answer: ConnectResponse) -> bool:
        """Tell whether the proxy leads to the backend: one that was left by a crash may be ready only on paper."""
        page = await self._http.get(f"{self._settings.proxy_address}/{answer.token}/", headers=self._host)
        return page.status_code == 200

    @property
    def _host(self) -> dict[str, str]:
        return {"Host": self._settings.cluster}


def request_of(settings: DemoSettings) -> ConnectRequest:
    # Never pulled: the image exists on this machine only.
    executable = Executable(image=IMAGE, pull_policy="Never")
    return ConnectRequest(
        key=LenientKeyConfig(KEY), spawn_config=SpawnConfig(executable=executable, cluster=settings.cluster)
    )


async def _poll(name: str, is_ready: Callable[[], Awaitable[bool]]) -> None:
    reason = "it said nothing"
    try:
        async with asyncio.timeout(_PART_LIMIT):
            while True:
                try:
                    if await is_ready():
                        return
                except (ControllerUnreachable, ApiFailure, httpx.TransportError) as error:
                    reason = str(error)
                await asyncio.sleep(_INTERVAL)
    except TimeoutError:
        raise NotReady(f"The {name} was not ready after {_PART_LIMIT:.0f} s: {reason}") from None
