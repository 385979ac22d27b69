"""LaTeX projects: every sign is printed as it was written, every template compiles, nothing is read or run."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from physlab import service
from physlab.errors import TimeLimitError, ValidationError
from physlab.lab import Lab
from physlab.settings import load_settings
from physlab.spelling import read_call
from physlab.tools.export import latex, latex_compile
from physlab.tools.export.overleaf_params import expand

Ask = Callable[..., Any]
TEMPLATES = ("article", "report", "book", "beamer", "poster")
BIB = [
    "@article{epr, author={Einstein, A. and Podolsky, B. and Rosen, N.}, title={Can quantum-mechanical description of "
    "physical reality be considered complete?}, journal={Phys. Rev.}, volume={47}, pages={777--780}, year={1935}}"
]
NASTY = r"""100% of $5 & #1 {a}_b^c~ \input{/etc/passwd} <tag> |x| "q" 'r' `s` -- ''"""
needs_tex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX here: apt install texlive-latex-extra")


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "my figure_1.v2.png"
    Image.new("RGB", (40, 30), "navy").save(path)
    return str(path)


def project(answer: Any) -> dict[str, bytes]:
    with zipfile.ZipFile(answer["archive_path"].path) as archive:
        return {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}


def main(answer: Any) -> str:
    return project(answer)["main.tex"].decode()


def words_of(answer: Any) -> str:
    import pypdf

    text = "".join(page.extract_text() for page in pypdf.PdfReader(answer["pdf"].path).pages)
    return "".join(text.split())


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_compiles(ask: Ask, picture: str, template: str) -> None:
    """The PDF holds what was written: names, accents, the signs that LaTeX would take for its own, the reference."""
    if shutil.which("pdflatex") is None:
        pytest.skip("no TeX here: apt install texlive-latex-extra")
    answer = ask(
        "export_tool",
        "overleaf",
        project_name="Levels",
        title=f"Energies: {NASTY}",
        template=template,
        authors=["Ada Lovelace", {"name": "Řehoř, Jiří", "affiliation": "Brno & Praha", "email": "j_r@x.cz"}],
        abstract="ΔE ≈ −13.6 eV ± 2 % [@epr], x² + y₁₂, ⟨ψ|.\n\nAgain \\cite{epr}.",
        artifacts=[
            {"type": "figure", "content": picture, "caption": f"A {NASTY} ∂ψ/∂t [@epr]", "label": "fig:one"},
            {"type": "table", "content": {"n": [1, 2], "E [eV]": [-13.605693, 1.5e-9]}, "caption": "Levels of 50 %"},
            {"type": "equation", "content": r"E_n = -\frac{\hbar^2}{2 m a_0^2 n^2}", "caption": "Bohr."},
            {"type": "equation", "content": r"\begin{align} a &= b \\ c &= α \end{align}"},
        ],
        bibliography=BIB,
        provenance="included",
    )
    assert answer["compiled"] is True, answer["log"].path.read_text()[-2000:]
    assert answer.context.meta["ready_for_upload"] and answer.context.meta["file_count"] == 3
    found = words_of(answer)
    for words in (r"\input{/etc/passwd}<tag>|x|", "100%of$5&#1{a}_b^c", "JiříŘehoř", "13.6057", "Podolsky", "50%"):
        assert words in found
    assert "??" not in found and "[?]" not in found
    assert {"figures/01-my-figure_1-v2.png", "main.tex", "references.bib"} == set(project(answer))


@needs_tex
def test_the_same_content_gives_the_same_bytes(ask: Ask, picture: str) -> None:
    given = {"title": "T", "artifacts": [{"type": "figure", "content": picture}], "bibliography": BIB}
    first, second = (ask("export_tool", "overleaf", **given) for _ in range(2))
    for name in ("archive_path", "pdf"):
        assert first[name].path.read_bytes() == second[name].path.read_bytes()


@needs_tex
def test_long_tables_and_many_figures_compile(ask: Ask, picture: str) -> None:
    rows = [[number, number**2 / 7, f"row {number}"] for number in range(1, 91)]
    exhibits: list[dict[str, Any]] = [
        {"type": "table", "content": rows, "header": ["n", "n²/7", "name"], "caption": "Long"}
    ]
    exhibits += [{"type": "figure", "content": picture, "width": 0.3} for _ in range(30)]
    answer = ask("export_tool", "overleaf", title="Many", artifacts=exhibits)
    assert answer["compiled"] is True and "row90" in words_of(answer) and "Figure30" in words_of(answer)


@needs_tex
def test_latex_that_does_not_compile_is_said(ask: Ask) -> None:
    answer = ask("export_tool", "overleaf", title="T", artifacts=[{"type": "equation", "content": r"\nonsense{x}"}])
    assert answer["compiled"] is False and not answer.context.meta["ready_for_upload"]
    assert "Undefined control sequence" in answer.context.warnings[0] and "pdf" not in answer.fields
    assert answer["log"].path.is_file()


@needs_tex
def test_every_sign_that_is_let_through_is_printed(ask: Ask) -> None:
    import re
    import sys

    signs = [chr(code) for code in range(0x20, sys.maxunicode) if latex._PRINTED.fullmatch(chr(code))]
    signs += [*latex.MATH, *(chr(code) for code in range(0x21, 0x7F)), *"⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ₀₁₂₃₄₅₆₇₈₉₊₋ₐₓ"]
    answer = ask("export_tool", "overleaf", title="Signs", abstract=" ".join(signs))
    assert answer["compiled"] is True, answer.context.warnings
    assert not re.search("Missing character|not set up", answer["log"].path.read_text(errors="replace"))
    formula = " + ".join(sign for sign in latex.MATH if not sign.isspace() and sign not in "′²³¹°")
    answer = ask("export_tool", "overleaf", title="T", artifacts=[{"type": "equation", "content": formula}])
    assert answer["compiled"] is True, answer.context.warnings


@needs_tex
def test_tex_reads_and_writes_only_its_own_folder(ask: Ask, tmp_path: Path) -> None:
    """What gets past the list of commands meets TeX's own seals (openin_any, openout_any, no shell)."""
    folder, log = tmp_path / "p", tmp_path / "log"
    folder.mkdir()
    secret = tmp_path / "secret.tex"
    secret.write_text("the secret")
    (folder / "main.tex").write_text(
        r"\documentclass{article}\begin{document}x\immediate\write18{touch " + str(tmp_path / "shell") + "}"
        rf"\newread\r\openin\r={secret} \ifeof\r sealed\else\read\r to\x \x\fi\end{{document}}"
    )
    done = latex_compile.compile_project(folder, log, cites=False, limit_s=60)
    assert done.state is True and done.pdf is not None and not (tmp_path / "shell").exists()
    import pypdf

    assert "sealed" in pypdf.PdfReader(done.pdf).pages[0].extract_text()


@needs_tex
def test_a_document_without_end_meets_the_time_limit(tmp_path: Path) -> None:
    (tmp_path / "main.tex").write_text(r"\documentclass{article}\begin{document}\loop\iftrue\repeat\end{document}")
    with pytest.raises(TimeLimitError):
        latex_compile.compile_project(tmp_path, tmp_path / "log", cites=False, limit_s=1.0)


def test_without_tex_it_is_said(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latex_compile, "find_program", lambda names: None)
    answer = ask("export_tool", "overleaf", title="T")
    assert answer["compiled"] == "not checked: no TeX here" and "pdf" not in answer.fields
    assert answer["overleaf_url"] is None and answer.context.meta["ready_for_upload"]
    assert ask("export_tool", "overleaf", title="T", check=False)["compiled"] == "not checked"


def test_tables(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("# made today\nname,value,count\nα & β,1.50,7\n,-2.5e-3,123456789\n")
    cases: list[Any] = [
        str(path),
        "a;b\nx;0.30000000000000004\n",
        np.array([[1.0, 2.0], [3.0, 0.1]]),
        [{"q": 1, "r": "s"}, {"q": 2}],
    ]
    text = main(
        ask(
            "export_tool",
            "overleaf",
            title="T",
            check=False,
            artifacts=[{"type": "table", "content": c} for c in cases],
        )
    )
    assert r"name & value & count \\" in text and r"\begin{tabular}{lrr}" in text
    assert r"\ensuremath{\alpha} \& \ensuremath{\beta} & $1.50$ & $7$ \\" in text
    assert r" & $-2.5\times 10^{-3}$ & $123456789$ \\" in text
    assert r"x & $0.3$ \\" in text and r"$3$ & $0.1$ \\" in text and r"$1$ & s \\" in text and "$2$ &  \\\\" in text


def test_pictures_of_a_whole_node(ask: Ask) -> None:
    plot = ask("plot", "function_2d", {"static": True}, f="sin(x)", x_min=0, x_max=6)
    answer = ask("export_tool", "overleaf", title="T", artifacts=plot.fields, check=False)
    assert answer["artifact_files"] == ["figures/01-function_2d.png"]
    one = ask(
        "export_tool",
        "overleaf",
        title="T",
        check=False,
        artifacts=[{"type": "figure", "content": plot["image_png_b64"]}],
    )
    assert project(one)["figures/01-function_2d.png"] == plot["image_png_b64"].path.read_bytes()


def test_paths_become_files_before_the_plan(tmp_path: Path) -> None:
    exhibits = [
        {"type": "figure", "content": "a.png"},
        {"type": "figure", "content": "from:plot.image_png_b64"},
        {"type": "table", "content": "a,b\n1,2"},
        {"type": "equation", "content": "E=mc^2"},
    ]
    assert expand({"title": "T", "artifacts": exhibits}, tmp_path)["files"] == {"a.png": "a.png"}


def test_labels_are_unique_and_made_where_they_lack(ask: Ask) -> None:
    exhibits = [{"type": "equation", "content": "a", "label": "eq:2"}, {"type": "equation", "content": "b"}]
    text = main(ask("export_tool", "overleaf", title="T", check=False, artifacts=exhibits))
    assert r"\label{eq:2}" in text and r"\label{eq:2a}" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"a\b", r"a\textbackslash{}b"),
        ("50% & $x_1^2$ #~", r"50\% \& \$x\_1\textasciicircum{}2\$ \#\textasciitilde{}"),
        ("a -- b", "a -{}- b"),
        ("x²y₁₂", r"x\textsuperscript{2}y\textsubscript{12}"),
        ("10⁻⁵", r"10\textsuperscript{\ensuremath{-}5}"),
        ("e\u0301", "é"),
        ("\u212b", "Å"),
        ("ℏω", r"\ensuremath{\hbar}\ensuremath{\omega}"),
        ("two\n  lines", "two lines"),
    ],
)
def test_escaping(text: str, expected: str) -> None:
    assert latex.escape(text, "title") == expected


@pytest.mark.parametrize("text", ["中", "😀", "\x07", "\u202e", "ﷺ"])
def test_signs_without_counterpart_are_named(text: str) -> None:
    with pytest.raises(ValidationError, match=f"U\\+{ord(text):04X}"):
        latex.escape(text, "title")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$E=mc^2$", "E=mc^2"),
        (r"\[ E=mc^2 \]", "E=mc^2"),
        ("$$x$$", "x"),
        (r"a &= b \\ c &= d", "\\begin{aligned}\na &= b \\\\ c &= d\n\\end{aligned}"),
        (r"\begin{gather*}a \\ b\end{gather*}", "\\begin{gathered}\na \\\\ b\n\\end{gathered}"),
        (r"\begin{pmatrix}1 & 2 \\ 3 & 4\end{pmatrix}", r"\begin{pmatrix}1 & 2 \\ 3 & 4\end{pmatrix}"),
        ("α²", r"\alpha ^{2}"),
    ],
)
def test_equations(text: str, expected: str) -> None:
    assert latex.equation(text, "eq") == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("{a", "braces"),
        (r"\frac{a}{b}}{", "braces"),
        (r"\begin{pmatrix} 1", "do not match"),
        (r"\left( a", r"\\left and \\right"),
        (r"\input{/etc/passwd}", "not allowed"),
        (r"\immediate\write18{rm}", "not allowed"),
        (r"\csname input\endcsname", "not allowed"),
        ("^^5cinput", "not allowed"),
        (r"\label{x}", "not allowed"),
        (r"\begin{input}{/etc/passwd}\end{input}", "not allowed"),  # \begin{name} runs \name
        (r"\begin{i\iftrue nput\fi}{/etc/passwd}\end{i\iftrue nput\fi}", "environment .* is not allowed"),
        (r"\begin{filecontents}{x.tex}a\end{filecontents}", "not allowed"),
        (r"\begin {tikzpicture}\end {tikzpicture}", "environment 'tikzpicture', which is not allowed"),
        (r"\InputIfFileExists{main.aux}{}{}", "not allowed"),
        (r"\makeatletter\@@input main.aux ", "not allowed"),
        (r"\ExplSyntaxOn\file_input:n{main.aux}", "not allowed"),
        ("a % b", "percent"),
        ("a $ b", "dollar"),
        ("a\n\nb", "empty line"),
        ("中", "U\\+4E2D"),
    ],
)
def test_bad_equations(text: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        latex.equation(text, "eq")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"title": ""}, "a title or a project_name"),
        ({"template": "letter"}, "template"),
        ({"artifacts": [{"type": "film", "content": "x"}]}, "figure"),
        ({"artifacts": [{"type": "figure", "content": "none.png"}]}, "does not exist"),
        ({"artifacts": [{"type": "figure", "content": __file__}]}, "no PNG, JPEG or PDF"),
        ({"artifacts": [{"type": "equation", "content": "a", "label": "a b"}]}, "label"),
        ({"artifacts": [{"type": "equation", "content": "a", "label": "q"}] * 2}, "occurs twice"),
        ({"artifacts": [{"type": "table", "content": [[1, 2], [3]]}]}, "row 2 has 1 cells"),
        ({"artifacts": [{"type": "table", "content": {"a": [1], "b": [1, 2]}}]}, "different lengths"),
        ({"artifacts": [{"type": "table", "content": [[1]] * 40}], "template": "beamer"}, "40 rows do not fit"),
        ({"artifacts": [{"type": "table", "content": 7}]}, "no table"),
        ({"bibliography": ["not bibtex"]}, "holds no BibTeX"),
        ({"bibliography": BIB * 2}, "occurs twice"),
        ({"bibliography": ["@misc{a, note={\\input{/etc/passwd}}}"]}, "not allowed"),
        ({"abstract": "see [@nobody]", "bibliography": BIB}, "cites 'nobody'"),
        ({"authors": [{"name": "A", "orcid": "0000-0002-1825-0098"}]}, "check digit"),
        ({"caption": "x"}, "unknown parameter 'caption'"),
    ],
)
def test_bad_documents(ask: Ask, change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ask("export_tool", "overleaf", **{"title": "T", "check": False, **change})


def test_svg_says_what_to_use_instead(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "a.svg"
    path.write_text("<svg/>")
    with pytest.raises(ValidationError, match="rather than svg"):
        ask("export_tool", "overleaf", title="T", artifacts=[{"type": "figure", "content": str(path)}])


def test_whether_it_compiles_is_asked_anew_when_a_tex_was_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tex = tmp_path / "bin" / "tectonic"  # one of our own, where there is no TeX
    tex.parent.mkdir()
    tex.write_text("#!/bin/sh\nprintf %%PDF-1.5 >main.pdf\n")
    tex.chmod(0o755)
    told, payload = [], {"tool": "export_tool", "method": "overleaf", "params": {"title": "T", "abstract": "A."}}
    for path in (str(tmp_path), f"{os.environ['PATH']}:{tex.parent}"):
        monkeypatch.setenv("PATH", path)
        with Lab(load_settings(tmp_path, overrides={"home": str(tmp_path / "home")}, environ={})) as lab:
            told.append(service.answer(lab, read_call(payload, lab.vocabulary), tmp_path).body["compiled"])
    assert told == [latex_compile.NO_TEX, True]
