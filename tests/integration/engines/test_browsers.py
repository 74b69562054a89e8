"""
The tests' own browser opens pages.
"""

import pytest
from playwright.async_api import Browser


@pytest.mark.browser
async def test_a_page(browser: Browser) -> None:
    page = await browser.new_page()
    await page.goto("data:text/html,<title>hello</title>")
    assert await page.title() == "hello"
