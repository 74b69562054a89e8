"""
Waiting for something that another task, thread or process brings about.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_STEP = 0.005


async def until(condition: Callable[[], T], *, within: float = 10.0) -> T:
    """Look again and again until the condition returns something true, and return that."""
    for _ in range(int(within / _STEP)):
        if result := condition():
            return result
        await asyncio.sleep(_STEP)
    raise TimeoutError(f"not within {within} s")
