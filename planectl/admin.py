"""
`plane admin`: ask a controller, from a terminal or a script. An edge: flags in, one call, lines or JSON out.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from options.command import PlaneGroup, argument, option
from options.types import ClusterNameType, ControllerAddress, ControllerUrl
from planectl.calls import ApiFailure, ControllerUnreachable
from planectl.client import Client
from planectl.wording import cluster_lines, connected_lines, controller_line, ended_early, status_line
from protocol.backend_state import BackendStatus
from protocol.codec import encode
from protocol.connect import ConnectRequest
from protocol.keys import LenientKeyConfig
from protocol.spawn import Executable, SpawnConfig
from protocol.views import BackendStatusView

F = TypeVar("F", bound=Callable[..., Any])

#: How long a session that `connect` starts may go unused.
_MAX_IDLE_SECONDS = 500

_format = option(
    "--format",
    "as_json",
    type=click.Choice(["text", "json"]),
    callback=lambda _ctx, _param, value: value == "json",
    default="text",
    help="json prints one object a line, for scripts.",
)


@click.group(cls=PlaneGroup)
@option("--controller", type=ControllerUrl(), required=True, secret=True, help="The controller's URL.")
@click.pass_context
def admin(ctx: click.Context, controller: ControllerAddress) -> None:
    """Ask a controller, or tell it to do something."""
    ctx.obj = controller


@admin.command()
@option("--cluster", type=ClusterNameType(), help="Where to run it; the controller may have a default.")
@option("--image", required=True, help="What to run.")
@option("--key", help="What makes the session unique; whoever connects with the same key joins it.")
@option("--immediate", is_flag=True, help="Do not wait until the backend is ready.")
@option("--max-idle-seconds", type=click.IntRange(min=0), default=_MAX_IDLE_SECONDS, show_default=True)
@option("--id", "backend", help="The backend's name, instead of a random one.")
@option("--static-token", is_flag=True, help="Give the backend one token of its own for everybody.")
@option("--pool", help="Run it on a drone of this pool.")
@option("--mount", help="A directory under the drone's mount base; true takes the key's name.")
@option("--subdomain", help="Serve it under this label before the cluster's name.")
@_format
@click.pass_obj
def connect(controller: ControllerAddress, /, *, immediate: bool, as_json: bool, **wishes: Any) -> None:
    """Start a backend, or join the one that holds the key."""
    with _client(controller) as client:
        answer = client.connect(connect_request(**wishes))
        _show(answer, connected_lines(answer), as_json=as_json)
        if not immediate:
            last = _follow(client, answer.backend_id, goal=BackendStatus.READY, as_json=as_json)
            if last is None or last.status is not BackendStatus.READY:
                raise click.ClickException("it ended before it was ready" if last is None else ended_early(last))


def connect_request(**wishes: Any) -> ConnectRequest:
    """Make the request of what was wished for on the command line; what was not is left out."""
    mount = wishes["mount"]
    spawn = SpawnConfig(
        executable=Executable(image=wishes["image"], mount={"true": True, "false": False}.get(mount, mount)),
        id=wishes["backend"],
        cluster=wishes["cluster"],
        pool=wishes["pool"],
        max_idle_seconds=wishes["max_idle_seconds"],
        use_static_token=wishes["static_token"] or None,
        subdomain=wishes["subdomain"],
    )
    key = None if wishes["key"] is None else LenientKeyConfig(wishes["key"])
    return ConnectRequest(key=key, spawn_config=spawn)


@admin.command()
@argument("backend")
@option("--hard", is_flag=True, help="Kill it at once, without asking it to end first.")
@option("--immediate", is_flag=True, help="Do not wait until it has ended.")
@_format
@click.pass_obj
def terminate(controller: ControllerAddress, backend: str, *, hard: bool, immediate: bool, as_json: bool) -> None:
    """End a backend."""
    with _client(controller) as client:
        client.terminate(backend, hard=hard)
        if not immediate:
            _follow(client, backend, goal=BackendStatus.TERMINATED, as_json=as_json)
        elif not as_json:
            click.echo(f"{backend} will end.")


@admin.command()
@_format
@click.pass_obj
def status(controller: ControllerAddress, *, as_json: bool) -> None:
    """Say whether the controller and its database work."""
    with _client(controller) as client:
        answer = client.controller_status()
        _show(answer, [controller_line(answer)], as_json=as_json)


@admin.command()
@argument("cluster", type=ClusterNameType())
@_format
@click.pass_obj
def cluster_state(controller: ControllerAddress, cluster: str, *, as_json: bool) -> None:
    """List the drones and proxies of a cluster."""
    with _client(controller) as client:
        answer = client.cluster_state(cluster)
        _show(answer, cluster_lines(cluster, answer), as_json=as_json)


@admin.command()
@argument("backend")
@_format
@click.pass_obj
def backend_status(controller: ControllerAddress, backend: str, *, as_json: bool) -> None:
    """Follow what a backend does, until it has ended."""
    with _client(controller) as client:
        _follow(client, backend, goal=BackendStatus.TERMINATED, as_json=as_json)


@contextmanager
def _client(controller: ControllerAddress) -> Iterator[Client]:
    """Open a client whose failures are sentences, with exit status 1."""
    try:
        with Client(controller) as client:
            yield client
    except ApiFailure as failure:
        trace = f" [error {failure.id}]" if failure.id else ""
        raise click.ClickException(f"{failure}{trace}") from failure
    except ControllerUnreachable as error:
        raise click.ClickException(str(error)) from error


def _show(answer: Any, lines: Sequence[str], *, as_json: bool) -> None:
    for line in [encode(answer).decode()] if as_json else lines:
        click.echo(line)


def _follow(client: Client, backend: str, *, goal: BackendStatus, as_json: bool) -> BackendStatusView | None:
    """Show each status as it comes, until the goal or one beyond it; return the last."""
    first = last = None
    for last in client.status_stream(backend):
        first = first or last
        _show(last, [status_line(last, first)], as_json=as_json)
        if last.status.rank >= goal.rank:
            break
    return last
