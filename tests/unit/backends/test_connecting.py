"""Tests of what a connect asks for, and what the database's answer means."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.connecting import (
    USER_LIMIT,
    ConnectRefused,
    FailedToAcquireKey,
    FailedToRemoveKey,
    InvalidField,
    Joined,
    KeyHeld,
    KeyHeldUnhealthy,
    KeyUnheldNoSpawnConfig,
    NoClusterProvided,
    NoDroneAvailable,
    Occupied,
    Overtaken,
    Spawned,
    Wish,
    judge_connect,
    settle_request,
)
from protocol.backend_state import BackendStatus
from protocol.codec import encode
from protocol.connect import ConnectRequest
from protocol.keys import KeyConfig, LenientKeyConfig
from protocol.names import InvalidClusterName
from protocol.spawn import Executable, SpawnConfig
from tests.strategies import json_values, statuses

SPAWN = SpawnConfig(executable=Executable(image="app:1"))
#: What the statement returns when the key was never heard of and no drone was found.
NOTHING = dict.fromkeys(
    ("backend_id", "tag", "status", "status_rank", "cluster", "subdomain", "static_token", "free", "unhealthy",
     "joinable", "drone_id", "drone", "fencing_token", "ended")
)  # fmt: skip
HELD = {**NOTHING, "backend_id": "b1", "tag": "", "status": "ready", "status_rank": 50, "cluster": "c.example",
        "free": False, "unhealthy": False, "joinable": False}  # fmt: skip
DRONE = {"drone_id": 3, "drone": "dr-one"}


def wish(*, key: str | None = "k", spawn: SpawnConfig | None = SPAWN, wait: int = 0, cluster: str | None = "c") -> Wish:
    named = None if key is None else KeyConfig(key)
    return Wish(key=named, spawn=spawn, cluster=cluster, user=None, auth="{}", wait_seconds=wait)


def request(**changes: Any) -> ConnectRequest:
    return ConnectRequest(**{"key": LenientKeyConfig("k"), "spawn_config": SPAWN, **changes})


def test_what_was_left_out_is_filled_in() -> None:
    settled = settle_request(request(), "c.example:8080")
    assert settled.key == KeyConfig("k", "", "")
    assert (settled.cluster, settled.auth, settled.user, settled.wait_seconds) == ("c.example:8080", "{}", None, 0)


def test_the_requests_cluster_wins_over_the_controllers() -> None:
    asked = request(spawn_config=SpawnConfig(executable=Executable(image="a"), cluster="mine.example"))
    assert settle_request(asked, "default.example").cluster == "mine.example"


@pytest.mark.parametrize("name", ["a:b", ""])
def test_a_cluster_that_is_none(name: str) -> None:
    """An empty name is no name, and not the controller's default either."""
    asked = request(spawn_config=SpawnConfig(executable=Executable(image="a"), cluster=name))
    with pytest.raises(InvalidClusterName):
        settle_request(asked, "default.example")


def test_neither_key_nor_spawn_config() -> None:
    with pytest.raises(KeyUnheldNoSpawnConfig):
        settle_request(ConnectRequest(), None)


def test_the_limit_of_user_and_auth_is_exact() -> None:
    """Together, as JSON: `"u"` is 3 bytes, `{"a":""}` is 8."""
    fits = {"a": "x" * (USER_LIMIT - 3 - 8)}
    assert settle_request(request(user="u", auth=fits), None).user == "u"
    with pytest.raises(InvalidField):
        settle_request(request(user="uu", auth=fits), None)


@pytest.mark.parametrize(
    ("fits", "breaks"),
    [
        ({"auth": {"a": "x" * (USER_LIMIT - 8)}}, {"auth": {"a": "x" * (USER_LIMIT - 7)}}),
        ({"user": "x" * (USER_LIMIT - 2)}, {"user": "x" * (USER_LIMIT - 1)}),
    ],
    ids=["auth", "user"],
)
def test_what_is_left_out_counts_nothing(fits: dict[str, Any], breaks: dict[str, Any]) -> None:
    """The one of them that is there may have all of the room."""
    settle_request(request(**fits), None)
    with pytest.raises(InvalidField) as refused:
        settle_request(request(**breaks), None)
    assert refused.value.field in breaks


def test_auth_that_is_nested_too_deeply() -> None:
    auth: dict[str, Any] = {}
    for _ in range(100_000):
        auth = {"a": auth}
    with pytest.raises(InvalidField):
        settle_request(request(auth=auth), None)


@given(st.dictionaries(st.text(max_size=10), json_values, max_size=3))
def test_control_characters_are_found_wherever_they_are(auth: dict[str, Any]) -> None:
    """In keys and values, at any depth; and nowhere else."""

    def holds_one(value: Any) -> bool:
        if isinstance(value, str):
            return any(ord(character) < 32 or ord(character) == 127 for character in value)
        if isinstance(value, dict):
            return any(holds_one(part) for pair in value.items() for part in pair)
        return isinstance(value, list) and any(holds_one(part) for part in value)

    try:
        text = encode(auth)
    except UnicodeEncodeError:
        return  # lone surrogates, which no JSON body can hold
    if len(text) > USER_LIMIT:
        return
    if holds_one(auth):
        with pytest.raises(InvalidField):
            settle_request(request(auth=auth), None)
    else:
        assert settle_request(request(auth=auth), None).auth == text.decode()


def test_spawned() -> None:
    seen = {**NOTHING, **DRONE, "fencing_token": 5, "ended": "b0"}
    assert judge_connect(wish(), seen) == Spawned("dr-one", 3, "b0")


def test_joined() -> None:
    seen = {**HELD, "joinable": True, "static_token": "s.x", "subdomain": "alice"}
    assert judge_connect(wish(), seen) == Joined("b1", BackendStatus.READY, "c.example", "alice", "s.x")


@pytest.mark.parametrize(
    ("asked", "seen", "refusal"),
    [
        (wish(spawn=None), NOTHING, KeyUnheldNoSpawnConfig),
        (wish(cluster=None), NOTHING, NoClusterProvided),
        (wish(), NOTHING, NoDroneAvailable),
        (wish(), {**HELD, "free": True}, NoDroneAvailable),
        (wish(), {**HELD, "tag": "other"}, KeyHeld),
        (wish(), {**HELD, "tag": "other", "unhealthy": True}, KeyHeld),
        (wish(), {**HELD, "unhealthy": True}, KeyHeldUnhealthy),
        (wish(spawn=None), {**HELD, "tag": "other"}, KeyHeld),
        # There is no point in waiting for one that neither ends nor is silent.
        (wish(wait=9), {**HELD, "tag": "other"}, KeyHeld),
    ],
)
def test_refusals(asked: Wish, seen: dict[str, Any], refusal: type[ConnectRefused]) -> None:
    with pytest.raises(refusal):
        judge_connect(asked, seen)


@pytest.mark.parametrize(
    "seen",
    [
        {**HELD, "status": "terminating"},
        {**HELD, "status": "hard-terminating", "tag": "other"},
        {**HELD, "unhealthy": True},
    ],
)
def test_worth_waiting_for(seen: dict[str, Any]) -> None:
    """Whoever ends, or is silent, gives the key back soon; whatever tag it holds it under."""
    assert judge_connect(wish(wait=9), seen) == Occupied("b1")


@pytest.mark.parametrize(
    ("seen", "refusal"),
    [
        ({**NOTHING, **DRONE}, FailedToAcquireKey),
        ({**NOTHING, **DRONE, "free": True}, FailedToAcquireKey),
        ({**HELD, **DRONE, "free": True}, FailedToRemoveKey),
    ],
)
def test_a_lost_race_says_what_it_was_about(seen: dict[str, Any], refusal: type[ConnectRefused]) -> None:
    outcome = judge_connect(wish(), seen)
    assert isinstance(outcome, Overtaken)
    assert isinstance(outcome.refusal, refusal)


@given(
    status=statuses,
    free=st.booleans(),
    unhealthy=st.booleans(),
    same_tag=st.booleans(),
    wait=st.sampled_from([0, 9]),
    spawn=st.sampled_from([None, SPAWN]),
    drone=st.booleans(),
)
def test_every_row_has_a_meaning(**facts: Any) -> None:
    """Whatever the statement may see, there is an outcome or a refusal; waiting only for those who asked to."""
    seen: dict[str, Any] = {**HELD, "status": str(facts["status"]), "free": facts["free"],
                            "unhealthy": facts["unhealthy"], "tag": "" if facts["same_tag"] else "other",
                            **(DRONE if facts["drone"] else {})}  # fmt: skip
    ending = facts["status"].is_ending
    seen["joinable"] = (
        not facts["free"] and facts["same_tag"] and not facts["unhealthy"] and not (facts["wait"] and ending)
    )
    asked = wish(wait=facts["wait"], spawn=facts["spawn"])
    try:
        outcome = judge_connect(asked, seen)
    except ConnectRefused:
        return
    assert isinstance(outcome, Occupied) <= bool(asked.wait_seconds)
    assert isinstance(outcome, Joined) == seen["joinable"]
