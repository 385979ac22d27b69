"""The documents: article, report, book, slides and poster, from one head and one list of exhibits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from physlab.tools.export.overleaf_exhibits import Piece
from physlab.tools.export.overleaf_params import Template

FLOATS_AT_ONCE = 12  # LaTeX keeps 18 floats waiting at most


@dataclass(frozen=True)
class Writer:
    """Somebody who stands below the title; all texts are LaTeX."""

    name: str
    affiliation: str = ""
    email: str = ""
    orcid: str = ""


@dataclass(frozen=True)
class Manuscript:
    """What a template puts together; all texts are LaTeX.

    Attributes:
        title: One line.
        writers: Below the title.
        abstract: Paragraphs, empty for none.
        pieces: Figures, tables and equations in order.
        cites: True when there is a `references.bib`.
        sources: Rows of the appendix: name in the project, name of the source, SHA-256.
    """

    title: str
    writers: Sequence[Writer] = ()
    abstract: str = ""
    pieces: Sequence[Piece] = ()
    cites: bool = False
    sources: Sequence[tuple[str, str, str]] = field(default=())


_TEXT = r"""
\usepackage[utf8]{inputenc}
\usepackage[T1]{fontenc}
\usepackage{textcomp}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{\usepackage{fix-cm}}
\usepackage{amsmath,amssymb}
\usepackage{graphicx}
\usepackage{booktabs}
""".strip()
_PAPER = _TEXT + "\n" + r"""
\usepackage{longtable}
\usepackage[margin=2.5cm]{geometry}
\usepackage[hidelinks]{hyperref}
""".strip()  # fmt: skip
_SLIDES = _TEXT + "\n" + r"""
\usetheme{default}
\usefonttheme{professionalfonts}
\setbeamertemplate{navigation symbols}{}
\setbeamertemplate{caption}[numbered]
\setbeamertemplate{bibliography item}[text]
""".strip()  # fmt: skip


def write(template: Template, text: Manuscript) -> str:
    """Return the main file of a project."""
    return "\n".join(_TEMPLATES[template](text)) + "\n"


def _title(text: Manuscript) -> Iterator[str]:
    yield rf"\title{{{text.title}}}"
    people = []
    for writer in text.writers:
        notes = [note for note in (writer.email, writer.orcid and f"ORCID {writer.orcid}") if note]
        thanks = rf"\thanks{{{', '.join(notes)}}}" if notes else ""
        people.append(writer.name + thanks + (rf" \\ {writer.affiliation}" if writer.affiliation else ""))
    yield "\\author{" + r" \and ".join(people) + "}"
    yield r"\date{}"


def _float(piece: Piece, place: str = "[htbp]") -> Iterator[str]:
    """Yield one exhibit with its caption and label: figures below, tables above, as physics journals do."""
    caption = rf"\caption{{{piece.caption}}}" if piece.caption else r"\caption{}"
    named = [caption, rf"\label{{{piece.label}}}"]
    if piece.kind == "equation":
        yield from (r"\begin{equation}", rf"\label{{{piece.label}}}", piece.body, r"\end{equation}")
        if piece.caption:
            yield piece.caption
    elif piece.long:
        yield piece.body
    elif piece.kind == "table":
        yield from (rf"\begin{{table}}{place}", r"\centering", *named, r"\par\vspace{1ex}", piece.body, r"\end{table}")
    else:
        yield from (rf"\begin{{figure}}{place}", r"\centering", piece.body, *named, r"\end{figure}")


def _references(text: Manuscript) -> Iterator[str]:
    if text.cites:
        yield from ("", r"\nocite{*}", r"\bibliographystyle{unsrt}", r"\bibliography{references}")


def _loose(name: str) -> str:
    """Return the name of a file that may be broken at its signs."""
    return re.sub(r"(\\_|[-./])", r"\1\\allowbreak{}", name)


def _provenance(text: Manuscript, heading: str) -> Iterator[str]:
    if not text.sources:
        return
    yield from ("", r"\appendix", rf"\{heading}{{Provenance}}", "The files that this document was made from.", "")
    yield r"{\footnotesize\begin{longtable}{p{0.3\linewidth}p{0.2\linewidth}p{0.4\linewidth}}"
    yield from (r"\toprule", r"In this project & Source & SHA-256 \\", r"\midrule", r"\endhead")
    for name, source, sha256 in text.sources:
        yield rf"\texttt{{{_loose(name)}}} & {_loose(source)} & \texttt{{{sha256[:32]}\newline {sha256[32:]}}} \\"
    yield r"\bottomrule\end{longtable}}"


def _paper(text: Manuscript, options: str, kind: str, heading: str) -> Iterator[str]:
    yield from (rf"\documentclass[{options}]{{{kind}}}", _PAPER, "", *_title(text), "", r"\begin{document}")
    yield r"\maketitle"
    if text.abstract and kind == "book":
        yield from ("", r"\chapter*{Abstract}", r"\addcontentsline{toc}{chapter}{Abstract}", text.abstract)
    elif text.abstract:
        yield from ("", r"\begin{abstract}", text.abstract, r"\end{abstract}")
    if kind != "article":
        yield r"\tableofcontents"
    if text.pieces:
        yield from ("", rf"\{heading}{{Results}}", "")
        waiting = 0
        for piece in text.pieces:
            yield from (*_float(piece), "")
            waiting += piece.kind != "equation" and not piece.long
            if waiting == FLOATS_AT_ONCE:
                waiting = 0
                yield r"\clearpage"
    yield from _references(text)
    yield from _provenance(text, heading)
    yield r"\end{document}"


def _article(text: Manuscript) -> Iterator[str]:
    return _paper(text, "11pt,a4paper", "article", "section")


def _report(text: Manuscript) -> Iterator[str]:
    return _paper(text, "11pt,a4paper", "report", "chapter")


def _book(text: Manuscript) -> Iterator[str]:
    return _paper(text, "11pt,a4paper,openany", "book", "chapter")


def _headings(pieces: Sequence[Piece]) -> Iterator[tuple[str, Piece]]:
    counts: dict[str, int] = {}
    for piece in pieces:
        counts[piece.kind] = counts.get(piece.kind, 0) + 1
        yield f"{piece.kind.capitalize()} {counts[piece.kind]}", piece


def _frame(heading: str, lines: Sequence[str], options: str = "") -> Iterator[str]:
    yield from ("", rf"\begin{{frame}}{options}{{{heading}}}", *lines, r"\end{frame}")


def _source_list(text: Manuscript) -> list[str]:
    items = [
        rf"\item \texttt{{{_loose(name)}}}: {_loose(source)}\\ \texttt{{{sha256[:32]} {sha256[32:]}}}"
        for name, source, sha256 in text.sources
    ]
    return [r"\scriptsize", r"\begin{itemize}", *items, r"\end{itemize}"]


def _beamer(text: Manuscript) -> Iterator[str]:
    yield from (r"\documentclass[aspectratio=169]{beamer}", _SLIDES, "", *_title(text), "", r"\begin{document}")
    yield from ("", r"\begin{frame}", r"\titlepage", r"\end{frame}")
    if text.abstract:
        yield from _frame("Abstract", [text.abstract], "[allowframebreaks]")
    for heading, piece in _headings(text.pieces):
        yield from _frame(heading, list(_float(piece, "")))
    if text.cites:
        yield from _frame("References", [r"\footnotesize", *_references(text)], "[allowframebreaks]")
    if text.sources:
        yield from _frame("Provenance", _source_list(text), "[allowframebreaks]")
    yield from ("", r"\end{document}")


def _block(heading: str, lines: Sequence[str]) -> Iterator[str]:
    yield from (rf"\begin{{block}}{{{heading}}}", r"\vspace{0.5ex}", *lines, r"\end{block}", r"\vspace{1ex}")


def _poster(text: Manuscript) -> Iterator[str]:
    """Yield an A1 poster: title across, then blocks in two columns, filled one after the other."""
    yield from (
        r"\documentclass[final]{beamer}",
        r"\usepackage[orientation=portrait,size=a1,scale=1.6]{beamerposter}",
        _SLIDES,
        r"\setbeamercolor{block title}{fg=white,bg=structure.fg}",
        r"\setbeamertemplate{blocks}[rounded]",
        "",
        *_title(text),
        "",
        r"\begin{document}",
        r"\begin{frame}[t]",
        r"\begin{center}",
        r"{\veryHuge\usebeamercolor[fg]{structure}\inserttitle\par}",
        r"\vspace{1.5ex}",
        r"{\Large\begin{tabular}[t]{c}\insertauthor\end{tabular}\par}" if text.writers else "",
        r"\end{center}",
        r"\vspace{1ex}",
    )
    blocks = [list(_block(heading, list(_float(piece, "")))) for heading, piece in _headings(text.pieces)]
    if text.abstract:
        blocks.insert(0, list(_block("Abstract", [text.abstract])))
    if text.cites:
        blocks.append(list(_block("References", [r"\normalsize", *_references(text)])))
    if text.sources:
        blocks.append(list(_block("Provenance", _source_list(text))))
    half = -(-len(blocks) // 2)
    yield r"\begin{columns}[t]"
    for column in (blocks[:half], blocks[half:]):
        if column or len(blocks) == 1:
            yield r"\begin{column}{0.48\textwidth}"
            yield from (line for block in column for line in block)
            yield r"\end{column}"
    yield from (r"\end{columns}", r"\end{frame}", r"\end{document}")


_TEMPLATES: dict[str, Callable[[Manuscript], Iterator[str]]] = {
    "article": _article,
    "report": _report,
    "book": _book,
    "beamer": _beamer,
    "poster": _poster,
}
