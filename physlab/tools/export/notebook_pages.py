"""A notebook as a page, as slides, and as a PDF that WeasyPrint prints from the page, without TeX and browser."""

from __future__ import annotations

import html
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from physlab import keys
from physlab.errors import ConfigurationError

_FACES = {"Text": ("STIXGeneral", "STIXGeneralBol"), "Code": ("DejaVuSansMono", "DejaVuSansMono-Bold")}
_STYLE = """
@page { size: A4; margin: 22mm 20mm; @bottom-center { content: counter(page); font: 9pt Text; color: #6a737d } }
body { font: 11pt/1.45 Text, serif; color: #1f2328 }
h1 { font-size: 20pt; margin: 0 0 6mm } h2 { font-size: 13pt; margin: 7mm 0 2mm } h1, h2, h3 { break-after: avoid }
pre, code { font: 8.2pt/1.4 Code, monospace; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0 }
.highlight { background: #f6f8fa; border: .5pt solid #e3e7eb; border-radius: 2pt; padding: 2mm 3mm }
.output_area, .jp-OutputArea-child { margin: 2mm 0 2mm 3mm }
.prompt, .jp-InputPrompt, .jp-OutputPrompt, .anchor-link { display: none }
img { max-width: 100%; max-height: 200mm } table { border-collapse: collapse }
td, th { border: .5pt solid #e3e7eb; padding: 1mm 2mm; text-align: left }
"""


# What Markdown makes; everything else, such as scripts in a note, is shown as text.
_TAGS = frozenset(
    {
        "h1", "h2", "h3", "h4", "h5", "h6", "p", "br", "hr", "em", "strong", "del", "sub", "sup", "code", "pre", "div",
        "span", "blockquote", "ul", "ol", "li", "dl", "dt", "dd", "a", "img", "table", "thead", "tbody", "tr",
        "th", "td",
    }
)  # fmt: skip
_ATTRIBUTES = {"*": ["id", "class"], "a": ["href", "title"], "img": ["src", "alt", "title"], "th": ["align"]}


def _exporter(name: str, **settings: Any) -> Any:
    import nbconvert

    exporter = getattr(nbconvert, name)(sanitize_html=True, **settings)
    exporter.register_filter("clean_html", _clean)
    return exporter


def _clean(markup: Any) -> str:
    import bleach

    return str(bleach.clean(str(markup), tags=_TAGS, attributes=_ATTRIBUTES))


def write_page(notebook: Any, form: str, title: str) -> tuple[bytes, str, str]:
    """Return a notebook as `html`, `pdf` or `slides`: the bytes, their extension and media type."""
    return _FORMS[form](notebook, title)


def _resources(title: str) -> dict[str, Any]:
    return {"metadata": {"name": title}}


def _html(notebook: Any, title: str) -> tuple[bytes, str, str]:
    page, _ = _exporter("HTMLExporter").from_notebook_node(notebook, resources=_resources(title))
    return page.encode(), "html", "text/html"


def _slides(notebook: Any, title: str) -> tuple[bytes, str, str]:
    """Return reveal.js slides; showing them needs the network, from which reveal.js itself comes."""
    page, _ = _exporter("SlidesExporter").from_notebook_node(notebook, resources=_resources(title))
    return page.encode(), "slides.html", "text/html"


def _pdf(notebook: Any, title: str) -> tuple[bytes, str, str]:
    from pygments.formatters import HtmlFormatter
    from weasyprint import CSS, HTML
    from weasyprint.text.fonts import FontConfiguration

    exporter = _exporter("HTMLExporter", template_name="basic")
    body, _ = exporter.from_notebook_node(notebook, resources=_resources(title))
    page = f"<html><head><title>{html.escape(title)}</title></head><body>{body}</body></html>"
    fonts, fetcher = FontConfiguration(), _sealed()
    faces = "".join(
        f'@font-face {{ font-family: {family}; font-weight: {weight}; src: url("data:font/ttf;name={name},") }}\n'
        for family, names in _FACES.items()
        for weight, name in zip(("normal", "bold"), names, strict=True)
    )
    colours = HtmlFormatter(style="default").get_style_defs(".highlight")
    identifier = bytes.fromhex(keys.digest_bytes(page.encode())[:32])
    try:
        style = CSS(string=faces + colours + _STYLE, font_config=fonts, url_fetcher=fetcher)
        document = HTML(string=page, url_fetcher=fetcher).render(stylesheets=[style], font_config=fonts)
        return bytes(document.write_pdf(pdf_identifier=identifier)), "pdf", "application/pdf"
    finally:
        fonts.__del__()  # its folder of fonts would stay: a worker ends without freeing what it made


def _sealed() -> Any:
    """Return a fetcher that knows `data:` and the fonts, and neither disk nor network."""
    from weasyprint.urls import URLFetcher, URLFetcherResponse

    class Sealed(URLFetcher):  # type: ignore[misc]
        def fetch(self, url: str, headers: dict[str, str] | None = None) -> Any:
            if url.startswith("data:font/ttf;name="):
                name = url.removeprefix("data:font/ttf;name=").rstrip(",")
                return URLFetcherResponse(url, _font(name), {"Content-Type": "font/ttf"})
            return super().fetch(url, headers)

    return Sealed(allowed_protocols={"data"}, allow_redirects=False)


@cache
def _font(name: str) -> bytes:
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise ConfigurationError("The fonts of the PDF are missing.", hint="Install matplotlib again.")
    return (Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / f"{name}.ttf").read_bytes()


_FORMS = {"html": _html, "slides": _slides, "pdf": _pdf}
