"""
What content DRF answers with: JSON, as the hot routes do. A module of its own, because DRF's settings name it.
"""

from __future__ import annotations

from typing import Any

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request


class JsonForAll(BaseContentNegotiation):
    """Answers are JSON, whatever a client says that it accepts."""

    def select_parser(self, request: Request, parsers: Any) -> Any:  # noqa: ARG002 - DRF's signature
        """Return the one there is."""
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, *_: Any) -> Any:  # noqa: ARG002 - DRF's signature
        """Return the one there is, and its media type."""
        return renderers[0], renderers[0].media_type
