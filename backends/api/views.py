"""
The control routes that are asked seldom, through DRF. Each translates and makes one call.

There is no authentication here: who may use control routes is judged before Django (`plane_site.authentication`).
"""

from __future__ import annotations

import re
from typing import Any

from asgiref.sync import async_to_sync
from django.db import InterfaceError, OperationalError
from django.http import HttpResponse
from django.http.request import HttpRequest
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.views import APIView

from backends.api.errors import ApiProblem, answer_error
from backends.selectors import read_cluster_state
from backends.services.terminate import NoSuchBackend, terminate
from drones.context import ControllerContext
from postgres.pool import DatabaseUnavailable
from protocol.api_errors import ErrorKind
from protocol.backend_state import TerminationKind
from protocol.codec import encode
from protocol.names import parse_cluster

_BACKEND = re.compile(r"[a-z0-9-]{1,45}\Z")


class TerminateView(APIView):
    """POST /ctrl/b/{backend}/soft-terminate and hard-terminate."""

    kind = TerminationKind.SOFT

    def post(self, request: Request, backend: str, **_: str) -> HttpResponse:
        """Store the order, and say null."""
        if not _BACKEND.match(backend):
            raise NoSuchBackend("there is no such backend")
        async_to_sync(terminate)(_context(_inner(request)), backend, kind=self.kind)
        return _json(None)


class ClusterStateView(APIView):
    """GET /ctrl/c/{cluster}/state."""

    def get(self, request: Request, cluster: str) -> HttpResponse:
        """List the connected nodes."""
        unhealthy = _context(_inner(request)).terms.unhealthy
        return _json(read_cluster_state(str(parse_cluster(cluster)), unhealthy=unhealthy))


@csrf_exempt
def refuse_unknown(request: HttpRequest) -> HttpResponse:
    """Answer whatever else is asked of the control routes."""
    return _answer(ApiProblem(ErrorKind.NOT_FOUND, "there is no such route"), request)


def handle_exception(error: Exception, details: dict[str, Any]) -> HttpResponse:
    """Answer every exception of a view as the wire has it; DRF calls this."""
    request: Request = details["request"]
    if isinstance(error, APIException):
        error = ApiProblem(ErrorKind.OTHER, str(error.detail), error.status_code)
    elif isinstance(error, OperationalError | InterfaceError):
        # The ORM's words for what the pool of the hot paths calls by one name.
        error = DatabaseUnavailable(str(error))
    return _answer(error, _inner(request))


def _answer(error: Exception, request: HttpRequest) -> HttpResponse:
    said = answer_error(error, path=request.path, dice=_context(request).dice)
    response = HttpResponse(said.body, status=said.status, content_type="application/json")
    for name, value in said.headers:
        response[name.decode()] = value.decode()
    return response


def _inner(request: Request) -> HttpRequest:
    inner: HttpRequest = request._request  # noqa: SLF001 - DRF has no other name for it
    return inner


def _context(request: HttpRequest) -> ControllerContext:
    context: ControllerContext = request.scope["plane"]  # type: ignore[attr-defined]
    return context


def _json(struct: Any) -> HttpResponse:
    return HttpResponse(encode(struct), content_type="application/json")
