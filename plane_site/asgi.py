"""
The controller as one ASGI application: hot routes to plain callables, sockets to Channels, the rest to Django.

Every request and socket finds what its controller shares in `scope["plane"]`. Control routes, control sockets and the
admin are refused here, before anything of them runs, when `plane_site.authentication` says so.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from django.core.asgi import get_asgi_application

from backends.api import hot
from backends.api.errors import ApiProblem
from backends.api.exchange import Receive, Scope, Send, refuse
from drones.context import ControllerContext
from plane_site.authentication import judge_control_request, judge_host
from plane_site.routing import make_socket_router, refuse_socket
from protocol.api_errors import ErrorKind

HOT_ROUTES: Final[Mapping[str, hot.Route]] = {
    "/ctrl/connect": hot.post_connect,
    "/ctrl/status": hot.get_controller_status,
    "/pub/health": hot.get_health,
}
HOT_VIEWS: Final[Mapping[str, hot.Route]] = {
    "status": hot.get_backend_status,
    "status-stream": hot.get_status_stream,
}
#: With the cluster is how older documentation has it. What cannot be a backend's name is no such route.
_BACKEND_VIEW = re.compile(r"/pub/(?:c/[^/]+/)?b/([a-z0-9-]{1,45})/(status|status-stream)\Z")

Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class ControllerApplication:
    """Leads each request and socket of one controller to what answers it."""

    def __init__(self, context: ControllerContext, *, allowed_hosts: frozenset[str] = frozenset()) -> None:
        self._context = context
        self._allowed_hosts = allowed_hosts
        self._django: Any = get_asgi_application()
        self._sockets: Any = make_socket_router()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["plane"] = self._context
        path: str = scope["path"]
        if scope["type"] == "websocket":
            route = refuse_socket if judge_control_request(scope["headers"], self._allowed_hosts) else self._sockets
        elif path.startswith("/pub/"):
            route = choose_public_route(scope)
        else:
            reason = self._judge(scope)
            if reason is not None:
                await refuse(scope, send, error=ApiProblem(ErrorKind.FORBIDDEN, reason))
                return
            route = HOT_ROUTES.get(path, self._django)
        await route(scope, receive, send)

    def _judge(self, scope: Scope) -> str | None:
        """Return why a request that is not public is refused, or None."""
        if scope["path"].startswith("/ctrl/"):
            return judge_control_request(scope["headers"], self._allowed_hosts)
        return judge_host(scope["headers"], self._allowed_hosts)


def choose_public_route(scope: Scope) -> hot.Route:
    """Return what answers a request under /pub, which anybody may send from anywhere."""
    if scope["method"] == "OPTIONS":
        return hot.answer_preflight
    found = _BACKEND_VIEW.match(scope["path"])
    if found is None:
        return HOT_ROUTES.get(scope["path"], hot.refuse_unknown)
    scope["plane.backend"] = found[1]
    return HOT_VIEWS[found[2]]
