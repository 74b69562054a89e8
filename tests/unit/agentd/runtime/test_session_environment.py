"""What a backend sees in its environment."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentd.runtime.session_environment import port_of, session_environment
from protocol.spawn import Executable
from tests.unit.agentd.runtime.orders import IMAGE, acquired, order

OURS = [
    "PORT",
    "SESSION_BACKEND_ID",
    "SESSION_BACKEND_KEY",
    "SESSION_BACKEND_FENCING_TOKEN",
    "SESSION_BACKEND_STATIC_TOKEN",
]


def test_a_session_is_described_in_full() -> None:
    """With a key and a static token there is all that wire.md lists."""
    made = session_environment(order(key=acquired(), static_token="s.secret"), port=8080)
    assert made == {
        "PORT": "8080",
        "SESSION_BACKEND_ID": "be1",
        "SESSION_BACKEND_KEY": "room-1",
        "SESSION_BACKEND_FENCING_TOKEN": "17",
        "SESSION_BACKEND_STATIC_TOKEN": "s.secret",
    }


def test_what_there_is_not_is_not_described() -> None:
    """Without key and static token nothing is said of them."""
    assert session_environment(order(), port=1) == {"PORT": "1", "SESSION_BACKEND_ID": "be1"}


@given(st.dictionaries(st.sampled_from([*OURS, "A", "PATH"]), st.text(max_size=5)))
def test_the_session_wins_over_the_request_and_nothing_else_is_lost(asked: dict[str, str]) -> None:
    """Whatever a request sets."""
    described = session_environment(order(key=acquired(), static_token="s.t"), port=8080)
    made = session_environment(order(Executable(image=IMAGE, env=asked), key=acquired(), static_token="s.t"), port=8080)
    assert made == {**asked, **described}


def test_the_port_is_8080_unless_the_request_says_so() -> None:
    """`executable.port` is ours."""
    assert port_of(Executable(image=IMAGE)) == 8080
    assert port_of(Executable(image=IMAGE, port=3000)) == 3000
