"""What a demo says, and that of two things done together none is forgotten."""

import asyncio
from pathlib import Path

import pytest

from planectl.demo.demonstration import Stopwatch, closing_lines, together
from planectl.demo.settings import DemoSettings
from tests.unit.planectl.test_wording import answer


def test_the_last_lines_are_exact() -> None:
    """Scripts look for them; the last says how it ends."""
    lines = closing_lines(DemoSettings(Path("/d"), 8080, 9090), answer(), password="pw")
    assert lines[-5:] == [
        "Backend: b1",
        "URL: http://c/t/",
        "Status URL: http://k/pub/b/b1/status",
        "Admin: http://localhost:8080/admin/ (demo / pw)",
        "Press Ctrl-C to stop.",
    ]


def test_progress_is_told_with_the_time_it_took() -> None:
    """Seconds since the start."""
    said: list[str] = []
    times = iter([100.0, 101.26])
    Stopwatch(said.append, lambda: next(times)).tell("it answers")
    assert said == ["   1.3 s  it answers"]


async def test_two_things_together() -> None:
    """Both results, in order."""

    async def give(value: int) -> int:
        return value

    assert await together(give(1), give(2)) == (1, 2)


async def test_if_one_fails_the_other_is_given_up() -> None:
    """Nothing goes on in the background."""
    given_up = asyncio.Event()

    async def fail() -> None:
        await asyncio.sleep(0)
        raise LookupError

    async def last() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    with pytest.raises(LookupError):
        await together(fail(), last())
    await asyncio.wait_for(given_up.wait(), 1)
