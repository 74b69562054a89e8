"""
Makes an image available by its pull policy, in blocking calls.

Credentials go to the engine and nowhere else: not into messages, not into logs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from docker import APIClient
from docker.errors import APIError, ImageNotFound

from agentd.runtime.docker.engine import EngineError, describe
from agentd.runtime.interface import PrepareFailed
from protocol.spawn import Executable, RegistryCredentials


class PullAbandoned(Exception):
    """Nobody waits for this pull any more."""


def needs_pull(client: APIClient, executable: Executable) -> bool:
    """
    Decide by policy, and by what the engine has, whether to pull.

    Raises:
        PrepareFailed: the image is not there and may not be pulled.
    """
    if executable.pull_policy == "Always":
        return True
    try:
        cast("Any", client).inspect_image(executable.image)
    except ImageNotFound as error:
        if executable.pull_policy == "Never":
            raise PrepareFailed(f"image {executable.image!r} is not on this machine, and may not be pulled") from error
        return True
    except APIError as error:
        raise PrepareFailed(f"image {executable.image!r} is refused: {describe(error)}") from error
    return False


def pull(client: APIClient, executable: Executable, *, is_abandoned: Callable[[], bool]) -> None:
    """
    Pull an image; leaving the progress unread makes the engine give up too.

    Raises:
        PrepareFailed: the registry or the engine would not give it.
        PullAbandoned: nobody waits any more.
    """
    credentials = executable.credentials
    try:
        progress = client.pull(executable.image, stream=True, decode=True, auth_config=_auth_config(credentials))
        _follow(progress, is_abandoned)
    except (*EngineError, _Refused) as error:
        reason = _without_secret(describe(error), credentials)
        # The cause is left behind, since it may repeat what was sent.
        raise PrepareFailed(f"image {executable.image!r} could not be pulled: {reason}") from None


class _Refused(Exception):
    """The engine reported an error in the middle of the progress."""


def _follow(progress: Iterable[Mapping[str, Any]], is_abandoned: Callable[[], bool]) -> None:
    for step in progress:
        if is_abandoned():
            raise PullAbandoned
        if step.get("error"):
            raise _Refused(str(step["error"]))


def _auth_config(credentials: RegistryCredentials | None) -> dict[str, str] | None:
    if credentials is None:
        return None
    return {"username": credentials.username, "password": credentials.password}


def _without_secret(text: str, credentials: RegistryCredentials | None) -> str:
    return text.replace(credentials.password, "…") if credentials is not None and credentials.password else text
