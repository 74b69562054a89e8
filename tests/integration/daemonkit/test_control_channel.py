"""
The control channel against a real WebSocket server: what the wire promises, and what happens when it breaks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import structlog.testing

from daemonkit.backoff import Delays
from daemonkit.control_channel import ControlChannel, Tuning
from daemonkit.link import Link
from daemonkit.outbox import OutboxLimits
from options.types import parse_controller_address
from protocol.channel import Handshake, Version
from protocol.drone_messages import AckAction, AckEvent, FromDrone, ToDrone
from tests.integration.fake_controller import HANDSHAKE, FakeController
from tests.integration.waiting import until

OWN = Handshake(Version("0.1.0", "abc"), "dr-test", extensions=["batch"])
FAST = Tuning(delays=Delays(0.01, 0.05), handshake_timeout=0.3, close_timeout=0.2)


class Listener:
    """A user that keeps everything it is told."""

    def __init__(self) -> None:
        self.links: list[Link] = []
        self.disconnections = 0
        self.events: list[int] = []
        self.stumbles_over: int | None = None
        self.closes_at: int | None = None

    def connected(self, link: Link) -> None:
        self.links.append(link)

    def received(self, message: ToDrone) -> None:
        event = message.variant
        assert isinstance(event, AckEvent)
        self.events.append(event.event_id)
        if event.event_id == self.stumbles_over:
            raise ValueError("a mistake of ours")
        if event.event_id == self.closes_at:
            self.links[-1].close("enough")

    def disconnected(self) -> None:
        self.disconnections += 1


@pytest.fixture
async def controller() -> AsyncIterator[FakeController]:
    async with FakeController().serving() as listening:
        yield listening


@contextlib.asynccontextmanager
async def channel_to(controller: FakeController, listener: Listener, tuning: Tuning = FAST) -> AsyncIterator[None]:
    """Run a channel with a bearer token."""
    address = parse_controller_address(controller.url.replace("//", "//sesame@"))
    path = "/ctrl/c/c1.example.com/drone-socket?pool="
    channel = ControlChannel(address, path, handshake=OWN, incoming=ToDrone, user=listener, tuning=tuning)
    task = asyncio.create_task(channel.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_the_first_frame_is_the_handshake_and_the_token_is_only_in_a_header(controller: FakeController) -> None:
    """Both sides shake hands first; the URL holds no token, and nothing looks like a browser."""
    listener = Listener()
    async with channel_to(controller, listener):
        visit = await controller.visit()
        await until(lambda: listener.links)
    assert visit.handshake == {
        "version": {"version": "0.1.0", "git_hash": "abc"},
        "name": "dr-test",
        "extensions": ["batch"],
    }
    assert visit.path == "/ctrl/c/c1.example.com/drone-socket?pool="
    assert visit.headers["Authorization"] == "Bearer sesame"
    assert "Origin" not in visit.headers
    assert "Sec-WebSocket-Extensions" not in visit.headers
    assert listener.links[0].peer.name == "co-faked"


async def test_differing_versions_are_logged_and_not_refused(controller: FakeController) -> None:
    """A controller of another version is a controller."""
    listener = Listener()
    with structlog.testing.capture_logs() as lines:
        async with channel_to(controller, listener):
            await until(lambda: listener.links)
    assert [line["controller_version"] for line in lines if line["event"] == "versions_differ"] == ["9.9.9-other"]


async def test_messages_arrive_in_order_and_batches_come_apart(controller: FakeController) -> None:
    """Order is kept within and between frames; binary frames mean nothing."""
    listener = Listener()
    async with channel_to(controller, listener):
        visit = await controller.visit()
        await visit.say(ack(1))
        await visit.say(b"\x00binary")
        await visit.say({"Batch": [ack(2), {"Batch": [ack(3), ack(4)]}, ack(5)]})
        await visit.say(ack(6))
        await until(lambda: 6 in listener.events)
    assert listener.events == [1, 2, 3, 4, 5, 6]


async def test_a_frame_that_does_not_parse_is_logged_and_skipped(controller: FakeController) -> None:
    """The connection stays; the others of a batch arrive; nothing of the contents is logged; repeats are counted."""
    listener = Listener()
    with structlog.testing.capture_logs() as lines:
        async with channel_to(controller, listener):
            visit = await controller.visit()
            await visit.say("not json, and a secret")
            await visit.say({"FromTheFuture": {"secret": 1}})
            await visit.say({"Batch": [ack(1), {"AckEvent": {"event_id": "a secret"}}, ack(2)]})
            await until(lambda: listener.events == [1, 2])
    assert listener.disconnections == 1
    skipped = [line for line in lines if line["event"] == "frame_skipped"]
    assert len(skipped) == 1
    assert "secret" not in str(lines)


async def test_a_message_that_we_stumble_over_does_not_end_the_channel(controller: FakeController) -> None:
    """Our own mistake is loud in the log, and the next message arrives on the same connection."""
    listener = Listener()
    listener.stumbles_over = 1
    with structlog.testing.capture_logs() as lines:
        async with channel_to(controller, listener):
            visit = await controller.visit()
            await visit.say(ack(1))
            await visit.say(ack(2))
            await until(lambda: listener.events == [1, 2])
    assert [line["log_level"] for line in lines if line["event"] == "message_not_handled"] == ["error"]
    assert len(controller.visits) == 1


@pytest.mark.parametrize(
    "handshake",
    [
        "hello",
        {"version": {"version": "1", "git_hash": "x"}},
        {"version": {"version": "1", "git_hash": "x"}, "name": "dr-notacontroller"},
        None,
    ],
    ids=["not json", "no name", "no controller", "silence"],
)
async def test_a_bad_handshake_closes_and_is_tried_again(controller: FakeController, handshake: str | None) -> None:
    """The user hears nothing of it; a controller that comes to its senses is used."""
    listener = Listener()
    controller.handshake = handshake
    async with channel_to(controller, listener):
        await controller.visit(1)
        assert not listener.links
        controller.handshake = HANDSHAKE
        await until(lambda: listener.links)


async def test_it_reconnects_for_ever(controller: FakeController) -> None:
    """Connections that are closed, and a server that is away for a while: it always comes back."""
    listener = Listener()
    async with channel_to(controller, listener):
        for number in range(5):
            visit = await controller.visit(number)
            await visit.socket.close()
        await controller.visit(5)
    assert listener.disconnections == len(listener.links)


async def test_it_waits_for_a_controller_that_is_not_there_yet() -> None:
    """Nobody listens at first."""
    controller, listener = FakeController(), Listener()
    async with controller.serving():
        pass
    async with channel_to(controller, listener):
        await asyncio.sleep(0.1)
        async with controller.serving():
            await until(lambda: listener.links)


async def test_it_reconnects_on_purpose_after_a_while(controller: FakeController) -> None:
    """So that load evens out; here after 50 ms instead of an hour."""
    listener = Listener()
    tuning = Tuning(delays=FAST.delays, close_timeout=0.2, reconnect_after=0.05, reconnect_spread=0.01)
    async with channel_to(controller, listener, tuning):
        first = await controller.visit(0)
        await controller.visit(2)
    assert first.socket.close_code == 1000


async def test_what_is_sent_arrives_in_order_and_in_batches(controller: FakeController) -> None:
    """A thousand messages sent at once are a few frames, for a peer that knows batches."""
    listener = Listener()
    async with channel_to(controller, listener):
        visit = await controller.visit()
        await until(lambda: listener.links)
        send_acks(listener.links[0], 1000)
        await until(lambda: len(visit.messages) == 1000)
    assert [ack["action_id"] for ack in visit.of_kind("AckAction")] == [f"ak-{n}" for n in range(1000)]
    assert len(visit.frames) < 20


async def test_a_peer_that_knows_no_batches_gets_none(controller: FakeController) -> None:
    """A published controller would not understand them."""
    controller.handshake = {key: value for key, value in HANDSHAKE.items() if key != "extensions"}
    listener = Listener()
    async with channel_to(controller, listener):
        visit = await controller.visit()
        await until(lambda: listener.links)
        send_acks(listener.links[0], 100)
        await until(lambda: len(visit.frames) == 100)


async def test_a_full_queue_closes_the_connection_and_the_reader_goes_on_until_then(controller: FakeController) -> None:
    """Sending never waits: with a peer that does not read, the link is closed for a reason, and a new one is made."""
    listener = Listener()
    tuning = Tuning(delays=FAST.delays, close_timeout=0.2, outbox=OutboxLimits(frames=50))
    controller.reading.clear()
    big = FromDrone(ack_action=AckAction("ak-" + "x" * 1_000_000))
    with structlog.testing.capture_logs() as lines:
        async with channel_to(controller, listener, tuning):
            visit = await controller.visit()
            await until(lambda: listener.links)
            link = listener.links[0]
            for _ in range(20):
                link.send(big)
                await asyncio.sleep(0)
            await visit.say(ack(1))
            await until(lambda: listener.events == [1])  # read although the writer is stuck
            for _ in range(100):
                link.send(big)
            await until(lambda: listener.disconnections == 1)
            await controller.visit(1)
    reasons = [line["reason"] for line in lines if line["event"] == "controller_disconnected"]
    assert reasons[0] == "the controller does not read fast enough"


async def test_nothing_is_written_to_a_connection_that_is_closed(controller: FakeController) -> None:
    """A link that has ended stays quiet for ever, whoever still holds it."""
    listener = Listener()
    async with channel_to(controller, listener):
        visit = await controller.visit()
        await until(lambda: listener.links)
        await visit.socket.close()
        second = await controller.visit(1)
        await until(lambda: len(listener.links) == 2)
        send_acks(listener.links[0], 10)
        listener.links[0].close("twice")
        send_acks(listener.links[1], 1)
        await until(lambda: second.messages)
    assert not visit.messages
    assert len(second.messages) == 1


async def test_nothing_is_heard_from_a_link_after_it_was_closed(controller: FakeController) -> None:
    """Not even the rest of the same frame."""
    listener = Listener()
    listener.closes_at = 2
    async with channel_to(controller, listener):
        visit = await controller.visit()
        await visit.say({"Batch": [ack(1), ack(2), ack(3)]})
        await controller.visit(1)
    assert listener.events == [1, 2]


def ack(event_id: int) -> dict[str, object]:
    """Return an acknowledgement as the wire has it."""
    return {"AckEvent": {"event_id": event_id}}


def send_acks(link: Link, count: int) -> None:
    """Send numbered messages without a pause."""
    for number in range(count):
        link.send(FromDrone(ack_action=AckAction(f"ak-{number}")))
