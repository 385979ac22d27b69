"""Compiling a LaTeX project where a TeX is installed: sealed, within a time limit, with the first error named."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from physlab.tools.process import find_program, run_process, search_path

ENGINES = ("pdflatex", "tectonic", "latexmk")
NO_TEX = "not checked: no TeX here"
MOST_PASSES = 4
_QUIET = ("-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "-file-line-error")
_AGAIN = re.compile(rb"Rerun to get|There were undefined references|Label\(s\) may have changed|\(re\)run|Rerun LaTeX")
_TROUBLE = re.compile(r"^(?:\S+?:\d+: .*|! .*|error: .*)$", re.MULTILINE)


@dataclass(frozen=True)
class Compiled:
    """What compiling gave.

    Attributes:
        state: True, False, or the words that nothing was checked.
        engine: The program that was used.
        pdf: The PDF.
        log: What the programs printed.
        trouble: The first error, or lines that do not fit.
    """

    state: bool | str
    engine: str | None = None
    pdf: Path | None = None
    log: Path | None = None
    trouble: str = ""


def compile_project(folder: Path, log: Path, *, cites: bool, limit_s: float) -> Compiled:
    """Compile `main.tex` of a folder.

    Args:
        folder: The project; TeX writes its own files there.
        log: Takes what TeX prints.
        cites: True when BibTeX has work.
        limit_s: Time for all passes together [s].

    Raises:
        TimeLimitError: It took longer.
    """
    engine = next((name for name in ENGINES if find_program([name])), None)
    if engine is None or (engine == "pdflatex" and cites and find_program(["bibtex"]) is None):
        return Compiled(NO_TEX)
    end = time.monotonic() + limit_s

    def run(*argv: str) -> int:
        left = max(0.1, end - time.monotonic())
        return run_process(argv, cwd=folder, env=_environment(), log=log, limit_s=left)

    log.touch()
    if engine == "pdflatex":
        code = _passes(run, folder, cites=cites)
    elif engine == "tectonic":
        code = run("tectonic", "--untrusted", "--keep-logs", "main.tex")
    else:
        code = run("latexmk", "-norc", "-pdf", *_QUIET, "main.tex")
    pdf, text = folder / "main.pdf", log.read_text(encoding="utf-8", errors="replace")
    if code or not pdf.is_file():
        return Compiled(False, engine, None, log, _first_error(text, folder))
    return Compiled(True, engine, pdf, log, _misfit(folder))


def _passes(run: Callable[..., int], folder: Path, *, cites: bool) -> int:
    """Run pdfLaTeX until nothing changes any more, and BibTeX after the first time."""
    latex: Sequence[str] = ("pdflatex", *_QUIET, "main.tex")
    for number in range(MOST_PASSES):
        if code := run(*latex):
            return code
        if number == 0 and cites:
            if code := run("bibtex", "main"):
                return code
            continue
        if not _AGAIN.search((folder / "main.log").read_bytes()) and (number > 1 or not cites):
            return 0
    return 0


def _environment() -> dict[str, str]:
    return {
        "PATH": search_path(),
        "HOME": str(Path.home()),
        "LANG": "C.UTF-8",
        "openin_any": "p",  # TeX reads and writes below its own folder only
        "openout_any": "p",
        "max_print_line": "500",
        "SOURCE_DATE_EPOCH": "315532800",  # the same bytes for the same content
        "FORCE_SOURCE_DATE": "1",
    }


def _first_error(text: str, folder: Path) -> str:
    found = _TROUBLE.search(text)
    said = found[0] if found else next((line for line in reversed(text.splitlines()) if line.strip()), "")
    after = text[found.end() :].splitlines()[1:2] if found else []
    return " ".join([said, *after]).replace(str(folder), "").strip()[:300]


def _misfit(folder: Path) -> str:
    """Say what sticks out of a page, when it is more than a hair."""
    log = folder / "main.log"
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    sizes = re.findall(r"Overfull \\([hv])box \(([\d.]+)pt too", text)
    worst = max(((float(size), way) for way, size in sizes), default=(0.0, ""))
    side = {"h": "to the right", "v": "below"}
    return f"something sticks out of its page by {worst[0]:.0f} pt {side[worst[1]]}" if worst[0] > 20 else ""
