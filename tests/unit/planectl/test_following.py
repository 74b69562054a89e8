"""How a status stream is followed over breaks, errors and repetitions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planectl.calls import ApiFailure, ControllerUnreachable
from planectl.following import StatusFollower
from protocol.backend_state import BackendStatus


def event(status: str, time: int = 1) -> str:
    """Return one event's data."""
    return f'{{"status":"{status}","time":{time}}}'


def opened() -> StatusFollower:
    """Return a follower whose first stream has opened."""
    follower = StatusFollower()
    follower.opened()
    return follower


def test_each_status_is_told_once() -> None:
    """After a break the stream may begin from the start."""
    follower = opened()
    assert follower.received("loading", event("loading"))
    assert follower.received("loading", event("loading")) is None
    assert follower.received("scheduled", event("scheduled")) is None
    assert follower.received("ready", event("ready"))
    assert not follower.finished


def test_the_next_stream_begins_where_the_last_broke_off() -> None:
    """By the id of the last event; without ids, by its status."""
    follower = opened()
    assert follower.headers == {}
    follower.received("", event("loading"))
    assert follower.headers == {"Last-Event-ID": "loading"}
    follower.received("e7", event("ready"))
    assert follower.headers == {"Last-Event-ID": "e7"}


def test_terminated_is_the_last_word() -> None:
    """Then nothing is asked any more; so too when the controller says that there is no more."""
    follower = opened()
    follower.received("", event("terminated"))
    assert follower.finished
    other = opened()
    other.ended()
    assert other.finished


def test_an_event_without_data_is_skipped() -> None:
    """Such as one that only sets the time until the next try."""
    assert opened().received("", "") is None


def test_what_is_no_status_is_a_failure() -> None:
    """It is said, not skipped: the peer speaks something else."""
    with pytest.raises(ApiFailure):
        opened().received("", "{}")


def test_pauses_grow_up_to_a_limit() -> None:
    """And patience ends, in about a minute."""
    follower = opened()
    follower.received("", event("loading"))
    pauses = [0.0]

    def break_for_ever() -> None:
        while len(pauses) < 1000:
            follower.broken("gone")
            pauses.append(follower.pause)

    with pytest.raises(ControllerUnreachable, match="gone"):
        break_for_ever()
    assert pauses == sorted(pauses)
    assert (pauses[1], pauses[-1]) == (0.1, 2.0)
    assert 45 < sum(pauses) < 75


def test_news_make_patient_again() -> None:
    """The count begins anew with every new status."""
    follower = opened()
    for _ in range(5):
        follower.broken("gone")
    follower.received("", event("loading"))
    follower.broken("gone")
    assert follower.pause == 0.1


def test_a_stream_that_opens_and_breaks_is_tried_for_ever_but_not_fast() -> None:
    """The controller is there; something in between cuts in."""
    follower = opened()
    for _ in range(1000):
        follower.opened()
        follower.broken("cut")
        assert follower.pause >= 0.5


def test_the_first_try_must_succeed() -> None:
    """A mistyped address is told at once."""
    with pytest.raises(ControllerUnreachable):
        StatusFollower().broken("refused")
    with pytest.raises(ApiFailure):
        StatusFollower().refused(503, b"")


def test_a_controller_that_restarts_is_waited_for() -> None:
    """Behind a load balancer this looks like 502 or 503; an error that will stay does not."""
    follower = opened()
    follower.refused(503, b"")
    assert follower.pause > 0
    with pytest.raises(ApiFailure):
        follower.refused(404, b"")


@given(st.lists(st.one_of(st.sampled_from(BackendStatus), st.just("break"), st.just("open")), max_size=40))
def test_statuses_only_move_forward(story: list[BackendStatus | str]) -> None:
    """Whatever is told in whatever order, over however many streams."""
    follower = opened()
    told: list[BackendStatus] = []
    for step in story:
        if isinstance(step, BackendStatus):
            view = follower.received("", event(step))
            told += [view.status] if view else []
        elif step == "break":
            follower.opened()
            follower.broken("")
        else:
            follower.opened()
        if follower.finished:
            break
    ranks = [status.rank for status in told]
    assert ranks == sorted(set(ranks))
