"""
The Docker engine of this machine, as far as a demo needs it: is there one, has it the image, has it our containers.
"""

import os
import socket
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import docker
from docker.errors import APIError, DockerException, ImageNotFound

from planectl.demo.image import CHANGES, fingerprint, write_image
from planectl.demo.settings import IMAGE, DemoRefused

_DEFAULT_HOST: Final = "unix:///var/run/docker.sock"
_LABEL: Final = "dev.plane.demo"
_DRONE_LABEL: Final = "dev.plane.drone"
#: Seconds for an answer; importing the image has no limit.
_TIMEOUT: Final = 10
#: The same when the demo ends: its drone was patient with the engine already, and all shall be over within 15 s.
_LAST_TIMEOUT: Final = 3
_USE_PROCESSES: Final = "or take `--runtime process` to run backends as plain processes, without isolation"


@dataclass(frozen=True)
class NoEngine:
    """Why backends cannot be containers here, in half a sentence."""

    reason: str


class Engine:
    """An engine that answers."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def ensure_image(self) -> bool:
        """Build the demo's image unless the engine has it; tell whether it was built. Raises DemoRefused."""
        try:
            return self._ensure_image()
        except (DockerException, OSError) as error:
            raise DemoRefused(f"The Docker engine did not take the demo's image: {error}") from error

    def _ensure_image(self) -> bool:
        wanted = fingerprint()
        former = self._image()
        if former is not None and former.labels.get(_LABEL) == wanted:
            return False
        with tempfile.TemporaryFile() as archive:
            write_image(archive)
            archive.seek(0)
            repository, _, tag = IMAGE.partition(":")
            changes = [*CHANGES, f"LABEL {_LABEL}={wanted}"]
            self._client.api.import_image_from_data(archive, repository=repository, tag=tag, changes=changes)
        if self._image() is None:
            raise ImageNotFound(f"{IMAGE} was imported and is not there")
        if former is not None:
            self._forget(former)
        return True

    def remove_containers(self, drone: str) -> None:
        """Remove what a drone that had to be killed has left running. Raises DemoRefused."""
        try:
            self._remove_containers(drone)
        except (DockerException, OSError) as error:
            raise DemoRefused(
                f"The Docker engine did not remove the demo's containers: {error}. Once it answers again, run: "
                f"docker ps --all --quiet --filter label={_DRONE_LABEL}={drone} | xargs docker rm --force"
            ) from error

    def _remove_containers(self, drone: str) -> None:
        self._client.api.timeout = _LAST_TIMEOUT
        for container in self._client.containers.list(all=True, filters={"label": f"{_DRONE_LABEL}={drone}"}):
            try:
                container.remove(force=True, v=True)
            except APIError as error:
                if error.status_code not in (404, 409):  # gone, or going, already
                    raise

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def _image(self) -> Any:
        try:
            return self._client.images.get(IMAGE)
        except ImageNotFound:
            return None

    def _forget(self, image: Any) -> None:
        """Remove an image that nobody can name any more, unless a container still runs from it."""
        try:
            self._client.images.remove(image.id)
        except APIError as error:
            if error.status_code not in (404, 409):
                raise


def find_engine(
    environment: Mapping[str, str], *, knock: Callable[[str], None] | None = None, open_client: Any = None
) -> Engine | NoEngine:
    """
    Look for an engine that answers on this machine.

    Raises:
        DemoRefused: there is one, and this user may not use it.
    """
    host = environment.get("DOCKER_HOST") or _DEFAULT_HOST
    if not host.startswith("unix://"):
        return NoEngine(f"the Docker engine at {host} is not known to be on this machine")
    path = host.removeprefix("unix://")
    try:
        (knock or _knock)(path)
    except PermissionError as error:
        raise DemoRefused(
            f"No Docker permission: there is an engine at {path}, and this user may not use it. "
            f"Run as root, join the group that owns it (usually: usermod -aG docker USER, and log in again), "
            f"{_USE_PROCESSES}."
        ) from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)  # a time limit has no number
        return NoEngine(f"no Docker engine answers at {path} ({reason.lower()})")
    try:
        client = (open_client or docker.DockerClient)(base_url=host, timeout=_TIMEOUT)
        client.ping()
    except (DockerException, OSError) as error:
        return NoEngine(f"the Docker engine at {path} does not answer as it should ({error})")
    return Engine(client)


def choose_engine(found: Engine | NoEngine, runtime: str) -> Engine | None:
    """
    Return the engine to use, or None to run processes.

    Raises:
        DemoRefused: Docker was asked for, and is not there.
    """
    if runtime == "docker" and isinstance(found, NoEngine):
        raise DemoRefused(f"Docker was asked for, but {found.reason}. Start an engine, {_USE_PROCESSES}.")
    return found if isinstance(found, Engine) else None


def _knock(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as visitor:
        visitor.settimeout(_TIMEOUT)
        visitor.connect(path)
