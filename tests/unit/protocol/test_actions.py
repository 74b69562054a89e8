"""
Orders to drones: what one says, and what it does not show.
"""

from __future__ import annotations

import pytest

from protocol.actions import Action, ActionOrder, Spawn, Terminate
from protocol.backend_state import TerminationKind, TerminationReason
from protocol.codec import InvalidMessage, decode
from protocol.spawn import Executable
from tests.factories import SECRET, TOKEN, make_key, make_spawn, make_terminate


def test_an_order_is_one_thing_to_do() -> None:
    """To spawn and to end at once would be neither."""
    assert isinstance(make_spawn().action.variant, Spawn)
    assert make_terminate().action.variant == Terminate(TerminationKind.SOFT, TerminationReason.EXTERNAL)
    with pytest.raises(ValueError, match="exactly one of Spawn, Terminate, Prepare"):
        Action()


def test_a_spawn_shows_its_image_and_key_but_no_token_secret_or_environment() -> None:
    """Orders are logged when something is wrong with them."""
    executable = Executable(image="app:1", env={"PASSWORD": "hunter2"})
    spawn = Spawn(executable=executable, key=make_key("room-1"), static_token=f"s.{TOKEN}", backend_secret=SECRET)
    shown = repr(ActionOrder("ak-1", "b1", 3, Action(spawn=spawn)))
    assert "app:1" in shown
    assert "room-1" in shown
    assert not [hidden for hidden in (TOKEN, SECRET, "hunter2", "PASSWORD") if hidden in shown]


@pytest.mark.parametrize(
    "changed",
    [
        '"action_id":"1","backend_id":"b","drone_id":3',
        '"action_id":"ak-1","backend_id":"../b","drone_id":3',
        '"action_id":"ak-1","backend_id":"b","drone_id":"three"',
        '"action_id":"ak-1","drone_id":3',
    ],
)
def test_an_order_without_a_proper_name_is_refused(changed: str) -> None:
    """A backend's name becomes that of a container and of files."""
    with pytest.raises(InvalidMessage):
        decode(f'{{{changed},"action":{{"Terminate":{{"kind":"soft","reason":"external"}}}}}}', ActionOrder)
