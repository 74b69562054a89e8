"""
Our drone and our proxy at a controller of the published series: they understand it, and use nothing it does not know.
"""

from __future__ import annotations

import shlex
import sys
import threading
from typing import Any

import httpx

from tests.end_to_end.conftest import MakeStack
from tests.end_to_end.published_controller import NodeConnection, published_controller
from tests.end_to_end.published_peers import web_server
from tests.end_to_end.waiting import until

CLUSTER = "played.test:4000"
BACKEND = "k3v9x2m7q1w8e5"
ORDER = {"backend_id": BACKEND, "drone_id": 3}
SOFT = {"Terminate": {"kind": "soft", "reason": "external"}}


def spawn(local_time: int, *, lease: int) -> dict[str, Any]:
    """Return the order to run a backend; in a first lease of the published series soft and hard deadline are equal."""
    end = local_time + lease
    deadlines = {"renew_at": local_time + 500, "soft_terminate_at": end, "hard_terminate_at": end}
    key = {"key": {"name": "played", "namespace": "", "tag": ""}, "deadlines": deadlines, "token": 1_700_000_000_000}
    executable: dict[str, Any] = {
        "image": "web",
        "pull_policy": None,
        "env": {},
        "resource_limits": {},
        "credentials": None,
    }
    action = {"Spawn": {"executable": executable, "key": key, "static_token": None}}
    return {"action_id": "ak-spawnspawn1234", **ORDER, "action": action}


def hear_states(node: NodeConnection, last: str, *, thank: bool) -> list[dict[str, Any]]:
    """Take reports, each one newer than the one before, until the one with the last status."""
    events: list[dict[str, Any]] = []
    while not events or events[-1]["state"]["status"] != last:
        event = node.hear("BackendEvent")
        assert set(event) == {"event_id", "backend_id", "state", "timestamp"}
        if thank:
            node.say("AckEvent", {"event_id": event["event_id"]})
        if not events or event["event_id"] > events[-1]["event_id"]:
            events.append(event)
    return events


def test_our_drone_serves_a_published_controller(make_stack: MakeStack) -> None:
    """Handshake, heartbeat, spawn, renewal, reports again after a reconnect, termination."""
    stack = make_stack()
    command = f"sh -c {shlex.quote(f'exec {sys.executable} -m http.server $PORT')}"
    with published_controller() as controller:
        arguments = ["drone", f"--controller-url={controller.url}", f"--cluster={CLUSTER}", "--name=dr-ours"]
        arguments += ["--runtime=process", f"--process-image=web={command}", "--heartbeat=0.3", "--pool=some pool"]
        drone = stack.program("dr-ours", [*arguments, f"--db={stack.scratch}/ours.sqlite"])
        stack.drones["dr-ours"] = drone
        drone.start()
        node = controller.accept()
        assert node.path == f"/ctrl/c/{CLUSTER}/drone-socket?pool=some pool"
        assert node.authorization == "Bearer open-sesame"
        assert node.handshake["name"] == "dr-ours"
        assert set(node.handshake["version"]) == {"version", "git_hash"}
        heartbeat = node.hear("Heartbeat")
        assert set(heartbeat) == {"local_time"}

        node.say("Action", spawn(heartbeat["local_time"], lease=8000))
        assert node.hear("AckAction") == {"action_id": "ak-spawnspawn1234"}
        # Nothing is thanked for yet, so all of it is told again on the next connection.
        told = hear_states(node, "ready", thank=False)
        assert [event["state"]["status"] for event in told] == ["loading", "starting", "waiting", "ready"]
        address = told[-1]["state"]["address"]
        assert httpx.get(f"http://{address}/").status_code == 200
        node.close()
        node = controller.accept()
        assert hear_states(node, "ready", thank=True) == told

        asked = node.hear("RenewKey")
        assert asked["backend"] == BACKEND
        clock = asked["local_time"]
        renewed = {"renew_at": clock + 60_000, "soft_terminate_at": clock + 70_000, "hard_terminate_at": clock + 80_000}
        node.say("RenewKeyResponse", {"backend": BACKEND, "deadlines": renewed})
        # An order that it has already is not carried out twice: the process is the same.
        node.say("Action", spawn(clock, lease=8000))
        node.say("Action", {"action_id": "ak-terminate12345", **ORDER, "action": SOFT})
        ended = hear_states(node, "terminated", thank=True)
        assert [event["state"]["status"] for event in ended] == ["terminating", "terminated"]
        assert ended[-1]["state"]["last_status"] == "ready"
        assert ended[-1]["state"]["reason"] == "external"
        assert drone.stop() == 0


def test_our_drone_ends_what_is_not_renewed(make_stack: MakeStack) -> None:
    """A published controller does not answer when a key cannot be renewed: silence is a refusal."""
    stack = make_stack()
    command = f"sh -c {shlex.quote(f'exec {sys.executable} -m http.server $PORT')}"
    with published_controller() as controller:
        arguments = ["drone", f"--controller-url={controller.url}", f"--cluster={CLUSTER}", "--name=dr-silent"]
        arguments += ["--runtime=process", f"--process-image=web={command}", "--heartbeat=0.3"]
        drone = stack.program("dr-silent", arguments)
        stack.drones["dr-silent"] = drone
        drone.start()
        node = controller.accept()
        node.say("Action", spawn(node.hear("Heartbeat")["local_time"], lease=3000))
        hear_states(node, "ready", thank=True)
        node.hear("RenewKey")
        ended = hear_states(node, "terminated", thank=True)
        assert ended[-1]["state"]["reason"] == "keyexpired"


def test_our_proxy_serves_a_published_controller(make_stack: MakeStack) -> None:
    """It asks where a token leads, says what is in use in the published way, and forgets what is removed."""
    stack = make_stack()
    with published_controller() as controller, web_server() as address:
        port = stack.proxy_port
        arguments = ["proxy", f"--controller-url={controller.url}", f"--cluster={stack.cluster}", "--heartbeat=0.3"]
        proxy = stack.program("proxy-ours", [*arguments, f"--http-port={port}"])
        stack.proxies.append(proxy)
        proxy.start()
        node = controller.accept()
        assert node.path == f"/ctrl/c/{stack.cluster}/proxy-socket"
        assert node.authorization == "Bearer open-sesame"
        assert node.handshake["name"].startswith("px-")

        answers: list[httpx.Response] = []
        url = f"http://{stack.cluster}/sometoken/"
        until(lambda: httpx.get(f"http://{stack.cluster}/ready").status_code == 200, "the proxy serves")
        asking = threading.Thread(target=lambda: answers.append(httpx.get(url, timeout=20)))
        asking.start()
        assert node.hear("RouteInfoRequest") == {"token": "sometoken"}
        route: dict[str, Any] = {
            "backend_id": BACKEND,
            "address": address,
            "secret_token": "s3cret",
            "cluster": stack.cluster,
        }
        route |= {"user": None, "user_data": {}}
        node.say("RouteInfoResponse", {"token": "sometoken", "route_info": route})
        asking.join(20)
        assert answers[0].text == "played"
        assert node.hear("KeepAlive") == BACKEND

        node.say("BackendRemoved", {"backend": BACKEND})
        asking = threading.Thread(target=lambda: answers.append(httpx.get(url, timeout=20)))
        asking.start()
        assert node.hear("RouteInfoRequest") == {"token": "sometoken"}
        node.say("RouteInfoResponse", {"token": "sometoken", "route_info": None})
        asking.join(20)
        assert answers[1].status_code == 410
