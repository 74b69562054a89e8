"""
The admin: with its style under Daphne, and without any secret on its pages.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from django.contrib import admin
from django.urls import reverse
from playwright.async_api import Browser

from backends.services.connect import connect
from tests.integration.control_plane import Seed, controller
from tests.integration.controller_process import ControllerProcess, run, serve_controller
from tests.integration.fleet import add_drone, ask

pytestmark = pytest.mark.postgres
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def served(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControllerProcess]:
    done = run(
        "createsuperuser", "--noinput", "--username=demo", "--email=", PLANE_DB=database,
        DJANGO_SUPERUSER_PASSWORD=PASSWORD,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with serve_controller(database, tmp_path_factory.mktemp("controller") / "log") as running:
        yield running


@pytest.fixture
async def signed_in(served: ControllerProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=served.url, follow_redirects=True) as client:
        await client.get("/admin/login/")
        form = {"username": "demo", "password": PASSWORD, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
        answer = await client.post("/admin/login/?next=/admin/", data=form)
        assert "Site administration" in answer.text
        yield client


async def test_pages_bear_our_name_and_lead_nowhere_else(signed_in: httpx.AsyncClient) -> None:
    page = (await signed_in.get("/admin/")).text
    assert "| Plane</title>" in page
    assert "Django administration" not in page
    assert "View site" not in page


async def test_no_page_shows_a_secret(signed_in: httpx.AsyncClient, database: str) -> None:
    """Every list and every row of ours can be looked at; none shows a token, a secret, a key or an environment."""
    seed = Seed(database)
    async with controller(database) as context:
        await add_drone(seed)
        spawned = [await connect(context, ask(None, use_static_token=static)) for static in (True, False)]
    await seed.sql("update backends_backendaction set action = jsonb_set(action, '{Spawn,secret}', '\"env-secret\"')")
    secret_key = (await seed.one("select secret_key from drones_installation"))["secret_key"]
    hashes = [bytes(row["hash"]).hex() for row in await seed.sql("select hash from backends_token")]
    secrets = [secret_key, "env-secret", *hashes]
    for response in spawned:
        secrets += [response.token, *filter(None, [response.secret_token])]
    looked_at = 0
    for model in admin.site._registry:
        if model._meta.app_label not in {"drones", "backends"}:
            continue
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        pages = [reverse(f"{name}_changelist")]
        table, key = model._meta.db_table, model._meta.pk.column
        rows = await seed.sql(f"select {key} as key from {table}")
        pages += [reverse(f"{name}_change", args=[row["key"]]) for row in rows]
        for page in pages:
            answer = await signed_in.get(page)
            assert answer.status_code == 200, page
            assert not [secret for secret in secrets if secret in answer.text], page
            looked_at += 1
    assert looked_at > 20


async def test_nothing_can_be_changed(signed_in: httpx.AsyncClient) -> None:
    """Rows are written by services."""
    assert (await signed_in.get("/admin/backends/backend/add/")).status_code == 403


@pytest.mark.browser
async def test_the_admin_has_its_style(served: ControllerProcess, browser: Browser) -> None:
    """Without a step that collects files: in a browser the login page looks as it should."""
    page = await browser.new_page()
    failed: list[str] = []
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.on("response", lambda response: failed.append(response.url) if response.status >= 400 else None)
    await page.goto(f"{served.url}/admin/login/")
    colour = await page.evaluate("getComputedStyle(document.querySelector('#header')).backgroundColor")
    assert colour not in ("rgba(0, 0, 0, 0)", "rgb(255, 255, 255)")
    await page.fill("#id_username", "demo")
    await page.fill("#id_password", PASSWORD)
    await page.click("input[type=submit]")
    assert "SESSIONS" in await page.inner_text("#content"), "capitals come from the style"
    assert not [url for url in failed if not url.endswith("favicon.ico")]
