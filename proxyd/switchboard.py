"""
What all connections of one proxy share. Holds the parts together; decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from proxyd.access_log import AccessLog
from proxyd.activity import Activity
from proxyd.answers import Answers
from proxyd.config import Limits
from proxyd.headers import RequestFields, judge_request
from proxyd.keepalive import Keepalive
from proxyd.request import Target, judge_line
from proxyd.response import ResponseHead, judge_head
from proxyd.routes import Routes
from proxyd.upstream import Pools
from proxyd.verdicts import Verdicts


class OpenConnection(Protocol):
    """A client's connection, with or without a request in flight, or a tunnel."""

    deadline: float  #: on the loop's clock; infinity when there is none

    def overdue(self) -> None:
        """Learn that the deadline has passed."""

    def drain(self) -> None:
        """End as soon as nothing is in flight."""

    def uses(self, backend: str, tokens: frozenset[bytes] | None) -> bool:
        """Tell whether it was let in to a backend by one of these tokens, or by any."""

    def cut(self) -> None:
        """End now."""


@dataclass(slots=True)
class Switchboard:
    """The parts of one proxy, as its connections see them."""

    loop: asyncio.AbstractEventLoop
    limits: Limits
    answers: Answers
    routes: Routes
    pools: Pools
    activity: Activity
    keepalive: Keepalive
    log: AccessLog
    root_redirect_url: str | None = None
    targets: Verdicts[Target] = field(default_factory=lambda: Verdicts(judge_line))
    requests: Verdicts[RequestFields] = field(default_factory=lambda: Verdicts(judge_request))
    responses: Verdicts[ResponseHead] = field(init=False)
    connections: set[OpenConnection] = field(default_factory=set)
    is_ready: bool = False
    is_draining: bool = False
    clock: Callable[[], float] = field(init=False)  #: the loop's, in seconds

    def __post_init__(self) -> None:
        self.clock = self.loop.time
        self.responses = Verdicts(partial(judge_head, server_line=self.answers.server_line))
