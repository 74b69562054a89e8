"""
The paths of the cold control routes, under /ctrl/.
"""

from __future__ import annotations

from django.urls import path, re_path

from backends.api.views import ClusterStateView, TerminateView, refuse_unknown
from protocol.backend_state import TerminationKind

_soft = TerminateView.as_view(kind=TerminationKind.SOFT)
_hard = TerminateView.as_view(kind=TerminationKind.HARD)

urlpatterns = [
    path("b/<str:backend>/soft-terminate", _soft),
    path("b/<str:backend>/hard-terminate", _hard),
    # As older documentation has it.
    path("c/<str:cluster>/b/<str:backend>/soft-terminate", _soft),
    path("c/<str:cluster>/b/<str:backend>/hard-terminate", _hard),
    path("c/<str:cluster>/state", ClusterStateView.as_view()),
    re_path(r"", refuse_unknown),
]
