"""
What the people of one session share: who is there, and a counter. Pure: no sockets, no clock.
"""

from collections import deque
from dataclasses import dataclass
from random import Random
from typing import Any, Final

_TEMPERS: Final = ("Amber", "Brave", "Calm", "Clever", "Gentle", "Jolly", "Lucky", "Merry", "Nimble", "Quiet", "Swift")
_ANIMALS: Final = ("Badger", "Crane", "Dolphin", "Fox", "Heron", "Lynx", "Otter", "Panda", "Raven", "Seal", "Wren")
#: Degrees of the colour circle between two guests who come one after the other: far apart, and never the same again.
_GOLDEN_ANGLE: Final = 137.508
_NAME_LENGTH: Final = 40
_STEPS: Final = (-1, 1)
_REMEMBERED: Final = 5


@dataclass
class Guest:
    """One open page."""

    number: int
    name: str
    hue: int
    presses: int = 0


class Room:
    """One session: guests come, press and go; everybody sees the same."""

    def __init__(self, dice: Random) -> None:
        self.counter = 0
        self._guests: dict[int, Guest] = {}
        self._come = 0
        self._recent: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED)
        self._dice = dice

    def join(self, name: str | None = None) -> Guest:
        """Let somebody in, under a name that was proved elsewhere or one made up here."""
        self._come += 1
        chosen = (name or "").strip()[:_NAME_LENGTH] or self._draw_name()
        guest = Guest(self._come, chosen, int(self._come * _GOLDEN_ANGLE) % 360)
        self._guests[guest.number] = guest
        return guest

    def leave(self, guest: Guest) -> None:
        """Let somebody go."""
        self._guests.pop(guest.number, None)

    def press(self, guest: Guest, step: object) -> bool:
        """Move the counter one up or down; tell whether that was what was asked for."""
        if type(step) is not int or step not in _STEPS:
            return False
        self.counter += step
        guest.presses += 1
        self._recent.appendleft({"name": guest.name, "hue": guest.hue, "step": step, "counter": self.counter})
        return True

    def snapshot(self) -> dict[str, Any]:
        """Return all that everybody sees, ready for JSON."""
        guests = [
            {"number": guest.number, "name": guest.name, "hue": guest.hue, "presses": guest.presses}
            for guest in self._guests.values()
        ]
        return {"counter": self.counter, "guests": guests, "recent": list(self._recent)}

    def _draw_name(self) -> str:
        taken = {guest.name for guest in self._guests.values()}
        name = f"{self._dice.choice(_TEMPERS)} {self._dice.choice(_ANIMALS)}"
        return name if name not in taken else f"{name} {self._come}"
