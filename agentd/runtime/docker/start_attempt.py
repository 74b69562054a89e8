"""
One attempt to bring up a container, in blocking calls: mount directory, create, start, look at it.

Whatever goes wrong on the way, and whenever the attempt is given up from another thread, the container is removed
before `run` returns.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from docker import APIClient
from docker.errors import APIError, ImageNotFound, NotFound

from agentd.runtime.addresses import address_at
from agentd.runtime.docker.container_spec import container_name
from agentd.runtime.docker.containers import condition_of, find, insist, remove_entirely
from agentd.runtime.docker.engine import EngineError, describe
from agentd.runtime.docker.published_ports import published_port
from agentd.runtime.interface import Exited, Started, StartFailed

_CONFLICT = 409


class Abandoned(Exception):
    """The attempt was given up; nothing of it is left."""


class EndedAtOnce(StartFailed):
    """The container was started, and ended before it could be looked at; it has been removed."""

    def __init__(self, container_id: str, exit_code: int | None) -> None:
        super().__init__(f"it ended with exit code {exit_code} as soon as it was started")
        self.container_id = container_id
        self.exit_code = exit_code


@dataclass(frozen=True)
class StartPlan:
    """What to create. `config` is called in the thread, since it may have to make a directory first."""

    backend: str
    drone: str
    ip: str
    container_port: int
    config: Callable[[], Mapping[str, Any]]


class StartAttempt:
    """One start. `run` belongs to a thread of the pool, `abandon` to the loop."""

    def __init__(self, plan: StartPlan) -> None:
        self._plan = plan
        self._lock = threading.Lock()
        self._begun = False
        self._finished = False
        self._abandoned = False
        self._container_id: str | None = None

    def abandon(self) -> bool:
        """Give up. Return whether `run` has begun, so that its end must be awaited."""
        with self._lock:
            self._abandoned = True
            return self._begun

    @property
    def container_id(self) -> str | None:
        """The container that was created, whatever became of it."""
        return self._container_id

    @property
    def succeeded(self) -> bool:
        """Whether the container was up before anybody gave up."""
        return self._finished

    def run(self, client: APIClient) -> Started:
        """
        Return the running container and where it is reached.

        Raises:
            StartFailed: it could not be started, and nothing is left.
            Abandoned: somebody gave up meanwhile, and nothing is left.
        """
        with self._lock:
            self._begun = True
        self._check()
        config = self._plan.config()
        container = self._container_id = self._create(client, config)
        try:
            self._check()
            client.start(container)
            self._check()
            return self._finish(client.inspect_container(container))
        except BaseException as error:
            remove_entirely(client, container)
            if isinstance(error, EngineError):
                raise StartFailed(f"the engine could not start it: {describe(error)}") from error
            raise

    def _check(self) -> None:
        if self._abandoned:
            raise Abandoned

    def _finish(self, inspection: Mapping[str, Any]) -> Started:
        condition = condition_of(inspection)
        if isinstance(condition, Exited):
            raise EndedAtOnce(inspection["Id"], condition.exit_code)
        port = published_port(inspection, self._plan.container_port)
        if port is None:
            raise StartFailed(f"the engine published no port for {self._plan.container_port}")
        with self._lock:
            self._check()
            self._finished = True
        return Started(self._plan.backend, inspection["Id"], address_at(self._plan.ip, port))

    def _create(self, client: APIClient, config: Mapping[str, Any]) -> str:
        name = container_name(self._plan.backend)
        try:
            created = cast("Any", client).create_container_from_config(config, name)
        except (ImageNotFound, NotFound) as error:
            raise StartFailed(f"the engine has no such image: {describe(error)}") from error
        except APIError as error:
            if error.status_code == _CONFLICT:
                # Somebody else's or an earlier life's: not ours to remove.
                raise StartFailed(f"there is a container named {name} already") from error
            raise StartFailed(f"the engine refused to create it: {describe(error)}") from error
        except EngineError as error:
            # It may have been created all the same, only the answer was lost.
            self._remove_unseen(client)
            raise StartFailed(f"the engine did not answer: {describe(error)}") from error
        return str(created["Id"])

    def _remove_unseen(self, client: APIClient) -> None:
        backend, drone = self._plan.backend, self._plan.drone
        name = container_name(backend)
        inspection = insist(lambda: find(client, backend, drone=drone), event="container_search_failed", container=name)
        if inspection is not None and inspection["State"].get("Status") == "created":
            remove_entirely(client, inspection["Id"])
