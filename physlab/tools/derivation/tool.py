"""`ml_ai_augmentation.explain_derivation`: derivations step by step, each step verified by the machine."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from physlab.errors import ConfigurationError, ResourceError, ValidationError
from physlab.expressions import normal_name
from physlab.model import Visuals
from physlab.tools.cas.algebra import Setup, rational, require_defined, sides, write
from physlab.tools.cas.ode import read_problem as read_ode
from physlab.tools.cas.params import SolveOde
from physlab.tools.context import Context
from physlab.tools.derivation.calculus import differentiate, expand_series
from physlab.tools.derivation.equations import solve
from physlab.tools.derivation.integrals import integrate
from physlab.tools.derivation.mechanics import euler_lagrange, find_coordinates, mark_velocities
from physlab.tools.derivation.odes import solve_ode
from physlab.tools.derivation.params import DerivationParams, Problem, expand, read_problem
from physlab.tools.derivation.report import aligned, draw, summary
from physlab.tools.derivation.steps import Ledger, Step, latex
from physlab.tools.dimensions import Part, agree, in_base_units, measure, unit_of
from physlab.tools.figures import IMPORTS, STATIC_PORTS
from physlab.tools.registry import Port, registry
from physlab.tools.units import spell_dimensions

registry.tool(
    "ml_ai_augmentation",
    summary="Formulas from data, surrogates of equations, patterns in images, derivations step by step.",
    discriminator="method",
    aliases={"derivation": "explain_derivation", "ml_explain_derivation": "explain_derivation"},
)
registry.alias("ml_explain_derivation", "ml_ai_augmentation", "explain_derivation")
registry.alias("explain_derivation", "ml_ai_augmentation", "explain_derivation")

SYSTEM = (
    "You explain physics. The derivation below was computed and verified by a computer algebra system. Comment on its "
    "idea and meaning in a few sentences for the audience named. Do not change or add formulas."
)


@registry.method(
    "ml_ai_augmentation",
    "explain_derivation",
    params=DerivationParams,
    returns=(
        Port("latex", "text", description="The derivation as an `aligned` block, without dollar signs"),
        Port("summary_md", "text", description="The derivation in words, as Markdown"),
        Port("steps", "list", description="Steps for the audience: number, rule, explanation, latex, verified, how"),
        Port("result", "list", description="The results as formulas that `cas` reads"),
        Port("task", "text", description="What the problem was understood to be"),
        Port("verified", "boolean", description="True: each step that claims something was checked"),
        Port("commentary", "text", description="What a language model said to it, unverified; null without one"),
        *STATIC_PORTS,
    ),
    can=Visuals(static=True, series=False, animation=False),
    visuals=Visuals(static=False, series=False, animation=False),
    time_limit_s=120.0,
    libraries=("sympy", "pint", "matplotlib"),
    imports=("sympy", *IMPORTS),
    kind="text",
    expand=expand,
)
def explain_derivation(params: DerivationParams, context: Context) -> dict[str, Any]:
    """Derive a result step by step, and check each step.

    Args:
        params: The problem, what is assumed, for whom.
        context: Gets notes and warnings.

    Returns:
        The derivation as LaTeX, as Markdown and as a list of steps.

    Raises:
        ValidationError: The problem cannot be read.
        ComputationError: There is no closed form, or a step could not be verified.
        UnitsError: The dimensions do not fit.
        ConfigurationError: A model was asked for and none is configured.
    """
    problem = read_problem(params)
    ledger = Ledger()
    result = _TASKS[problem.kind](problem, params, ledger, context)
    level = params.audience_level if params.include_steps else "expert"
    shown = ledger.shown(level)
    commentary = _comment(params, summary(problem.kind, shown, "explain", level), context)
    checked = [step for step in ledger.steps if step.how != "given"]
    context.meta.update(
        steps=len(ledger.steps), steps_checked=len(checked), steps_shown=len(shown),
        checked_symbolically=sum(step.how == "symbolically" for step in checked),
    )  # fmt: skip
    fields: dict[str, Any] = {
        "latex": aligned(shown),
        "summary_md": summary(problem.kind, shown, params.goal, level)
        + (
            f"\n\n---\n\n*Commentary by {context.meta['model_used']}, not verified:*\n\n{commentary}"
            if commentary
            else ""
        ),
        "steps": [
            {
                "number": number,
                "rule": step.rule,
                "explanation": step.text,
                "latex": step.latex,
                "verified": None if step.how == "given" else True,
                "how": step.how,
            }
            for number, step in enumerate(shown, start=1)
        ],
        "result": result,
        "task": problem.kind,
        "verified": bool(checked),
        "commentary": commentary,
    }
    return fields | (draw(context, shown, problem.kind) if context.wants("static") else {})


def _setup(params: DerivationParams, unknown: str) -> Setup:
    return Setup({}, params.assumptions, unknown)


def _symbol(problem: Problem, setup: Setup, names: frozenset[str]) -> str:
    """Return the variable of a problem: the one named, or the only one."""
    if problem.symbol:
        return normal_name(problem.symbol)
    if len(names) == 1:
        return next(iter(names))
    for usual in ("x", "t"):
        if usual in names:
            return usual
    listed = ", ".join(sorted(names)) or "none"
    raise ValidationError(
        f"The variable of {problem.text!r} is not said; it holds {listed}.", hint="Give symbol, for instance symbol: x."
    )


def _read(problem: Problem, params: DerivationParams, context: Context) -> tuple[Any, Any, Setup]:
    """Return function, variable and set-up of a problem about one function; `f(x) = …` is read as its right side."""
    text = problem.text
    parts = sides(text) if re.match(r"\s*\w+(\s*\(\s*\w+\s*\))?\s*=", text) else (text,)
    text = parts[-1] if len(parts) == 2 else text
    setup = _setup(params, problem.symbol)
    expression = setup.parse(text, context)
    name = _symbol(problem, setup, expression.names)
    setup = _setup(params, name)
    expression = setup.parse(text, context)
    function = rational(setup.build(expression, {}))
    if params.units:
        _check_dimensions(problem, params, context, None)
    return function, setup.symbol(name), setup


def _value(text: str, setup: Setup, context: Context) -> Any:
    return (
        rational(setup.build(setup.parse(text, context), {})) if "inf" not in text and "oo" not in text else _end(text)
    )


def _end(text: str) -> Any:
    import sympy

    known = {"inf": sympy.oo, "oo": sympy.oo, "infinity": sympy.oo}
    plain = text.strip()
    found = known.get(plain.lstrip("+-").strip())
    if found is None:
        raise ValidationError(f"The bound {text!r} cannot be read.", hint="Write a number, a formula, inf or -inf.")
    return -found if plain.startswith("-") else found


def _derivative(problem: Problem, params: DerivationParams, ledger: Ledger, context: Context) -> list[str]:
    function, variable, _ = _read(problem, params, context)
    return [write(differentiate(function, variable, problem.order or 1, ledger))["str"]]


def _integral(problem: Problem, params: DerivationParams, ledger: Ledger, context: Context) -> list[str]:
    function, variable, setup = _read(problem, params, context)
    bounds = None
    if problem.bounds is not None:
        bounds = (_value(problem.bounds[0], setup, context), _value(problem.bounds[1], setup, context))
    return [write(integrate(function, variable, bounds, ledger))["str"]]


def _series(problem: Problem, params: DerivationParams, ledger: Ledger, context: Context) -> list[str]:
    function, variable, setup = _read(problem, params, context)
    point = _value(problem.point, setup, context)
    require_defined(point, f"The point {problem.point}")
    return [write(expand_series(function, variable, point, problem.order or 6, ledger))["str"]]


def _equation(problem: Problem, params: DerivationParams, ledger: Ledger, context: Context) -> list[str]:
    texts = sides(problem.text)
    setup = _setup(params, problem.symbol)
    names = frozenset().union(*(setup.parse(text, context).names for text in texts))
    name = _symbol(problem, setup, names)
    if name not in names:
        raise ValidationError(
            f"{problem.text!r} does not contain {name}.", hint=f"It holds {', '.join(sorted(names))}."
        )
    setup = _setup(params, name)
    left, right = (rational(setup.build(setup.parse(text, context), {})) for text in texts)
    if params.units:
        _check_dimensions(problem, params, context, ledger)
    return [write(item)["str"] for item in solve(left, right, setup.symbol(name), ledger)]


def _ode(problem: Problem, params: DerivationParams, ledger: Ledger, context: Context) -> list[str]:
    func, symbol = problem.func or _unknown_function(problem.text), problem.symbol
    if not symbol or symbol == func:
        arguments = re.search(rf"\b{re.escape(func)}\(\s*([A-Za-z]\w*)\s*\)", problem.text)
        leibniz = re.search(r"/\s*d\s*([A-Za-z])", problem.text)
        dotted = re.search(r"[\u0307\u0308ẋẍẏÿ]", problem.text)
        called = re.search(r"(?:diff|Derivative)\(\s*\w+\s*,\s*([A-Za-z]\w*)", problem.text)
        named = arguments or leibniz or called
        symbol = named[1] if named else ("t" if dotted or func in ("x", "theta", "q") else "x")
        if not named:
            context.warn(f"{func} was taken as a function of {symbol}; say otherwise with symbol.")
    asked = SolveOde.model_validate(
        {"ode": problem.text, "symbol": symbol, "func": func, "ics": params.ics,
         "assumptions": {name: list(words) for name, words in params.assumptions.items()}}
    )  # fmt: skip
    found, conditions = read_ode(asked, context)
    return [f"{write(item.lhs)['str']} = {write(item.rhs)['str']}" for item in solve_ode(found, conditions, ledger)]


def _unknown_function(text: str) -> str:
    patterns = (
        r"([A-Za-z]\w*?)['′″]",
        r"(?:diff|Derivative)\(\s*([A-Za-z]\w*)",
        r"\bd(?:\^?\d)?\s*([A-Za-z]\w*)\s*/\s*d",
        r"([A-Za-z]\w*)\(\s*\w+\s*\)\.diff",
    )
    for pattern in patterns:
        match = re.search(pattern, text)
        if match:
            return match[1]
    import unicodedata

    dotted = re.search("([A-Za-z])[\u0307\u0308]", unicodedata.normalize("NFD", text))
    if dotted:
        return dotted[1]
    raise ValidationError(f"{text!r} holds no derivative.", hint="Write y', y'' or Derivative(y(x), x), or give func.")


def _lagrange(problem: Problem, params: DerivationParams, ledger: Ledger, context: Context) -> list[str]:
    import sympy

    text = sides(problem.text)[1] if "=" in problem.text else problem.text
    time = normal_name(problem.symbol or "t")
    coordinates = tuple(normal_name(name) for name in find_coordinates(text, params.coordinates))
    marked = mark_velocities(text, coordinates, time)
    setup = _setup(params, "")
    function = Setup(
        {}, {name: words for name, words in params.assumptions.items() if name not in coordinates}, "",
        functions={*coordinates, *(f"{name}__1" for name in coordinates)},
    )  # fmt: skip
    lagrangian = rational(function.build(function.parse(marked, context), {}))
    velocities = {sympy.Symbol(f"{name}__1") for name in coordinates}
    if not lagrangian.free_symbols & velocities:
        raise ValidationError(f"The Lagrangian {text!r} holds no velocity.", hint="Write x', x_dot or diff(x, t).")
    found = euler_lagrange(lagrangian, coordinates, setup.symbol(time), ledger)
    return [f"{write(item.lhs)['str']} = {write(item.rhs)['str']}" for item in found]


def _dimensions(problem: Problem, params: DerivationParams, ledger: Ledger, context: Context) -> list[str]:
    if not params.units:
        raise ValidationError("A dimensional check needs units.", hint='Give units: {"m": "kg", "v": "m/s"}.')
    return [_check_dimensions(problem, params, context, ledger)]


def _check_dimensions(problem: Problem, params: DerivationParams, context: Context, ledger: Ledger | None) -> str:
    """Say which dimensions a formula has; an equation's sides must share theirs.

    Raises:
        UnitsError: They do not fit.
    """
    parts = {
        normal_name(name): Part(in_base_units(1.0, unit).base, float("nan")) for name, unit in params.units.items()
    }
    setup = _setup(params, "")
    setup.functions = frozenset(parts)
    texts = sides(problem.text) if "=" in problem.text else (problem.text,)
    bases = []
    for text in texts:
        expression = setup.parse(text, context)
        base = measure(expression, parts).base
        bases.append(base)
        spelled = spell_dimensions(unit_of(base or {}))
        shown = latex(setup.build(expression, {}))
        if ledger is not None:
            ledger.steps.append(
                Step("dimensions", f"{text.strip()} has the dimensions {spelled}.",
                     rf"\mathrm{{dim}}\left({shown}\right) = \mathrm{{{_upright(spelled)}}}", "symbolically")
            )  # fmt: skip
    if len(bases) == 2:
        agree(bases[0], bases[1], repr(problem.text))
    return spell_dimensions(unit_of(bases[0] or {}))


def _upright(text: str) -> str:
    """Return `[length] ** 2 / [time]` as upright LaTeX."""
    plain = text.replace("[", "").replace("]", "")
    raised = re.sub(r"\s?\*\*\s?(-?\d+(?:\.\d+)?)", r"^{\1}", plain)
    return raised.replace("*", r"\,")


def _comment(params: DerivationParams, derivation: str, context: Context) -> str | None:
    """Return what a language model says to the derivation, None without one; a failure is said and changes nothing."""
    context.meta.update(model_used="sympy", tokens=0)
    if params.model is None or params.model.lower() in ("none", "sympy"):
        return None
    from physlab.settings import load_settings
    from physlab.tools.endpoint import ask_model

    endpoint = load_settings().endpoint
    if endpoint.base_url is None:
        raise ConfigurationError(
            f"The model '{params.model}' cannot be asked: no endpoint is configured.",
            hint="Set endpoint.base_url in physlab.toml (or LM_BASE_URL), or leave model out.",
        )
    question = f"Audience: {params.audience_level}. Goal: {params.goal}.\n\n{derivation}"
    try:
        answer = ask_model(endpoint, question, system=SYSTEM, model=params.model)
    except ResourceError as error:
        context.warn(f"There is no commentary of a language model: {error.message} The derivation does not need it.")
        return None
    context.meta.update(model_used=answer.model, tokens=answer.tokens)
    context.warn(f"The commentary was written by {answer.model} and is not verified; the steps are.")
    return answer.text


_TASKS: dict[str, Callable[[Problem, DerivationParams, Ledger, Context], list[str]]] = {
    "derivative": _derivative, "integral": _integral, "series": _series, "equation": _equation, "ode": _ode,
    "euler_lagrange": _lagrange, "dimensions": _dimensions,
}  # fmt: skip
