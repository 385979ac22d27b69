"""Steps of mathematics: derivatives, integrals, equations, differential equations, uncertainties."""

from __future__ import annotations

import re

from physlab.expressions import normal_name
from physlab.language.clauses import Clause, formula, number
from physlab.language.story import Spec, Story, Thing, UnclearError

_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5}
_DERIVATIVE = re.compile(
    r"(?:(?:the )?(?:(?P<order>first|second|third|fourth|fifth) )?derivative of|differentiate|derive|"
    r"d(?:\^?(?P<n>\d))?/d(?P<by>[a-z])(?:\^?\d)?(?: of)?)\s+(?P<what>.+?)(?P<twice> twice)?(?: again)?",
    re.IGNORECASE,
)
_INTEGRAL = re.compile(
    r"(?:integrate|(?:the )?(?:(?:indefinite|definite) )?integral of|∫)\s*(?P<what>.+?)(?:\s+d(?P<by>[a-z]))?",
    re.IGNORECASE,
)
_SOLVE = re.compile(
    r"(?:solve|(?:the )?(?:solutions?|roots?|zero(?:e?s)?) of|find (?:the )?(?:solutions?|roots?) of)\s+"
    r"(?:the )?(?:(?:differential |ordinary |initial value |algebraic )*(?:equation|problem|ode)s?\s+)?"
    r"(?P<what>.+?)(?:\s+for\s+(?P<symbol>[^\W\d]\w*(?:\([a-z]\))?))?",
    re.IGNORECASE,
)
_SIMPLIFY = re.compile(
    r"(?:evaluate|simplify|(?:the )?(?:numerical )?value of|calculate|compute|work out)\s+(?P<what>.+)"
)
_ALGEBRA = re.compile(
    r"(?P<how>expand|factor(?:i[sz]e)?|(?:the )?expansion of|(?:the )?factors of)\s+(?P<what>.+)", re.IGNORECASE
)
_LIMIT = re.compile(
    r"(?:the )?limit of\s+(?P<what>.+?)\s+(?:as|for|when)\s+(?P<by>[^\W\d]\w*)\s*"
    r"(?:->|→|goes to|tends to|approaches)\s*(?P<to>\S+)",
    re.IGNORECASE,
)
_SERIES = re.compile(
    r"(?:the )?(?:taylor|maclaurin|power)?\s*(?:series|expansion)(?: expansion)?(?: of)?\s+(?P<what>.+?)"
    r"(?:\s+(?:around|about|at|near)\s+(?:(?P<by>[^\W\d]\w*)\s*=\s*)?(?P<point>[^\s,]+))?"
    r"(?:,?\s+(?:up )?to (?:the )?(?:order\s+)?(?P<order>\d+)(?:th|st|nd|rd)?(?: order)?)?",
    re.IGNORECASE,
)
_UNCERTAINTY = re.compile(
    r"(?:propagate (?:the )?(?:uncertainty|uncertainties|errors?) (?:through|of|in)|(?:the )?uncertainty (?:of|in))\s+"
    r"(?P<what>.+?)\s+(?:with|for|where|given)\s+(?P<given>.+(?:±|\+-|\+/-).+)",
    re.IGNORECASE,
)
_DIFFERENTIAL = re.compile(
    r"(?P<func>[^\W\d_])(?:\([^\W\d_]\))?(?P<primes>'+)"
    r"|d(?:\^?(?P<order>\d))?\s*(?P<func2>[^\W\d_])(?:\([^\W\d_]\))?\s*/\s*d(?P<by>[^\W\d_])"
    r"|(?:Derivative|diff)\(\s*(?P<func3>[^\W\d_])(?:\([^\W\d_]\))?\s*,\s*(?P<by3>[^\W\d_])(?:\s*,\s*(?P<order3>\d))?"
)


def differentiate(clause: Clause, story: Story) -> bool:
    """Read `differentiate sin(x)^2 with respect to x`, `the second derivative of it`."""
    match = _DERIVATIVE.fullmatch(clause.text)
    if match is None:
        return False
    found = story.formula(match["what"], clause.variable or match["by"], "with respect to", known=clause.values)
    if found is None:
        return False
    order = _ORDINALS.get((match["order"] or "").lower(), 2 if match["twice"] else 1)
    order = int(match["n"] or order)
    params: Spec = {"expr": found[0], "symbol": found[1], **({"order": order} if order > 1 else {})}
    params |= _values(clause)
    node = story.add("derivative", "cas", "diff", params)
    story.it = Thing(f"from:{node}.str", found[1])
    return True


def integrate(clause: Clause, story: Story) -> bool:
    """Read `integrate x^2 from 0 to 3`."""
    match = _INTEGRAL.fullmatch(clause.text)
    if match is None:
        return False
    named = clause.variable or match["by"] or (clause.span.name if clause.span else None)
    found = story.formula(match["what"], named, "with respect to", known=clause.values)
    if found is None:
        return False
    params: Spec = {"expr": found[0], "symbol": found[1]}
    if clause.span is not None:
        params["bounds"] = [_bound(clause.span.low), _bound(clause.span.high)]
    node = story.add("integral", "cas", "integrate", params | _values(clause))
    why = "a definite integral is a number: it cannot be drawn"
    story.it = Thing(why=why) if clause.span else Thing(f"from:{node}.str", found[1])
    return True


def _bound(text: str) -> float | str:
    """Return the end of an integral: a finite number, or a formula as it is."""
    value = number(text)
    if value is not None and abs(value) < float("inf") and re.fullmatch(r"[-+.\deE]+", text):
        return value
    if value is None and formula(text) is None:
        raise UnclearError(f"the bound '{text}' is no formula")
    return text


def solve(clause: Clause, story: Story) -> bool:
    """Read `solve x^2 = 2 for x` and `solve y'' + y = 0 with y(0)=1, y'(0)=0`."""
    match = _SOLVE.fullmatch(clause.text)
    if match is None:
        return False
    if _DIFFERENTIAL.search(match["what"]):
        return _solve_ode(clause, match["what"], story)
    sides = match["what"].split("=")
    if len(sides) > 2 or any(formula(side) is None for side in sides):
        return False
    whole = match["what"] if len(sides) == 1 else f"({sides[0].strip()}) - ({sides[1].strip()})"
    found = story.formula(
        whole, match["symbol"] or clause.variable, "for", known=clause.values, shown=match["what"]
    )  # fmt: skip
    if found is None:
        return False
    story.add("roots", "cas", "solve_equation", {"equation": match["what"], "symbol": found[1]} | _values(clause))
    story.it = Thing(whole, found[1])
    return True


def _solve_ode(clause: Clause, equation: str, story: Story) -> bool:
    found = list(_DIFFERENTIAL.finditer(equation))
    function = next(name for match in found for name in (match["func"], match["func2"], match["func3"]) if name)
    named = next((name for match in found for name in (match["by"], match["by3"]) if name), None)
    written = re.search(rf"\b{function}'*\(([^\W\d_])\)", equation)
    others = set(re.findall(r"(?<![^\W_])[^\W\d_](?![^\W_])", equation)) - {function}
    usual = "t" if function == "x" or "t" in others else "x"
    variable = clause.variable or named or (written[1] if written else usual)
    order = max(len(match["primes"] or "") or int(match["order"] or match["order3"] or 1) for match in found)
    conditions = {name: value for name, value in clause.values.items() if "(" in name}
    known = {name: value for name, value in clause.values.items() if "(" not in name}
    params: Spec = {"ode": equation, "symbol": variable, "func": function}
    if conditions:
        params["ics"] = {name.replace(" ", ""): _plain(value) for name, value in conditions.items()}
    node = story.add("solution", "cas", "solve_ode", params | _values(clause._replace(values=known)))
    lacks = order - len(conditions)
    examples = ", ".join(f"{function}{primes * chr(39)}(0) = …" for primes in range(order))
    why = f"the solution of '{equation}' has {lacks} free constant(s): say 'with {examples}'" if lacks > 0 else ""
    story.it = Thing(None if why else f"from:{node}.expr", variable, why=why)
    return True


def simplify(clause: Clause, story: Story) -> bool:
    """Read `evaluate a*b with a = 2 m, b = 3`, `simplify sin(x)^2 + cos(x)^2`."""
    match = _SIMPLIFY.fullmatch(clause.text)
    if match is None:
        return False
    try:
        found = story.formula(match["what"], clause.variable or "x", "")
    except UnclearError:
        found = (match["what"], "x") if formula(match["what"]) is not None else None
        if found is None:
            raise
    if found is None or (formula(match["what"]) and re.fullmatch(r"[A-Za-z]\w*", match["what"].strip())):
        return False  # `value of c` is a constant
    node = story.add("value", "cas", "evaluate", {"expr": found[0]} | _values(clause))
    story.it = Thing(f"from:{node}.str", found[1])
    return True


def rewrite(clause: Clause, story: Story) -> bool:
    """Read `expand (x+1)^3`, `factor x^2 - 1`."""
    match = _ALGEBRA.fullmatch(clause.text)
    found = match and story.formula(match["what"], clause.variable, "with respect to")
    if match is None or not found:
        return False
    operation = "expand" if "expan" in match["how"].lower() else "factor"
    node = story.add(operation, "graphing_calculator", operation, {"expression": found[0]})
    story.it = Thing(f"from:{node}.exact", found[1])
    return True


def limit(clause: Clause, story: Story) -> bool:
    """Read `the limit of sin(x)/x as x -> 0`."""
    match = _LIMIT.fullmatch(clause.text)
    found = match and story.formula(match["what"], match["by"], "as")
    if match is None or not found:
        return False
    params = {"expression": found[0], "variable": match["by"], "point": match["to"]}
    story.add("limit", "graphing_calculator", "limit", params)
    story.it = Thing(why="a limit is a number: it cannot be drawn")
    return True


def series(clause: Clause, story: Story) -> bool:
    """Read `the Taylor series of cos(x) around 0 to order 6`."""
    match = _SERIES.fullmatch(clause.text)
    found = match and story.formula(match["what"], clause.variable or match["by"], "around")
    if match is None or not found:
        return False
    params: Spec = {"expression": found[0], "variable": found[1], "point": match["point"] or "0"}
    if match["order"]:
        params["order"] = int(match["order"])
    node = story.add("series", "graphing_calculator", "series", params)
    story.it = Thing(f"from:{node}.exact", found[1])
    return True


def uncertainty(clause: Clause, story: Story) -> bool:
    """Read `the uncertainty of 4*pi^2*L/T^2 with L = 1.000 ± 0.002 m and T = 2.006 ± 0.005 s`."""
    match = _UNCERTAINTY.fullmatch(clause.text) or _UNCERTAINTY.fullmatch(
        f"{clause.text} with {', '.join(f'{name} = {value}' for name, value in clause.values.items())}"
    )
    if match is None or formula(match["what"]) is None:
        return False
    known: Spec = {}
    for part in re.split(r"\s*,\s*(?:and\s+)?|\s+and\s+", match["given"]):
        said = re.fullmatch(r"(\w+)\s*=\s*([-+.\deE]+)(?:\s*(?:±|\+/?-)\s*([.\deE]+))?\s*(\S.*)?", part)
        if said is None:
            raise UnclearError(f"'{part}' is no value: write 'L = 1.000 ± 0.002 m'")
        known[said[1]] = {"value": float(said[2])} | ({"sigma": float(said[3])} if said[3] else {})
        known[said[1]] |= {"unit": said[4].strip()} if said[4] else {}
    story.add("uncertainty", "cas", "propagate_uncertainty", {"expr": match["what"], "vars": known})
    story.it = Thing(why="a value with its uncertainty cannot be drawn")
    return True


def _values(clause: Clause) -> Spec:
    """Return the values that were given for names, as the tools take them."""
    return {"vars": {normal_name(name): _quantity(value) for name, value in clause.values.items()}} if (
        clause.values
    ) else {}  # fmt: skip


def _quantity(text: str) -> object:
    value = number(text)
    if value is not None:
        return value
    said = re.fullmatch(r"([-+]?[.\d]+(?:[eE][-+]?\d+)?)\s*([A-Za-zµμΩ°%].*)", text)
    if said is None:
        raise UnclearError(f"'{text}' is no value: write a number, or a number and a unit")
    return {"value": float(said[1]), "unit": said[2].strip()}


def _plain(text: str) -> float | str:
    value = number(text)
    return text if value is None else value
