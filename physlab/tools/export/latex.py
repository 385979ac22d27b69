"""Text for LaTeX: every sign of a user's text comes out as it was written, whatever LaTeX would make of it."""

from __future__ import annotations

import re
import unicodedata

from physlab.errors import ValidationError

_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "'": "'", "`": r"\textasciigrave{}",
}  # fmt: skip
_LIGATURES = (("--", "-{}-"), ("''", "'{}'"), (",,", ",{},"), ("?\\textasciigrave", "?{}\\textasciigrave"))
_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "ϵ": "epsilon", "ζ": "zeta",
    "η": "eta", "θ": "theta", "ϑ": "vartheta", "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu",
    "ξ": "xi", "π": "pi", "ρ": "rho", "ϱ": "varrho", "σ": "sigma", "ς": "varsigma", "τ": "tau", "υ": "upsilon",
    "φ": "varphi", "ϕ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta",
    "Λ": "Lambda", "Ξ": "Xi", "Π": "Pi", "Σ": "Sigma", "Υ": "Upsilon", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega",
}  # fmt: skip
_SIGNS = {
    "ℏ": "hbar", "ℓ": "ell", "∂": "partial", "∇": "nabla", "∞": "infty", "∑": "sum", "∏": "prod", "∫": "int",
    "∮": "oint", "√": "surd", "≈": "approx", "≠": "neq", "≡": "equiv", "≤": "leq", "≥": "geq", "≪": "ll", "≫": "gg",
    "∝": "propto", "∼": "sim", "≃": "simeq", "≅": "cong", "∈": "in", "∉": "notin", "⊂": "subset", "⊆": "subseteq",
    "∪": "cup", "∩": "cap", "→": "rightarrow", "←": "leftarrow", "↔": "leftrightarrow", "⇒": "Rightarrow",
    "⇔": "Leftrightarrow", "↑": "uparrow", "↓": "downarrow", "⟨": "langle", "⟩": "rangle", "⊗": "otimes",
    "⊕": "oplus", "⊙": "odot", "☉": "odot", "′": "prime", "∘": "circ", "∗": "ast", "⋅": "cdot", "⊥": "perp",
    "∥": "parallel", "∀": "forall", "∃": "exists", "∅": "emptyset", "∠": "angle", "≲": "lesssim", "≳": "gtrsim",
    "ℝ": "mathbb{R}", "ℂ": "mathbb{C}", "ℤ": "mathbb{Z}", "ℕ": "mathbb{N}", "ℚ": "mathbb{Q}", "±": "pm", "∓": "mp",
    "×": "times", "÷": "div", "·": "cdot", "¬": "neg", "µ": "mu", "…": "ldots", "†": "dagger", "‡": "ddagger",
}  # fmt: skip
MATH = {sign: "\\" + name for sign, name in {**_GREEK, **_SIGNS}.items()} | {
    "″": r"\prime\prime", "−": "-", "′": "^{\\prime}", "Ο": "O", "ο": "o", "Α": "A", "Β": "B", "Ε": "E", "Ζ": "Z",
    "Η": "H", "Ι": "I", "Κ": "K", "Μ": "M", "Ν": "N", "Ρ": "P", "Τ": "T", "Χ": "X", "°": r"^{\circ}",
    "²": "^{2}", "³": "^{3}", "¹": "^{1}", "\u2009": r"\,", "\u202f": r"\,", "\u00a0": "~",
}  # fmt: skip
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ", "0123456789+-=()ni")
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", "0123456789+-=()aehijklmnoprstuvx")
_RUNS = re.compile(r"([⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ]+)|([₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ]+)")
# What the T1 and TS1 encodings of LaTeX print by themselves (t1enc.dfu, ts1enc.dfu of LaTeX 2022), beyond ASCII.
_PRINTED = re.compile(
    "[\u00a1-\u00ac\u00ae-\u00b7\u00b9-\u0125\u0128-\u0137\u0139-\u013e\u0141-\u0148\u014a-\u0165\u0168-\u017e"
    "\u0192\u01cd-\u01d4\u01e2\u01e3\u01e6-\u01eb\u01f0\u01f4\u01f5\u0218-\u021b\u0232\u0233"
    "\u1e02\u1e03\u1e20\u1e21\u1e9e\u1ef2\u1ef3"
    "\u2013\u2014\u2018-\u201a\u201c-\u201e\u2020-\u2022\u2030\u2031\u2039\u203a\u20ac\u2103\u2116\u2122\u2126]"
)
_SPACES = {
    "\u00a0": "~", "\u2009": r"\,", "\u202f": r"\,", "\u2011": "-", "\u2010": "-", "\u2026": r"\dots{}",
    "\u2212": r"\ensuremath{-}", "\u00ad": r"\-",
}  # fmt: skip
_HARMFUL = re.compile(
    r"\\(?:begin\s*\{\s*)?"  # \begin{input} is \input
    r"(?:input|include|includeonly|includegraphics|write|immediate|openin|openout|read|readline|closein|closeout|"
    r"special|catcode|csname|endcsname|usepackage|RequirePackage|documentclass|def|edef|gdef|xdef|let|futurelet|"
    r"newcommand|renewcommand|providecommand|DeclareMathOperator|newread|newwrite|loop|repeat|directlua|pdfobj|"
    r"pdfliteral|jobname|bibliography|label|tag|end\s*\{document\}|everymath|everydisplay|expandafter|lstinputlisting|"
    r"verbatiminput|scantokens|primitive|shipout|output|batchmode|scrollmode|nonstopmode|errorstopmode|filecontents|"
    r"InputIfFileExists|IfFileExists|makeatletter|ExplSyntaxOn|AtBeginDocument|AtEndDocument|AddToHook|global|chardef|"
    r"mathchardef|(?:New|Renew|Provide|Declare)DocumentCommand|(?:New|Renew)ExpandableDocumentCommand|verb|"
    r"pdffiledump|pdffilesize|pdffilemoddate|pdfmdfivesum)(?![A-Za-z])"
    r"|\^\^"
)
_ENVELOPES = (
    re.compile(r"\$\$(.*)\$\$", re.DOTALL),
    re.compile(r"\\\[(.*)\\\]", re.DOTALL),
    re.compile(r"\\\((.*)\\\)", re.DOTALL),
    re.compile(r"\$([^$]*)\$", re.DOTALL),
    re.compile(
        r"\\begin\{(equation|displaymath|math|align|gather|multline|eqnarray)\*?\}(.*)\\end\{\1\*?\}", re.DOTALL
    ),
)
_INSIDE = frozenset(
    {
        "aligned", "alignedat", "gathered", "split", "array", "subarray", "cases", "matrix", "pmatrix", "bmatrix",
        "Bmatrix", "vmatrix", "Vmatrix", "smallmatrix",
    }
)  # fmt: skip
r"""Environments that may stand in an equation: `\begin{name}` runs `\name`, whatever that is."""
_INNER = {"align": "aligned", "eqnarray": "aligned", "gather": "gathered", "multline": "gathered"}


def harmful(text: str) -> str | None:
    """Return the first command in a text that reads, writes or defines, None when there is none."""
    found = _HARMFUL.search(text)
    return found[0] if found else None


def escape(text: str, where: str, *, paragraphs: bool = False, keep: str = "") -> str:
    r"""Return a text so that LaTeX prints every sign of it.

    Args:
        text: Any text.
        where: What it is, for messages.
        paragraphs: True keeps blank lines as paragraphs; else all white space becomes one space.
        keep: Signs that stay as they are.

    Returns:
        LaTeX for pdfLaTeX, XeLaTeX and LuaLaTeX alike: Latin letters stay as they are, Greek letters and the signs of
        mathematics become commands such as `\ensuremath{\alpha}`.

    Raises:
        ValidationError: A sign has no counterpart in LaTeX's own fonts.
    """
    text = unicodedata.normalize("NFC", text)
    parts = re.split(r"\n\s*\n", text.strip()) if paragraphs else [text]
    return "\n\n".join(_line(re.sub(r"[ \t\r\n]+", " ", part.strip()), where, keep) for part in parts)


def _line(text: str, where: str, keep: str) -> str:
    found, last = [], 0
    for run in _RUNS.finditer(text):
        up, down = run.groups()
        found += [_sign(sign, where, keep) for sign in text[last : run.start()]]
        way, signs = ("super", up.translate(_RAISED)) if up else ("sub", down.translate(_LOWERED))
        found.append(rf"\text{way}script{{{signs.replace('-', _SPACES[chr(0x2212)])}}}")
        last = run.end()
    line = "".join([*found, *(_sign(sign, where, keep) for sign in text[last:])])
    for pair, apart in _LIGATURES:
        while pair in line:
            line = line.replace(pair, apart)
    return line


def _sign(sign: str, where: str, keep: str) -> str:
    if sign in _SPECIAL:
        return _SPECIAL[sign]
    if " " <= sign <= "~" or sign in keep:
        return sign
    if sign in _SPACES:
        return _SPACES[sign]
    if _PRINTED.fullmatch(sign):
        return sign
    if sign in MATH:
        return rf"\ensuremath{{{MATH[sign]}}}"
    raise _unprintable(sign, where)


def _unprintable(sign: str, where: str) -> ValidationError:
    name = unicodedata.name(sign, "a control character")
    return ValidationError(
        f"{where} holds '{sign if sign.isprintable() else repr(sign)}' (U+{ord(sign):04X}, {name}), which LaTeX's own "
        "fonts do not have.",
        hint="Latin and Greek letters, punctuation and the usual signs of mathematics can be printed; else use words.",
    )


def equation(text: str, where: str) -> str:
    r"""Return the inside of an `equation` environment from LaTeX mathematics.

    `$…$`, `\[…\]` and environments such as `align` around it are taken off; several lines become `aligned`.

    Raises:
        ValidationError: It is empty, its braces or environments do not match, or it holds a command that is no
            mathematics (one that reads, writes or defines).
    """
    inner, kind = _unwrapped(text.strip())
    if not inner:
        raise ValidationError(f"{where} is empty.", hint=r"Give LaTeX, for instance E = \hbar\omega.")
    if bad := harmful(inner):
        raise ValidationError(
            f"{where} holds '{bad}', which is not allowed in an equation.",
            hint="Write mathematics only; caption and label have fields of their own.",
        )
    _check_braces(inner, where)
    _check_environments(inner, where)
    if re.search(r"\n\s*\n", inner):
        raise ValidationError(f"{where} holds an empty line, which LaTeX refuses in an equation.", hint="Remove it.")
    inner = "".join(_maths(sign, where) for sign in unicodedata.normalize("NFC", inner))
    outside = re.sub(r"\\begin\{(\w+\*?)\}.*?\\end\{\1\}", "", inner, flags=re.DOTALL)
    several = r"\\" in outside or re.search(r"(?<!\\)&", outside) is not None
    if several:
        name = _INNER.get(kind, "aligned")
        return f"\\begin{{{name}}}\n{inner}\n\\end{{{name}}}"
    return inner


def _unwrapped(text: str) -> tuple[str, str]:
    for envelope in _ENVELOPES:
        if match := envelope.fullmatch(text):
            return match[match.lastindex or 1].strip(), match[1] if match.lastindex == 2 else ""
    return text, ""


def _check_braces(text: str, where: str) -> None:
    depth, opened = 0, []
    bare = re.sub(r"\\\\", "  ", text)
    bare = re.sub(r"\\[{}$%&#]", "  ", bare)
    for sign in bare:
        depth += (sign == "{") - (sign == "}")
        if depth < 0:
            break
    if depth:
        raise ValidationError(f"{where} has braces that do not match.", hint="Each { needs its }.")
    for verb, name in re.findall(r"\\(begin|end)\s*\{([^{}]*)\}", text):
        if verb == "begin":
            opened.append(name)
        elif not opened or opened.pop() != name:
            opened.append(name)
            break
    if opened:
        raise ValidationError(rf"{where}: \begin and \end of '{opened[-1]}' do not match.", hint="Close it.")
    for sign, what in (("$", "a dollar sign"), ("%", "a percent sign, which would begin a comment"), ("#", "a '#'")):
        if sign in bare:
            raise ValidationError(f"{where} holds {what}.", hint=f"Write \\{sign}.")
    if len(re.findall(r"\\left(?![a-zA-Z])", text)) != len(re.findall(r"\\right(?![a-zA-Z])", text)):
        raise ValidationError(rf"{where}: \left and \right do not match.", hint="Each needs the other.")


def _check_environments(text: str, where: str) -> None:
    for begun in re.findall(r"\\begin(?![A-Za-z])\s*(?:\{([^{}]*)\})?", text):
        if begun not in _INSIDE:
            raise ValidationError(
                rf"{where} holds the environment '{begun}', which is not allowed in an equation.",
                hint=f"Allowed are {', '.join(sorted(_INSIDE))}.",
            )


def _maths(sign: str, where: str) -> str:
    if " " <= sign <= "~" or sign in "\n\t":
        return sign
    if sign in MATH:
        return MATH[sign] + (" " if MATH[sign][-1].isalpha() else "")
    up, down = sign.translate(_RAISED), sign.translate(_LOWERED)
    if up != sign:
        return f"^{{{up}}}"
    if down != sign:
        return f"_{{{down}}}"
    if _PRINTED.fullmatch(sign):
        return rf"\text{{{sign}}}"
    raise _unprintable(sign, where)
