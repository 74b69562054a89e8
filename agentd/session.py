"""
What the agent does with its control channel: every part hears of connections, and each message goes to its part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import structlog

from agentd.lease_keeper import LeaseKeeper
from agentd.reporter import Reporter
from agentd.supervisor import Supervisor
from daemonkit.link import Link
from protocol.actions import ActionOrder
from protocol.drone_messages import AckEvent, RenewKeyResponse, ToDrone

log = structlog.get_logger(__name__)


class _Connected(Protocol):
    def connected(self, link: Link) -> None:
        """Begin to use a connection."""

    def disconnected(self) -> None:
        """Stop using it."""


class AgentSession:
    """The user of the agent's control channel."""

    def __init__(
        self, supervisor: Supervisor, reporter: Reporter, *, keeper: LeaseKeeper, others: Sequence[_Connected]
    ) -> None:
        self._supervisor = supervisor
        self._reporter = reporter
        self._keeper = keeper
        self._parts: Sequence[_Connected] = (*others, supervisor, keeper, reporter)

    def connected(self, link: Link) -> None:
        for part in self._parts:
            part.connected(link)

    def disconnected(self) -> None:
        for part in self._parts:
            part.disconnected()

    def received(self, message: ToDrone) -> None:
        match message.variant:
            case ActionOrder() as order:
                self._supervisor.deliver(order)
            case AckEvent(event_id):
                self._reporter.thanked(event_id)
            case RenewKeyResponse() as response:
                self._keeper.answered(response)
            case _:
                log.warning("message_not_understood", kind=message.tag)
