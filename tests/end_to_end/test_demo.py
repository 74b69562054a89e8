"""
What a newcomer sees first: one command, one page in two windows, and nothing left after Ctrl-C.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from tests.end_to_end.demo_run import DemoRun, descendants, living
from tests.end_to_end.waiting import until
from tests.engines.docker_engines import DockerEngine

NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that a database's own user can reach, unlike pytest's; else its data would be put elsewhere."""
    made = Path(tempfile.mkdtemp(prefix="plane-test-demo-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def demo_with_docker(folder: Path, docker_engine: DockerEngine) -> Iterator[DemoRun]:
    """A demo whose backend is a container."""
    run = DemoRun(folder, environment=docker_engine.environment)
    yield run
    run.clear_away()


@pytest.fixture
def demo_without_docker(folder: Path) -> Iterator[DemoRun]:
    """A demo on a machine without an engine."""
    run = DemoRun(folder, environment=NO_ENGINE)
    yield run
    run.clear_away()


def containers(engine: DockerEngine) -> list[str]:
    """Name the containers of the demo's image."""
    found = engine.client.containers.list(all=True, filters={"ancestor": "plane-demo"})
    return [str(container.name) for container in found]


def status_at(url: str) -> str:
    """Return the status word that a backend's public page tells."""
    return str(httpx.get(url, trust_env=False).json()["status"])


async def open_window(browser: Browser, url: str) -> Page:
    """Open the page in a window of its own, and wait until it is live."""
    window = await (await browser.new_context()).new_page()
    await window.goto(url)
    await expect(window.locator("#link")).to_have_text("live")
    return window


async def share_a_counter(browser: Browser, demo: DemoRun) -> None:
    """Press in each of two windows, and see the counter move in both."""
    one, other = [await open_window(browser, demo.said("URL")) for _ in range(2)]
    for window in (one, other):
        await expect(window.locator("#guests li")).to_have_count(2)
        await expect(window.locator("#key")).to_have_text("demo")
        await expect(window.locator("#backend")).to_have_text(demo.said("Backend"))
    await one.locator("#plus").click()
    await other.locator("#plus").click()
    await one.locator("#plus").click()
    for window in (one, other):
        await expect(window.locator("#count")).to_have_text("3")
    await other.locator("#minus").click()
    await expect(one.locator("#count")).to_have_text("2")
    await other.close()
    await expect(one.locator("#guests li")).to_have_count(1)


def look_into_the_admin(demo: DemoRun) -> None:
    """Log in with what the demo has printed."""
    found = re.fullmatch(r"(http://localhost:\d+/admin/) \((demo) / (\S+)\)", demo.said("Admin"))
    assert found
    with httpx.Client(trust_env=False, follow_redirects=True, base_url=found[1]) as client:
        form = client.get("login/?next=/admin/")
        token = client.cookies["csrftoken"]
        answer = client.post(
            form.url,
            data={"username": found[2], "password": found[3], "csrfmiddlewaretoken": token, "next": "/admin/"},
        )
        assert answer.status_code == 200
        assert "Log out" in answer.text


@pytest.mark.docker
@pytest.mark.browser
async def test_a_newcomer_with_docker(demo_with_docker: DemoRun, docker_engine: DockerEngine, browser: Browser) -> None:
    """The image is built on the spot, two windows share the page, and Ctrl-C leaves nothing behind."""
    demo = demo_with_docker
    demo.start()
    assert "no isolation" not in demo.words
    assert containers(docker_engine) == [f"plane-{demo.said('Backend')}"]
    assert demo.words.splitlines()[-5:] == [
        f"Backend: {demo.said('Backend')}",
        f"URL: {demo.said('URL')}",
        f"Status URL: {demo.said('Status URL')}",
        f"Admin: {demo.said('Admin')}",
        "Press Ctrl-C to stop.",
    ]
    assert re.fullmatch(rf"http://localhost:{demo.ports[1]}/[\w-]{{43}}/", demo.said("URL"))
    assert status_at(demo.said("Status URL")) == "ready"
    look_into_the_admin(demo)
    await share_a_counter(browser, demo)

    everything = descendants(demo.pid)
    assert len(everything) >= 4
    assert demo.end(signal.SIGINT, whole_group=True) == 0
    assert living(everything) == set()
    assert containers(docker_engine) == []


@pytest.mark.browser
async def test_a_newcomer_without_docker(demo_without_docker: DemoRun, browser: Browser) -> None:
    """The same page from a process, and word of what that means; SIGTERM ends it as well."""
    demo = demo_without_docker
    demo.start()
    assert "No Docker engine answers" in demo.words
    assert "no isolation" in demo.words
    await share_a_counter(browser, demo)

    everything = descendants(demo.pid)
    assert demo.end(signal.SIGTERM) == 0
    assert living(everything) == set()


def test_later_runs_are_quick_and_remember(demo_without_docker: DemoRun) -> None:
    """Within 15 s to the page, with the same password and the same database; a second one is told of the first."""
    demo = demo_without_docker
    demo.start()
    first = demo.said("Admin"), demo.said("Backend")
    second = demo.ask_again()
    assert second.returncode == 1
    assert "already running" in second.stderr
    assert str(demo.pid) in second.stderr
    demo.end(signal.SIGINT)

    assert demo.start() < 15
    assert demo.said("Admin") == first[0]
    assert demo.said("Backend") != first[1]
    look_into_the_admin(demo)
    assert status_at(demo.said("Status URL").replace(demo.said("Backend"), first[1])) == "terminated"


def test_a_part_that_dies_takes_the_demo_along(demo_without_docker: DemoRun) -> None:
    """With a sentence and the part's last words, exit status 1, and everything else stopped."""
    demo = demo_without_docker
    demo.start()
    everything = descendants(demo.pid)
    proxy = next(pid for pid in everything if b"proxyd" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(proxy, signal.SIGKILL)
    assert demo.wait() == 1
    assert "The proxy was killed by signal 9" in demo.words
    assert "proxy_listening" in demo.words.partition("last words")[2]
    assert "Traceback" not in demo.words
    assert living(everything) == set()


@pytest.mark.docker
def test_nothing_outlives_a_killed_demo(demo_with_docker: DemoRun, docker_engine: DockerEngine) -> None:
    """The kernel ends its parts, the agent its container; and the next run finds its way."""
    demo = demo_with_docker
    demo.start()
    everything = descendants(demo.pid)
    demo.end(signal.SIGKILL)
    until(lambda: not living(everything), "the end of all parts", within=30)
    assert containers(docker_engine) == []
    demo.start()
    assert httpx.get(demo.said("URL"), trust_env=False).status_code == 200
    demo.end(signal.SIGINT)


def test_what_keeps_it_from_starting_is_a_sentence(demo_without_docker: DemoRun) -> None:
    """Taken ports, a place that cannot be written, Docker where there is none: exit status 1, no traceback."""
    demo = demo_without_docker
    demo.start()
    others = {
        "is taken by another program": ["--data-dir=elsewhere"],
        "Cannot keep data": ["--data-dir=/proc/nothing"],
        "no Docker engine answers": [
            "--data-dir=elsewhere",
            "--runtime=docker",
            "--controller-port=1",
            "--proxy-port=2",
        ],
    }
    for words, flags in others.items():
        refused = demo.ask_again(*flags)
        assert refused.returncode == 1, (words, refused.stderr)
        assert words in refused.stderr
        assert "Traceback" not in refused.stderr
    demo.end(signal.SIGINT)
