"""
A drone and a proxy of the published series at our controller: served as they expect, and never sent an extension.
"""

from __future__ import annotations

import re
import time
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as open_websocket

from planectl.client import Client
from protocol.backend_state import BackendStatus
from tests.end_to_end.published_peers import PublishedPeer, published_peer, web_server
from tests.end_to_end.stack import Stack
from tests.end_to_end.waiting import until

READY, TERMINATED = BackendStatus.READY, BackendStatus.TERMINATED


def now() -> int:
    """Return a drone's clock."""
    return time.time_ns() // 1_000_000


def join_as_drone(peer: PublishedPeer, stack: Stack, cluster: str) -> None:
    """Say a first heartbeat, and wait until the controller counts on it."""
    peer.say("Heartbeat", {"local_time": now()})
    with Client(stack.url) as client:
        until(lambda: [drone for drone in client.cluster_state(cluster).drones if drone.ready], "the drone is ready")


def report(peer: PublishedPeer, event: int, backend: str, state: dict[str, Any]) -> None:
    """Report a state and hear that it was stored."""
    peer.say("BackendEvent", {"event_id": event, "backend_id": backend, "state": state, "timestamp": now()})
    assert peer.hear("AckEvent") == {"event_id": event}


def test_a_published_drone_is_given_exactly_what_it_knows(stack: Stack) -> None:
    """A whole life: handshake, spawn, reports, renewal, termination; each frame as the published series has it."""
    cluster = "drone.played.test:4000"
    with published_peer(stack.url, cluster, "drone", "dr-played") as peer, web_server() as address:
        assert peer.controller["name"].startswith("co-")
        assert set(peer.controller["version"]) == {"version", "git_hash"}
        join_as_drone(peer, stack, cluster)
        before = now()
        answer = stack.connect("played", cluster=cluster, max_idle_seconds=60, env={"A": "b"})
        assert answer.drone == "dr-played"

        order = peer.hear("Action")
        assert set(order) == {"action_id", "backend_id", "drone_id", "action"}
        assert re.fullmatch(r"ak-[a-z0-9]{14}", order["action_id"])
        assert order["backend_id"] == answer.backend_id
        assert 0 <= order["drone_id"] < 2**31
        spawn = order["action"]["Spawn"]
        assert set(spawn) == {"executable", "key", "static_token"}
        assert spawn["static_token"] is None
        assert spawn["executable"] == {"image": "plane-test-session:1", "env": {"A": "b"}}
        assert spawn["key"]["key"] == {"name": "played", "namespace": "", "tag": ""}
        deadlines = spawn["key"]["deadlines"]
        assert set(deadlines) == {"renew_at", "soft_terminate_at", "hard_terminate_at"}
        # On the drone's clock as of its last heartbeat: early, never late.
        assert deadlines["renew_at"] <= before + 30_000
        assert deadlines["renew_at"] < deadlines["soft_terminate_at"] < deadlines["hard_terminate_at"]
        fencing = spawn["key"]["token"]
        assert fencing > 1_600_000_000_000

        peer.say("AckAction", {"action_id": order["action_id"]})
        report(peer, 1, answer.backend_id, {"status": "loading"})
        report(peer, 2, answer.backend_id, {"status": "ready", "address": address})
        assert stack.status(answer.backend_id) is READY
        # Twice and late reports are thanked for, and change nothing.
        report(peer, 2, answer.backend_id, {"status": "ready", "address": address})
        report(peer, 3, answer.backend_id, {"status": "starting"})
        assert stack.status(answer.backend_id) is READY

        asked = now()
        peer.say("RenewKey", {"backend": answer.backend_id, "local_time": asked})
        renewed = peer.hear("RenewKeyResponse")
        assert renewed["backend"] == answer.backend_id
        assert renewed["deadlines"] == {
            "renew_at": asked + 30_000,
            "soft_terminate_at": asked + 40_000,
            "hard_terminate_at": asked + 50_000,
        }

        httpx.post(f"{stack.url}/ctrl/b/{answer.backend_id}/soft-terminate").raise_for_status()
        order = peer.hear("Action")
        assert order["action"] == {"Terminate": {"kind": "soft", "reason": "external"}}
        peer.say("AckAction", {"action_id": order["action_id"]})
        state = {"last_status": "ready", "termination": "soft", "reason": "external"}
        report(peer, 4, answer.backend_id, {"status": "terminating", **state})
        report(peer, 5, answer.backend_id, {"status": "terminated", **state, "exit_code": 0})
        assert stack.status(answer.backend_id) is TERMINATED

        successor = stack.connect("played", cluster=cluster, max_idle_seconds=60)
        assert successor.spawned
        assert peer.hear("Action")["action"]["Spawn"]["key"]["token"] > fencing
        end(peer, 6, successor.backend_id)
        # A renewal for a backend that no longer holds its key: null, or nothing at all.
        peer.say("RenewKey", {"backend": answer.backend_id, "local_time": now()})
        assert peer.hear("RenewKeyResponse") == {"backend": answer.backend_id, "deadlines": None}


def end(peer: PublishedPeer, event: int, backend: str) -> None:
    """Let a played backend leave by itself."""
    gone = {"status": "terminated", "last_status": "scheduled", "termination": None, "reason": None, "exit_code": None}
    report(peer, event, backend, gone)


def test_an_order_is_repeated_until_something_is_heard_of_it(stack: Stack) -> None:
    """A published drone does not acknowledge a spawn that it has already: a report about the backend will do."""
    cluster = "again.played.test:4000"
    with published_peer(stack.url, cluster, "drone", "dr-again") as peer:
        join_as_drone(peer, stack, cluster)
        answer = stack.connect("again", cluster=cluster, max_idle_seconds=60)
        order = peer.hear("Action")
    with published_peer(stack.url, cluster, "drone", "dr-again") as peer:
        peer.say("Heartbeat", {"local_time": now()})
        assert peer.hear("Action")["action_id"] == order["action_id"]
        report(peer, 1, answer.backend_id, {"status": "loading"})
    with published_peer(stack.url, cluster, "drone", "dr-again") as peer:
        peer.say("Heartbeat", {"local_time": now()})
        assert peer.hears_nothing()
        end(peer, 2, answer.backend_id)


def test_a_published_proxy_is_given_exactly_what_it_knows(stack: Stack) -> None:
    """A route that is held back without a word until the backend is ready; a keepalive; the end."""
    cluster = "proxy.played.test:4000"
    with (
        published_peer(stack.url, cluster, "drone", "dr-behind") as drone,
        published_peer(stack.url, cluster, "proxy", "px-played") as proxy,
    ):
        join_as_drone(drone, stack, cluster)
        answer = stack.connect("behind", cluster=cluster, max_idle_seconds=60, user="ada", auth={"a": 1})
        drone.hear("Action")

        proxy.say("RouteInfoRequest", {"token": "nosuchtoken"})
        assert proxy.hear("RouteInfoResponse") == {"token": "nosuchtoken", "route_info": None}
        proxy.say("RouteInfoRequest", {"token": answer.token})
        assert proxy.hears_nothing()
        report(drone, 1, answer.backend_id, {"status": "ready", "address": "127.0.0.1:9"})
        assert proxy.hear("RouteInfoResponse") == {
            "token": answer.token,
            "route_info": {
                "backend_id": answer.backend_id,
                "address": "127.0.0.1:9",
                "secret_token": answer.secret_token,
                "cluster": cluster,
                "user": "ada",
                "user_data": {"a": 1},
                "subdomain": None,
            },
        }
        proxy.say("KeepAlive", answer.backend_id)
        end(drone, 2, answer.backend_id)
        assert proxy.hear("BackendRemoved") == {"backend": answer.backend_id}
        proxy.say("RouteInfoRequest", {"token": answer.token})
        assert proxy.hear("RouteInfoResponse") == {"token": answer.token, "route_info": None}


def test_a_proxy_learns_nothing_of_other_clusters(stack: Stack) -> None:
    """A token of another cluster leads nowhere."""
    cluster, other = "mine.played.test:4000", "theirs.played.test:4000"
    with (
        published_peer(stack.url, cluster, "drone", "dr-mine") as drone,
        published_peer(stack.url, other, "proxy", "px-theirs") as proxy,
    ):
        join_as_drone(drone, stack, cluster)
        answer = stack.connect("mine", cluster=cluster, max_idle_seconds=60)
        drone.hear("Action")
        report(drone, 1, answer.backend_id, {"status": "ready", "address": "127.0.0.1:9"})
        proxy.say("RouteInfoRequest", {"token": answer.token})
        assert proxy.hear("RouteInfoResponse")["route_info"] is None
        end(drone, 2, answer.backend_id)


def test_a_drone_has_no_say_about_the_backends_of_another(stack: Stack) -> None:
    """Reports and renewals count only from a backend's own drone."""
    cluster = "own.played.test:4000"
    with published_peer(stack.url, cluster, "drone", "dr-owner") as owner:
        join_as_drone(owner, stack, cluster)
        answer = stack.connect("owned", cluster=cluster, max_idle_seconds=60)
        owner.hear("Action")
        report(owner, 1, answer.backend_id, {"status": "ready", "address": "127.0.0.1:9"})
        with published_peer(stack.url, "own2.played.test:4000", "drone", "dr-intruder") as intruder:
            intruder.say("Heartbeat", {"local_time": now()})
            gone = {"status": "terminated", "last_status": "ready", "termination": None, "reason": None}
            event = {"event_id": 1, "backend_id": answer.backend_id, "state": gone, "timestamp": now()}
            intruder.say("BackendEvent", event)
            intruder.say("RenewKey", {"backend": answer.backend_id, "local_time": now()})
            time.sleep(0.5)
        assert stack.status(answer.backend_id) is READY
        end(owner, 2, answer.backend_id)


@pytest.mark.parametrize(
    "first",
    [
        "",
        "{}",
        '{"version":{"version":"1","git_hash":"f"},"name":"px-wrong"}',
        '{"Heartbeat":{"local_time":1}}',
    ],
)
def test_a_handshake_that_does_not_parse_closes_the_socket(stack: Stack, first: str) -> None:
    """The wrong prefix, no handshake at all."""
    url = f"{stack.url.replace('http', 'ws', 1)}/ctrl/c/{stack.cluster}/drone-socket?pool="
    with open_websocket(url) as socket:
        socket.send(first)
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=10)


def test_a_later_frame_that_does_not_parse_is_skipped(stack: Stack) -> None:
    """Junk, unknown kinds, binary: the socket goes on as if nothing had been said."""
    cluster = "junk.played.test:4000"
    with published_peer(stack.url, cluster, "drone", "dr-junk") as peer:
        for frame in ("junk", '{"Telepathy":{}}', '{"Heartbeat":{"local_time":"noon"}}', b"\x00\xff", "[]"):
            peer._socket.send(frame)
        peer._socket.ping()
        join_as_drone(peer, stack, cluster)
        answer = stack.connect("junk", cluster=cluster)
        assert peer.hear("Action")["backend_id"] == answer.backend_id
        end(peer, 1, answer.backend_id)
