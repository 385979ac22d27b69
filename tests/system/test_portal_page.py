"""The page in a real browser: a link opens it, and nothing that somebody wrote becomes part of it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from physlab.errors import ValidationError
from physlab.lab import Lab
from physlab.notebook import Draft, write
from physlab.notebook.markdown import check
from physlab.settings import load_settings
from tests.flows.conftest import free_port
from tests.system.test_portal import environment, physlab, portal
from tests.unit.browser import open_browser
from tests.unit.notebook.hostile import TEXTS
from tests.unit.notebook.test_thumbnails import png

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


REFUSED = """async (port) => {
  const script = document.createElement("script");
  script.textContent = "window.ran = 'inline'";
  const picture = document.createElement("div");
  picture.innerHTML = "<img src=/nothing onerror=window.ran='handler'><p style='color: red'>x</p>";
  const foreign = document.createElement("script");
  foreign.src = `http://127.0.0.1:${port}/x.js`;
  const frame = document.createElement("iframe");
  frame.srcdoc = "<script>parent.ran = 'frame'</script>";
  document.body.append(script, picture, foreign, frame);
  const form = document.createElement("form");
  form.action = `http://127.0.0.1:${port}/form`;
  form.method = "post";
  document.body.append(form);
  form.submit();
  let fetched = "not refused";
  try { await fetch(`http://127.0.0.1:${port}/`, { mode: "no-cors" }); } catch (error) { fetched = "refused"; }
  await new Promise((done) => setTimeout(done, 500));
  return { ran: window.ran ?? null, fetched, told: window.told };
}"""
"""What hostile code would try, once it stood in the page."""
WATCH = "window.told = []; addEventListener('securitypolicyviolation', (event) => told.push(event.effectiveDirective))"


def heard_by(server: socket.socket) -> bytes:
    """Return what was said to a server; a browser may connect before it asks whether it may speak."""
    heard = b""
    server.settimeout(0.2)
    with contextlib.suppress(TimeoutError):
        while True:
            connection, _ = server.accept()
            with connection, contextlib.suppress(TimeoutError):
                connection.settimeout(0.2)
                heard += connection.recv(1000)
    return heard


def hostile_notebook(folder: Path) -> int:
    """Write everything hostile that a notebook takes, and what it shows besides; return how many entries."""
    (folder / "fig.png").write_bytes(png(8, 8))
    taken = []
    for text in TEXTS:
        try:
            check(text)
        except ValidationError:
            continue
        taken.append(text)
    assert len(taken) > 80
    with Lab(load_settings(folder, {}, environ=environment(folder))) as lab:
        groups = [taken[start : start + 25] for start in range(0, len(taken), 25)]
        for group in groups:
            told = "\n\n".join(
                ["It fell $\\frac12 g t^2$: ![Fig](fig.png)", "| a | b |\n|--:|---|\n| 1 | $x$ |", *group]
            )
            write(
                lab.store,
                "stones",
                Draft(f"{HOSTILE} {group[0]}"[:200], "ada", told, group[-1], files=[folder / "fig.png"]),
            )
    return len(groups)


def test_s24_the_policy_of_the_page_is_never_broken_and_holds(tmp_path: Path, browser: Any) -> None:
    """The served page shows hostile entries without anything to report; and it refuses what would be code."""
    entries = hostile_notebook(tmp_path)
    port = free_port()
    with portal(tmp_path, "--port", str(port)) as address, socket.create_server(("127.0.0.1", 0)) as elsewhere:
        shared = physlab(tmp_path, "session", "share", "-s", "stones", "--json", port=str(port))
        page, alerts, asked, said = browser.new_context().new_page(), [], [], []
        page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.add_init_script(WATCH)
        page.goto(shared["share_url"])
        page.wait_for_selector("h2")
        links = [link.get_attribute("href") for link in page.query_selector_all("main td a[href*=notebook]")]
        assert len(links) == entries
        for link in links:
            page.evaluate("where => { location.hash = where }", link)
            page.wait_for_selector("article img.math")
            assert page.locator("article img.picture").first.evaluate("one => one.naturalWidth") == 8
            for event in ("click", "mouseover", "focus", "pointerover"):
                page.evaluate(
                    "name => document.querySelectorAll('main *:not(a)').forEach(x => x.dispatchEvent(new Event(name)))",
                    event,
                )
            assert page.locator("main article script, main article iframe, main article [style]").count() == 0
            page.evaluate("() => { location.hash = '#/sessions/stones' }")
            page.wait_for_selector("main td a[href*=notebook]")
        assert page.evaluate("told") == [], "the policy forbids nothing that the page does"
        assert (alerts, said) == ([], [])
        assert not [url for url in asked if not url.startswith((address, "data:"))]
        found = page.evaluate(REFUSED, elsewhere.getsockname()[1])
        assert (found["ran"], found["fetched"], alerts) == (None, "refused", [])
        assert {"script-src-elem", "script-src-attr", "style-src-attr", "connect-src", "form-action"} <= set(
            found["told"]
        )
        assert heard_by(elsewhere) == b"", "whoever it connects to is told nothing"
        page.context.close()
