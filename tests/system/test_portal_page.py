"""The page in a real browser: a link opens it, and nothing that somebody wrote becomes part of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import free_port
from tests.system.test_portal import physlab, portal
from tests.unit.browser import open_browser

HOSTILE = '<img src=x onerror="alert(1)"><script>alert(2)</script>"onmouseover=alert(3) x="javascript:alert(4)'


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as opened:
        yield opened


def test_a_link_opens_the_session_and_nothing_written_becomes_code(tmp_path: Path, browser: Any) -> None:
    (tmp_path / "fall.yaml").write_text(
        "title: '<b onclick=alert(5)>A stone</b>'\nnodes:\n"
        "  - {id: fall, tool: cas, method: integrate, params: {expr: 'g*t', symbol: t, bounds: [0, 2]}}\n"
    )
    physlab(tmp_path, "run", "fall.yaml", "--session", "stones", "--json")
    with portal(tmp_path, "--port", str(free_port())) as address:
        port = address.rpartition(":")[2]
        shared = physlab(tmp_path, "session", "share", "-s", "stones", "--access", "commenter", "--json", port=port)
        context = browser.new_context()
        page, alerts, asked = context.new_page(), [], []
        page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(shared["share_url"])
        page.wait_for_selector("h2")
        assert page.url == f"{address}/#/sessions/stones", "the secret does not stay in the address"
        token = shared["share_url"].rpartition("/")[2]
        assert not [url for url in asked if token in url or not url.startswith(address)]
        assert "<b onclick=alert(5)>A stone</b>" in page.inner_text("main")
        page.click("main td a[href*=runs]")
        page.wait_for_selector("text=fall")
        assert page.inner_text("h1") == "<b onclick=alert(5)>A stone</b>"
        page.click("main td a[href*=runs]")
        page.wait_for_selector("pre")
        assert "bounds" in page.inner_text("pre")
        page.goto(f"{address}/#/nonsense")
        page.wait_for_selector("h1:has-text('There is no such place')")
        page.click("main a[href='#/']")
        page.wait_for_selector("h1:has-text('Sessions')")
        page.click("#out")
        page.wait_for_selector("form")
        page.fill("input[name=login]", HOSTILE)
        page.fill("input[name=password]", "wrong")
        page.click("form button")
        page.wait_for_selector(".error")
        assert alerts == []
        context.close()
