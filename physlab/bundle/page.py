"""A bundle for people without physlab: a text and a plain page, without script, that lead to its files."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from physlab.bundle import names
from physlab.bundle.choosing import ENTRY, Chosen
from physlab.bundle.manifest import Manifest, RunInside

PICTURES = (".png", ".svg", ".gif", ".jpg")
_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "img{max-width:100%}pre{white-space:pre-wrap}"
)


def pages(manifest: Manifest, chosen: Chosen) -> dict[str, str]:
    """Return the pages: name in the bundle → text."""
    return {names.README: _readme(manifest), names.INDEX: "\n".join(_page(manifest, chosen)) + "\n"}


def _readme(manifest: Manifest) -> str:
    runs = "\n".join(f"  {run.run_id}  {run.status}  {run.started_at[:19]}  {run.title}" for run in manifest.runs)
    return f"""{manifest.title or manifest.dag_id}

A bundle of physlab: the graph {manifest.dag_id}, {len(manifest.runs)} of its runs, and all their files.
Made {manifest.made_at} in the session {manifest.session}.

{runs}

index.html            the same to look at in a browser
reports/              papers
blobs/                every file under its SHA-256; manifest.json tells what people call it
records.jsonl         what was computed from what, by which code, with which parameters
notebook.jsonl        what the notebook says of it, where it does
manifest.json         SHA-256 and size of everything, signed: manifest.json.minisig

Verify it without physlab (take the key from the lab, not from here):
  minisign -V -m manifest.json -p lab.pub

With physlab:
  physlab bundle verify FILE      every byte and the signature
  physlab bundle show FILE        what is inside
  physlab bundle open FILE        into a lab; then: physlab reproduce {manifest.runs[-1].run_id}
"""


def _page(manifest: Manifest, chosen: Chosen) -> Iterator[str]:
    title = escape(manifest.title or manifest.dag_id)
    policy = "default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'"
    yield "<!doctype html>"
    yield f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}"><style>{_STYLE}</style></head><body>'
    yield f"<h1>{title}</h1>"
    yield f"<p>Graph {manifest.dag_id}, session {escape(manifest.session)}, made {escape(manifest.made_at)}.</p>"
    for run in manifest.runs:
        yield from _run(run)
    notes = [one.record for one in chosen.notebook.values() if one.kind == ENTRY]
    if notes:
        yield "<h2>Notebook</h2>"
    for note in notes:
        yield f"<h3>{escape(note['title'])}</h3>"
        yield f"<p>{escape(note['author'])}, {escape(note['at'][:19])}, revision {note['revision']}</p>"
        for text in filter(None, (note.get("content", ""), note.get("conclusions", ""))):
            yield f"<pre>{escape(text)}</pre>"
    yield "</body></html>"


def _run(run: RunInside) -> Iterator[str]:
    yield f"<h2>Run {escape(run.run_id)}</h2>"
    yield f"<p>{escape(run.status)}, {run.nodes} nodes, {escape(run.started_at[:19])} UTC"
    yield f'; <a href="{escape(run.report)}">paper (PDF)</a></p>' if run.report else "</p>"
    yield "<ul>"
    for name, digest in run.results.items():
        place, shown = names.blob_name(digest), escape(name)
        picture = f'<br><img src="{place}" alt="{shown}">' if name.lower().endswith(PICTURES) else ""
        last = escape(name.rpartition("/")[2])
        yield f'<li><a href="{place}" download="{last}">{shown}</a> <small>{digest[:12]}…</small>{picture}</li>'
    yield "</ul>"
