"""Steps that draw: curves, maps, surfaces, fields, flows, films."""

from __future__ import annotations

import re

from physlab.language.clauses import Clause, Span, formula, number
from physlab.language.story import FIGURE, Spec, Story, Thing, UnclearError

_SHOW = r"(?:plot|draw|graph|sketch|visuali[sz]e|show(?: me)?|make|create|animate)"
_ARTICLE = r"(?:(?:a|an|the|me|its)\s+)*"
_KIND = re.compile(
    rf"(?:(?P<verb>{_SHOW})\s+)?{_ARTICLE}"
    r"(?:(?P<kind>phase portrait|contour(?:s| plot| map| lines)?|surface(?: plot)?|3-?d (?:plot|surface|graph)|"
    r"vector field|(?:stream ?lines?|flow)|parametric (?:curve|plot)|animation|movie|film|slider plot|"
    r"interactive plot|map|plot|graph|curve|picture|figure)\s*(?:of|for|:)?\s+)?(?P<what>.+)",
    re.IGNORECASE,
)
_LATER = re.compile(
    r",?\s+(?:as|in|with)\s+(?:a|an)?\s*(?P<kind>contours?(?: plot| map| lines)?|surface(?: plot)?|3-?d|"
    r"animation|movie|film)$",
    re.IGNORECASE,
)
_PAIR = re.compile(r"\(?\s*(?P<a>.+?)\s*,\s*(?P<b>[^,]+?)\s*\)?")
_FLOW = re.compile(
    r"(?:d?(?P<p>[^\W\d_])(?:'|/dt|\u0307)\s*=\s*(?P<dp>[^,]+?))\s*(?:,|and)\s*"
    r"(?:d?(?P<q>[^\W\d_])(?:'|/dt|\u0307)\s*=\s*(?P<dq>[^,]+?))"
)
_FILM = {**FIGURE, "animation": True}


def draw(clause: Clause, story: Story) -> bool:
    """Read `plot sin(x)/x from -10 to 10`, `a contour plot of x^2 - y^2`, `animate it`."""
    text, later = _without_kind(clause.text)
    match = _KIND.fullmatch(text)
    if match is None or not (match["verb"] or match["kind"]):
        return False
    kind = (match["kind"] or later or "").lower()
    films = (match["verb"] or "").lower() == "animate" or kind in ("animation", "movie", "film")
    what = match["what"].strip()
    again = re.fullmatch(r"(?:it|that|this|them|(?:the )?(?:plot|curve|figure|result|solution|motion))", what)
    if films and again and story.picture is not None and clause.span is None:
        return _animate_last(story)
    if kind.startswith("phase"):
        return _phase(clause, what, story)
    if kind in ("vector field", "flow") or kind.startswith("stream"):
        return _pair(clause, what, story, "field_2d", ("fx", "fy"), kind)
    if kind.startswith("parametric") or re.fullmatch(r"\(.*\(t\).*,.*\(t\).*\)", what):
        return _parametric(clause, what, story, films)
    return _function(clause, what, story, kind, films)


def _without_kind(text: str) -> tuple[str, str | None]:
    """Take `as a contour plot`, `as an animation` from the end."""
    match = _LATER.search(text)
    return (text[: match.start()], match["kind"]) if match else (text, None)


def _animate_last(story: Story) -> bool:
    picture = story.picture
    if picture is None or picture["method"] not in ("function_2d", "parametric_2d", "volume_3d", "animation"):
        raise UnclearError("a film can be made of a curve, of a volume, or of a formula in x and t")
    picture["visual_outputs"] = dict(_FILM)
    return True


def _function(clause: Clause, what: str, story: Story, kind: str, films: bool) -> bool:
    if _data(clause, what, story):
        return True
    what = re.sub(r"^[a-z](?:\([a-z](?:,\s*[a-z])*\))?\s*=\s*", "", what)  # `y = x^2`, `f(x, y) = …`
    several = re.split(r"\s*,\s*(?:and\s+)?|\s+and\s+|\s+(?:against|with|versus)\s+", what)
    if len(several) > 1 and all(formula(part) is not None for part in several):
        return _curves(clause, several, story, films)
    found = formula(what)
    names = set(found.names) - set(clause.values) if found is not None else set()
    look = _look(clause)
    if names == {"x", "y", "z"}:
        low, high = _range(clause.span, (-2.0, 2.0))
        axis = [low, high, 50]
        story.add("picture", "plot", "volume_3d", {"f": what, "x": axis, "y": axis, "z": axis} | look,
                  {**FIGURE, "series": False, "animation": films})  # fmt: skip
        return True
    if names == {"x", "y"}:
        low, high = _range(clause.span, (-5.0, 5.0))
        method = "surface_3d" if kind.startswith(("surface", "3")) else "contour_2d"
        story.add("picture", "plot", method, {"f": what, "x": [low, high], "y": [low, high]} | look, FIGURE)
        return True
    if "t" in names and "x" in names and len(names) == 2 and (films or clause.variable is None):
        low, high = _range(clause.span, (-10.0, 10.0))
        film: Spec = {"frame_expr": what, "x_range": [low, high, 300], "t_range": [0, 10, 120], "renderer": "line"}
        story.add("picture", "plot", "animation", film | look, _FILM)
        return True
    named = clause.variable or (clause.span.name if clause.span else None)
    spoken = story.formula(what, named, "over", known=clause.values)
    if spoken is None:
        return False
    extra = names - {spoken[1]}
    if extra:
        raise UnclearError(f"'{what}' holds {' and '.join(sorted(extra))} too: say 'with {min(extra)} = …'")
    low, high = _range(clause.span, (-10.0, 10.0))
    params: Spec = {"f": spoken[0]} | ({"variable": spoken[1]} if spoken[1] != "x" else {})
    params |= {"x_min": low, "x_max": high} | look
    story.add("picture", "plot", "function_2d", params, _FILM if films else FIGURE)
    if found is not None:
        story.it = Thing(spoken[0], spoken[1])
    return True


def _curves(clause: Clause, parts: list[str], story: Story, films: bool) -> bool:
    """Draw several formulas of one variable in one figure."""
    named = clause.variable or (clause.span.name if clause.span else None)
    spoken = [story.formula(part, named, "over", known=clause.values) for part in parts]
    variables = {item[1] for item in spoken if item is not None}
    if len(variables) != 1:
        raise UnclearError(
            f"{' and '.join(parts)} are of {' and '.join(sorted(variables))}: one figure has one variable"
        )
    [variable] = variables
    for part in parts:
        found = formula(part)
        extra = set(found.names if found else ()) - {variable} - set(clause.values)
        if extra:
            raise UnclearError(f"'{part}' holds {' and '.join(sorted(extra))} too: say 'with {min(extra)} = …'")
    low, high = _range(clause.span, (-10.0, 10.0))
    params: Spec = {"f": parts[0], "label": parts[0], "x_min": low, "x_max": high, "title": clause.title or ""}
    params |= {"variable": variable} if variable != "x" else {}
    params["curves"] = [{"f": part, "label": part} for part in parts[1:]]
    story.add("picture", "plot", "function_2d", params | _look(clause), _FILM if films else FIGURE)
    return True


def _data(clause: Clause, what: str, story: Story) -> bool:
    """Draw the array that was spoken of before."""
    named = re.fullmatch(r"(?:it|that|this|the (?:data|signal|spectrum|result|column \w+|series))", what, re.IGNORECASE)
    if named is None or story.it is None or story.it.data is None:
        return False
    axis = {"x": story.it.axis} if story.it.axis else {}
    story.add("picture", "plot", "function_2d", {"f": story.it.data} | axis | _look(clause), FIGURE)
    return True


def _phase(clause: Clause, what: str, story: Story) -> bool:
    match = _FLOW.fullmatch(what)
    pair = None if match else _PAIR.fullmatch(what)
    if match is None and pair is None:
        return False
    dx, dy = (match["dp"], match["dq"]) if match else (pair["a"], pair["b"])  # type: ignore[index]
    return _pair(clause, f"({dx}, {dy})", story, "phase_portrait", ("dx", "dy"), "")


def _pair(clause: Clause, what: str, story: Story, method: str, names: tuple[str, str], kind: str) -> bool:
    match = _PAIR.fullmatch(what)
    if match is None or any(formula(match[side]) is None for side in "ab"):
        return False
    low, high = _range(clause.span, (-3.0, 3.0))
    params: Spec = {names[0]: match["a"], names[1]: match["b"], "x": [low, high], "y": [low, high]}
    if kind.startswith(("stream", "flow")):
        params["plot_type_field"] = "stream"
    story.add("picture", "plot", method, params | _look(clause), FIGURE)
    return True


def _parametric(clause: Clause, what: str, story: Story, films: bool) -> bool:
    match = _PAIR.fullmatch(re.sub(r"\b[xy](?:\(t\))?\s*=\s*", "", what).replace(" and ", ", "))
    if match is None or any(formula(match[side]) is None for side in "ab"):
        return False
    low, high = _range(clause.span, (0.0, 6.283185307179586))
    params: Spec = {"x_t": match["a"], "y_t": match["b"], "t_min": low, "t_max": high}
    story.add("picture", "plot", "parametric_2d", params | _look(clause), _FILM if films else FIGURE)
    return True


def _range(span: Span | None, usual: tuple[float, float]) -> tuple[float, float]:
    if span is None:
        return usual
    found = span.numbers()
    if found is None:
        raise UnclearError(f"the range '{span.low} to {span.high}' is not from one number up to another")
    return found


def _look(clause: Clause) -> Spec:
    """Return the title, and the numbers of the formula's other names."""
    known = {name: number(value) for name, value in clause.values.items()}
    wrong = next((name for name, value in known.items() if value is None), None)
    if wrong is not None:
        raise UnclearError(f"'{wrong} = {clause.values[wrong]}' is no number, which a picture needs")
    return ({"title": clause.title} if clause.title else {}) | ({"vars": known} if known else {})
