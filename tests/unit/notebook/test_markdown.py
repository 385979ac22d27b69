"""Markdown with math becomes HTML that shows what was written, and nothing that a stranger wrote acts."""

from __future__ import annotations

import base64
import re
import shutil
from html.parser import HTMLParser

import pytest

from physlab.errors import ValidationError
from physlab.model.notebook import Attachment
from physlab.notebook.folding import fold
from physlab.notebook.formulas import draw
from physlab.notebook.markdown import MAX_CHARS, TAGS, check, render
from tests.unit.notebook.hostile import FAR, JS, TEXTS

SHA = "a" * 64
FIGURE = Attachment(sha256=SHA, name="fig.png", media_type="image/png", size=3)
EVIL = Attachment(sha256=SHA, name=f"'\"><img src=x onerror={JS}>.png", media_type="image/png", size=3)
OURS = "/artifacts/"
DRAWN = "data:image/svg+xml;base64,"
ALLOWED = {"a": {"href", "rel", "class"}, "img": {"src", "alt", "title", "class", "width", "height"}, "ol": {"start"},
           "code": {"class", "title"}, "span": {"class"}, "td": {"class"}, "th": {"class"}}  # fmt: skip
WRONG_IN_SVG = re.compile(r"<script|<image|<foreign|<a[ >]|href|on\w+=|url\(|<!|style=", re.IGNORECASE)


def shown(text: str, strict: bool = False) -> str:
    return render(text, [FIGURE, EVIL], lambda sha256: f"{OURS}{sha256}", strict=strict).html


class Passive(HTMLParser):
    """Asserts of each tag that it can do nothing."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS | {"img"}, tag
        for name, value in attrs:
            assert name in ALLOWED.get(tag, set()), (tag, name)
            if name == "href":
                assert re.match(f"https?:|mailto:|{OURS}{SHA}$", str(value)), value
            if name == "src":
                assert value == OURS + SHA or str(value).startswith(DRAWN), value
                if value != OURS + SHA:
                    svg = base64.b64decode(str(value).removeprefix(DRAWN)).decode()
                    assert not WRONG_IN_SVG.search(svg), svg

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


@pytest.mark.parametrize("text", TEXTS)
def test_s24_nothing_active_survives(text: str) -> None:
    for around in ("{}", "Before {} after.", "- {}", "[{}](https://a.b)", "**{}", "![{}](fig.png)"):
        Passive(convert_charrefs=True).feed(shown(around.format(text)))


def test_s24_there_are_enough_of_them() -> None:
    assert len(set(TEXTS)) >= 100


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_s24_a_browser_runs_nothing_and_asks_nobody() -> None:
    """All of them in Chromium without any policy; first raw, to see that the eye of the test is open."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        try:
            raw = "<p>".join(text for text in TEXTS if text.startswith(("<img", "<svg")))
            alerts, asked = _visit(browser, raw)
            assert alerts > 3 and any(url.startswith(FAR) for url in asked)
            page = "".join(f'<div class="one">{shown(text)}</div>' for text in TEXTS)
            alerts, asked = _visit(browser, page, ".one", len(TEXTS))
            assert (alerts, [url for url in asked if not url.endswith(SHA)]) == (0, [])
        finally:
            browser.close()


def _visit(browser: object, body: str, selector: str = "body", count: int = 1) -> tuple[int, list[str]]:
    alerts, asked = [], []
    page = browser.new_page()  # type: ignore[attr-defined]
    page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    home = "http://lab.test/"
    page.route("**/*", lambda route: route.fulfill(
        status=200 if route.request.url == home else 404, content_type="text/html",
        body=f"<!DOCTYPE html><meta charset=utf-8>{body}" if route.request.url == home else "",
    ))  # fmt: skip
    page.goto(home, wait_until="networkidle")
    for event in ("click", "mouseover", "focus", "pointerover"):
        page.evaluate(
            "name => document.querySelectorAll('body *:not(a)').forEach(x => x.dispatchEvent(new Event(name)))", event
        )
    assert page.locator(selector).count() == count, "a text has closed the element around it"
    page.close()
    return len(alerts), [url for url in asked if url != home and not url.startswith("data:")]


def test_what_is_written_is_shown() -> None:
    html = shown(
        "# Levels\n\nThe *mass* ~~of~~ $m$ is **2**.\n\n| a | b |\n|--:|---|\n| 1 | $x$ |\n\n![Fig](fig.png)\n", True
    )
    assert "<h3>Levels</h3>" in html and "<em>mass</em> <s>of</s>" in html and '<td class="right">1</td>' in html
    assert f'<img class="picture" src="{OURS}{SHA}" alt="Fig">' in html
    assert re.search(
        r'<img class="math" src="data:image/svg\+xml;base64,[^"]+" alt="m" width="\d+" height="\d+">', html
    )
    assert "<br" in shown("line  \nnext")
    file = shown(f"[data](artifact:{SHA}) and ![](artifact:{SHA})")
    assert f'href="{OURS}{SHA}"' in file and f'src="{OURS}{SHA}"' in file


def test_formulas_stand_by_themselves_or_in_the_line() -> None:
    html = shown("$$\n\\int_0^1 x\\,\\mathrm{d}x\n$$\n\nand $$E=mc^2$$ here, but 5$ and 6$ are money.")
    assert html.count('<span class="formula">') == 2 and "5$ and 6$ are money" in html


@pytest.mark.parametrize("tex", [r"\ce{H2O}", r"\SI{3}{m}", r"\foo + 1", r"\text{\foo}"])
def test_an_unknown_command_is_named(tex: str) -> None:
    name = re.findall(r"\\(?!text)\w+", tex)[0]
    with pytest.raises(ValidationError, match=re.escape(name)):
        check(f"Here is ${tex}$.")
    assert '<code class="unshown"' in shown(f"Here is ${tex}$.")


@pytest.mark.parametrize(
    "tex",
    [
        r"\frac{1",
        r"\left( x",
        "}",
        r"\hspace{99999em}x",
        "{" * 3000,
        "x" * 5000,
        "a } + b",
        "5 % x",
        r"\text{a {b<c} d}",
    ],
)
def test_a_broken_formula_is_refused(tex: str) -> None:
    with pytest.raises(ValidationError, match="The formula"):
        draw(tex)


def test_a_long_formula_is_broken_before_its_signs() -> None:
    long = "E = " + " + ".join(f"a_{{{n}}} x^{{{n}}} (1 - b_{{{n}}})" for n in range(40))
    one, many = draw(long, block=True), draw(long, block=True, widest_px=700)
    assert one.width > 2000 and many.width <= 700 and many.height > 2 * one.height and many.tex == long
    assert fold("a=b", 100, 50) == r"\begin{aligned} & a \\ & \quad =b \end{aligned}"
    for whole in ("x" * 90, r"\begin{matrix}a+b\end{matrix}", "f(a + b - c)", "a^{-b+c}", r"\left( a + b \right)"):
        assert fold(whole, 1000, 100) == whole
    check(f"$$\n{long}\n$$")
    assert '<span class="formula">' in shown(f"In the line ${long}$ here.", True)


def test_a_less_than_sign_is_one() -> None:
    assert draw(r"\text{if } a < b \text{ or a<b & c}").tex.startswith(r"\text")


def test_a_picture_from_elsewhere_is_refused_when_written_and_told_when_shown() -> None:
    with pytest.raises(ValidationError, match="no attachment of the entry"):
        check("![x](http://far.invalid/x.png)", [FIGURE])
    found = render("![x](http://far.invalid/x.png)", [FIGURE], strict=False)
    assert len(found.problems) == 1 and "![x](http://far.invalid/x.png)" in found.html


def test_a_text_as_large_as_a_book_is_harmless() -> None:
    long = "Text with *words*, `code` and $x$ in it. " * 1200 + "word " * 35_000
    assert 200_000 < len(long) < MAX_CHARS and shown(long).count('class="math"') == 1200
    for deep in ("[" * 20_000, "> " * 20_000, "*a " * 20_000, "![" * 10_000, "(" * 20_000, "`" * 20_000, "- " * 20_000):
        Passive().feed(shown(deep))
    for much in ("x" * (MAX_CHARS + 1), "$x$ " * 2001):
        with pytest.raises(ValidationError, match="The text has"):
            render(much)
