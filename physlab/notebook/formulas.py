"""Formulas in TeX as pictures in SVG: drawn once, embedded whole, with what is not understood named."""

from __future__ import annotations

import base64
import math
import re
from dataclasses import dataclass
from functools import lru_cache
from xml.etree import ElementTree

from physlab.errors import ValidationError
from physlab.notebook.folding import fold

MAX_CHARS = 4000
MAX_PIXELS = 8000
AXIS = 0.25
"""How far over the baseline a box that CSS aligns in the middle of its line has its middle [em]."""
_COMMAND = re.compile(r"\\[A-Za-z]+")
_ESCAPED = re.compile(r"\\.", re.DOTALL)
_TEXT = re.compile(r"\\(?:text|textrm|textit|textbf|textsf|texttt|mbox|hbox)\s*\{[^{}]*\}")
_SAFE = str.maketrans({"<": "&lt;", ">": "&gt;", "&": "&amp;"})
_SIZE = re.compile(r'width="[^"]*" height="[^"]*" viewBox="([^"]*)"')


@dataclass(frozen=True)
class Drawn:
    """A formula as a picture.

    Attributes:
        svg: The picture; refers to nothing outside itself.
        width: Of it [px].
        height: Of it [px].
        tex: What was drawn.
    """

    svg: str
    width: int
    height: int
    tex: str

    @property
    def address(self) -> str:
        """The picture as an address that holds it."""
        return f"data:image/svg+xml;base64,{base64.b64encode(self.svg.encode()).decode()}"


@lru_cache(maxsize=4096)  # a notebook says the same symbols again and again
def draw(tex: str, size_px: float = 16.0, block: bool = False, widest_px: float = 0.0) -> Drawn:
    """Draw a formula.

    Args:
        tex: TeX, without the dollars around it.
        size_px: Size of its letters [px].
        block: Whether it stands by itself; else its middle is at the height of the minus sign, as the CSS
            `vertical-align: middle` wants it.
        widest_px: A formula that stands by itself and is wider gets several lines; 0 for no bound [px].

    Raises:
        ValidationError: It is empty, too long, unfinished, or has a command that is not known, which is named.
    """
    if not tex.strip() or len(tex) > MAX_CHARS:
        raise ValidationError(
            f"The formula '{_short(tex)}' has {len(tex)} characters.",
            hint=f"A formula has 1 to {MAX_CHARS} characters.",
        )
    _insist_on_whole(tex)
    picture = _picture(_escaped(tex.strip()), tex, size_px, block)
    if block and widest_px and _width(picture) > widest_px:
        picture = _picture(_escaped(fold(tex.strip(), _width(picture), widest_px)), tex, size_px, block)
    unknown = sorted({found for text in picture.texts for found in _COMMAND.findall(text)})
    if unknown:
        raise ValidationError(
            f"The formula '{_short(tex)}' has a command that is not known: {', '.join(unknown)}.",
            hint=r"Write it with plain TeX and AMS commands: \ce{H2O} as \mathrm{H_2O}, \SI{3}{m} as 3\,\mathrm{m}.",
        )
    return _framed(picture, tex, size_px, block)


def _insist_on_whole(tex: str) -> None:
    """Refuse what the reader would leave out without a word: what follows a brace too many, or a percent sign."""
    bare, depth = _ESCAPED.sub("", tex), 0
    for sign in bare:
        depth += (sign == "{") - (sign == "}")
        if depth < 0:
            break
    if depth or "%" in bare:
        what = "has braces that do not match" if depth else "has a bare %, which begins a comment"
        raise ValidationError(
            f"The formula '{_short(tex)}' {what}.", hint=r"Write \{ \} and \% for the signs themselves."
        )


@dataclass(frozen=True)
class _Picture:
    svg: str
    texts: tuple[str, ...]


def _picture(safe: str, tex: str, size_px: float, block: bool) -> _Picture:
    from ziamath.config import config
    from ziamath.tex import tex2mml
    from ziamath.zmath import Latex

    config.svg2 = False  # paths in place: what prints a page need not know of symbols
    try:
        tree = ElementTree.fromstring(tex2mml(safe, inline=not block))  # noqa: S314 - made here, without entities
        texts = tuple(node.text or "" for node in tree.iter())
        return _Picture(str(Latex(safe, size=size_px, inline=not block).svg()), texts)
    except Exception as error:  # the reader of TeX throws whatever its list or tree gives
        raise ValidationError(
            f"The formula '{_short(tex)}' cannot be read: {type(error).__name__} {error}".strip(" :") + ".",
            hint=r"Every { has its }, every \left its \right, every \begin its \end.",
        ) from error


def _width(picture: _Picture) -> float:
    match = _SIZE.search(picture.svg)
    return float(match[1].split()[2]) if match else 0.0


def _escaped(tex: str) -> str:
    """Return TeX whose texts are safe: the reader copies them into XML as they are."""
    return _TEXT.sub(lambda match: match[0].translate(_SAFE), tex)


def _framed(picture: _Picture, tex: str, size_px: float, block: bool) -> Drawn:
    match = _SIZE.search(picture.svg)
    x, y, width, height = (float(word) for word in match[1].split()) if match else (0.0, 0.0, 0.0, 0.0)
    if match is None or not all(map(math.isfinite, (x, y, width, height))) or max(width, height) > MAX_PIXELS:
        raise ValidationError(
            f"The formula '{_short(tex)}' is {width:g} × {height:g} pixels large.",
            hint=f"At most {MAX_PIXELS} each way.",
        )
    if not block:
        middle = -AXIS * size_px
        half = max(middle - y, y + height - middle)
        y, height = middle - half, 2 * half
    wide, high = max(1, math.ceil(width)), max(1, math.ceil(height))
    frame = f'width="{wide}" height="{high}" viewBox="{x:g} {y:g} {wide} {high}"'
    return Drawn(picture.svg[: match.start()] + frame + picture.svg[match.end() :], wide, high, tex)


def _short(tex: str) -> str:
    flat = " ".join(tex.split())
    return flat if len(flat) <= 60 else f"{flat[:59]}…"
