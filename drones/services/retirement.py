"""
Takes controllers off the list that were not heard for long.
"""

from __future__ import annotations

from typing import Final

from postgres.statements import load

DELETE_DEAD_CONTROLLERS: Final = load(__file__, "delete_dead_controllers")
