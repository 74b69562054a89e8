"""Where the controller's messages go."""

from __future__ import annotations

from typing import Any, cast

import structlog.testing

from agentd.session import AgentSession
from daemonkit.link import MemoryLink
from protocol.actions import Action, ActionOrder, Terminate
from protocol.backend_state import TerminationKind, TerminationReason
from protocol.drone_messages import AckEvent, LogsCancel, RenewKeyResponse, ToDrone


class Part:
    """Notes what it is told, whatever that is."""

    def __init__(self, name: str, told: list[tuple[str, Any]]) -> None:
        self._name = name
        self._told = told

    def __getattr__(self, what: str) -> Any:
        return lambda *told: self._told.append((f"{self._name}.{what}", told[0] if told else None))


def make() -> tuple[AgentSession, list[tuple[str, Any]]]:
    """Return a session, and the list of what its parts are told."""
    told: list[tuple[str, Any]] = []
    supervisor, reporter, keeper, heartbeat = (
        cast("Any", Part(name, told)) for name in ("supervisor", "reporter", "keeper", "heartbeat")
    )
    return AgentSession(supervisor, reporter, keeper=keeper, others=[heartbeat]), told


def test_every_part_hears_of_connections_the_heartbeat_first() -> None:
    """Nothing is scheduled on this drone before its first heartbeat, so it goes out first."""
    session, told = make()
    session.connected(MemoryLink())
    session.disconnected()
    parts = ["heartbeat", "supervisor", "keeper", "reporter"]
    assert [what for what, _ in told] == [f"{p}.connected" for p in parts] + [f"{p}.disconnected" for p in parts]


def test_each_message_goes_to_its_part() -> None:
    """What we never said we know is logged, and nothing more."""
    session, told = make()
    terminate = Terminate(TerminationKind.SOFT, TerminationReason.SWEPT)
    order = ActionOrder("ak-1", "b1", 1, Action(terminate=terminate))
    answer = RenewKeyResponse("b1", None)
    with structlog.testing.capture_logs() as lines:
        for message in (
            ToDrone(action=order),
            ToDrone(ack_event=AckEvent(7)),
            ToDrone(renew_key_response=answer),
            ToDrone(logs_cancel=LogsCancel(1)),
        ):
            session.received(message)
    assert told == [("supervisor.deliver", order), ("reporter.thanked", 7), ("keeper.answered", answer)]
    assert [line["event"] for line in lines] == ["message_not_understood"]
