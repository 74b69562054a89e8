"""
The operator's way in: `plane admin` against a running system.
"""

from __future__ import annotations

import json
import re
import subprocess

import httpx

from tests.end_to_end.programs import PLANE
from tests.end_to_end.session_image import SESSION_IMAGE
from tests.end_to_end.stack import Stack


def test_connect_prints_the_way_in_and_follows_until_ready(stack: Stack) -> None:
    """Then the same key joins, and terminate follows to the end."""
    done = stack.admin("connect", "--image", SESSION_IMAGE, "--key", "by-hand", "--cluster", stack.cluster)
    assert done.returncode == 0, done.stderr
    backend = re.search(r"^Backend: (\w+)", done.stdout, re.MULTILINE)
    url = re.search(r"^URL: (\S+)", done.stdout, re.MULTILINE)
    assert backend
    assert url
    assert "ready" in done.stdout.splitlines()[-1]
    assert httpx.get(url[1]).text == "hello"

    again = stack.admin("connect", "--image", SESSION_IMAGE, "--key", "by-hand", "--format", "json", "--immediate")
    answer = json.loads(again.stdout)
    assert (answer["backend_id"], answer["spawned"]) == (backend[1], False)

    ended = stack.admin("terminate", backend[1])
    assert ended.returncode == 0, ended.stderr
    assert "terminated" in ended.stdout.splitlines()[-1]
    past = stack.admin("backend-status", backend[1], "--format", "json")
    words = [json.loads(line)["status"] for line in past.stdout.splitlines()]
    assert (words[0], words[-1]) == ("scheduled", "terminated")


def test_the_state_of_a_cluster_lists_its_nodes(stack: Stack) -> None:
    """Drones and proxies that are connected."""
    done = stack.admin("cluster-state", stack.cluster, "--format", "json")
    state = json.loads(done.stdout)
    assert [drone["node"]["name"]["Drone"] for drone in state["drones"]] == ["dr-one"]
    assert state["drones"][0]["ready"] is True
    assert state["drones"][0]["last_heartbeat_age"] < 5
    assert len(state["proxies"]) == 1
    assert state["proxies"][0]["name"]["Proxy"].startswith("px-")


def test_status_says_that_the_controller_works(stack: Stack) -> None:
    """With its version."""
    done = stack.admin("status")
    assert done.returncode == 0
    assert "ok" in done.stdout


def test_an_error_is_a_sentence_and_exit_status_one(stack: Stack) -> None:
    """No traceback, on standard error."""
    for arguments in (["terminate", "nosuchbackend"], ["connect", "--image", "x", "--cluster", "nowhere.test"]):
        done = stack.admin(*arguments)
        assert done.returncode == 1
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_all_bad_values_are_told_at_once(stack: Stack) -> None:
    """Exit status 2, for daemons as for the rest, and nothing is started."""
    flags = ["--controller-url=ftp://x", "--cluster=a b", "--heartbeat=soon"]
    for part in ("drone", "proxy"):
        done = subprocess.run([str(PLANE), part, *flags], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 2
        for word in ("--controller-url", "--cluster", "--heartbeat"):
            assert word in done.stderr, (part, word, done.stderr)


def test_leases_that_contradict_each_other_are_refused(stack: Stack) -> None:
    """A controller does not start with deadlines in the wrong order."""
    argv = [str(PLANE), "controller", f"--db={stack.dsn}", "--lease-renew=50", "--lease-soft=40"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "must be shorter than" in done.stderr
