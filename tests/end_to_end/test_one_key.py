"""
Many connects at one moment for one key, over two controllers: one backend.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx

from protocol.codec import encode
from tests.end_to_end.conftest import MakeStack
from tests.end_to_end.stack import Stack, request_for
from tests.end_to_end.waiting import until
from tests.end_to_end.witness import watching

CALLERS = 50


async def all_at_once(stack: Stack, key: str) -> list[httpx.Response]:
    """Connect from many callers at the same moment, half of them at each controller."""
    body = encode(request_for(key, max_idle_seconds=60))
    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None)) as client:
        calls = [
            client.post(
                f"{stack.url_of(number % 2)}/ctrl/connect", content=body, headers={"content-type": "application/json"}
            )
            for number in range(CALLERS)
        ]
        return await asyncio.gather(*calls)


async def who_answers(urls: list[str]) -> Counter[str]:
    """Ask at every URL which backend is there."""
    async with httpx.AsyncClient(timeout=60) as client:
        answers = await asyncio.gather(*(client.get(f"{url}env") for url in urls))
    return Counter(answer.json()["SESSION_BACKEND_ID"] for answer in answers)


def test_fifty_connects_for_one_key_meet_in_one_backend(make_stack: MakeStack) -> None:
    """Three keys in turn, each raced for: 50 working URLs, one backend, no error, exactly one told that it spawned."""
    stack = make_stack()
    stack.start()
    stack.start_controller()
    with watching(stack.engine) as witness:
        for key in ("race-1", "race-2", "race-3"):
            responses = asyncio.run(all_at_once(stack, key))
            assert Counter(response.status_code for response in responses) == {200: CALLERS}
            answers = [response.json() for response in responses]
            (backend,) = {answer["backend_id"] for answer in answers}
            assert Counter(answer["spawned"] for answer in answers) == {False: CALLERS - 1, True: 1}
            assert len({answer["token"] for answer in answers}) == CALLERS
            assert asyncio.run(who_answers([answer["url"] for answer in answers])) == {backend: CALLERS}
        until(lambda: len(witness.began) >= 3, "the engine told of three containers")
        assert sorted(witness.began) == stack.containers()
        assert len(witness.began) == 3


def test_a_controller_learns_of_what_another_one_did(make_stack: MakeStack) -> None:
    """The drone's socket is at one controller, the connect at the other; so are its end and its status."""
    stack = make_stack()
    stack.start()
    stack.start_controller()
    answer = stack.connect("elsewhere", controller=1)
    assert httpx.get(answer.url, timeout=30).text == "hello"
    with httpx.stream("GET", f"{stack.url_of(1)}/pub/b/{answer.backend_id}/status-stream", timeout=30) as stream:
        httpx.post(f"{stack.url_of(1)}/ctrl/b/{answer.backend_id}/soft-terminate").raise_for_status()
        assert '"terminated"' in "".join(stream.iter_text())
