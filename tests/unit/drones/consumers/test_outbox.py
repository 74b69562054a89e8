"""What waits to be sent on one socket."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from drones.consumers import outbox
from drones.consumers.outbox import Outbox, OutboxFull


async def sent_of(texts: list[str], *, batches: bool) -> list[str]:
    """Put texts into an outbox, let its writer run, and return the frames."""
    frames: list[str] = []
    done = asyncio.Event()

    async def write(frame: str) -> None:
        frames.append(frame)
        if texts[-1] in frame:
            done.set()

    box = Outbox(write, batches=batches)
    for text in texts:
        box.put(text)
    writer = asyncio.create_task(box.run())
    await done.wait()
    writer.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await writer
    return frames


async def test_messages_leave_in_order_one_frame_each() -> None:
    """To a peer that does not know batches."""
    texts = [f'{{"n":{n}}}' for n in range(10)]
    assert await sent_of(texts, batches=False) == texts


async def test_what_waits_together_leaves_together_if_the_peer_knows_batches() -> None:
    """In order; a single message is never wrapped."""
    texts = [f'{{"n":{n}}}' for n in range(10)]
    [frame] = await sent_of(texts, batches=True)
    assert json.loads(frame) == {"Batch": [{"n": n} for n in range(10)]}
    assert await sent_of(texts[:1], batches=True) == texts[:1]


async def test_a_batch_stays_below_what_clients_take_in_one_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message larger than that goes alone."""
    monkeypatch.setattr(outbox, "BATCH_CHARACTERS", 30)
    texts = [f'{{"n":{n}}}' for n in range(10)] + [json.dumps({"big": "x" * 100}), '{"last":1}']
    frames = await sent_of(texts, batches=True)
    assert all(len(frame) < 60 for frame in frames if "big" not in frame)
    parsed = [json.loads(frame) for frame in frames]
    unpacked = [message for frame in parsed for message in (frame.get("Batch") or [frame])]
    assert unpacked == [json.loads(text) for text in texts]


@pytest.mark.parametrize(("messages", "characters"), [(3, 10**6), (10**6, 30)])
async def test_a_full_outbox_refuses(monkeypatch: pytest.MonkeyPatch, messages: int, characters: int) -> None:
    """In messages or in characters: what a peer does not take must not fill our memory."""
    monkeypatch.setattr(outbox, "MESSAGES", messages)
    monkeypatch.setattr(outbox, "CHARACTERS", characters)

    async def write(frame: str) -> None:
        raise AssertionError

    box = Outbox(write, batches=False)
    for _ in range(3):
        box.put("x" * 10)
    with pytest.raises(OutboxFull):
        box.put("x" * 10)
