r"""The words of LaTeX that formulas use, and those that are refused with advice."""

from __future__ import annotations

from physlab.expressions.functions import ALIASES, CONSTANTS, FUNCTIONS
from physlab.expressions.spelling import LETTERS

CONSTANT_COMMANDS = {"pi": "pi", "infty": "inf", "imath": "i"}
GREEK_COMMANDS: dict[str, str] = {name: name for name in LETTERS - {"pi"}} | {
    "varepsilon": "epsilon", "varphi": "phi", "vartheta": "theta", "varrho": "rho", "varsigma": "sigma",
    "varkappa": "kappa", "hslash": "hbar", "ell": "ell",
}  # fmt: skip

FUNCTION_COMMANDS: dict[str, str] = {
    name: name
    for name in [
        "sin",
        "cos",
        "tan",
        "sec",
        "csc",
        "cot",
        "sinh",
        "cosh",
        "tanh",
        "coth",
        "exp",
        "log",
        "arg",
        "min",
        "max",
    ]
} | {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "ln": "log", "lg": "log10", "Re": "re", "Im": "im"}
OPERATOR_NAMES = {"Re": "re", "Im": "im", "arsinh": "asinh", "arcosh": "acosh", "artanh": "atanh"}

RELATIONS = {
    "<": "<", ">": ">", "lt": "<", "gt": ">", "le": "<=", "leq": "<=", "leqslant": "<=", "ge": ">=", "geq": ">=",
    "geqslant": ">=", "ne": "!=", "neq": "!=",
}  # fmt: skip
TIMES = frozenset(("*", "cdot", "times", "ast"))
OVER = frozenset(("/", "div"))
FRACTIONS = frozenset(("frac", "dfrac", "tfrac", "cfrac"))
ACCENTS = {"hat": "hat", "widehat": "hat", "bar": "bar", "tilde": "tilde", "widetilde": "tilde"}
DOTS = {"dot": 1, "ddot": 2, "dddot": 3, "ddddot": 4}
FENCES = {"(": ")", "[": "]", "{": "}", "lbrace": "rbrace", "lparen": "rparen", "lbrack": "rbrack"}
BARS = {"lvert": "rvert", "lfloor": "rfloor", "lceil": "rceil"}
BAR_MEANING = {"lvert": "abs", "|": "abs", "lfloor": "floor", "lceil": "ceil"}

_INTEGRAL = "Give the integrand to cas.integrate, with symbol and bounds."
_SUM = "Write out its terms; sums and products over an index are not read."
_DERIVATIVE = "Give the formula to cas.diff; derivatives of an unknown function belong into cas.solve_ode."
_VECTOR = "Vectors are not read: write the components."
REFUSED: dict[str, str] = {
    **dict.fromkeys(("int", "iint", "iiint", "oint", "intop"), _INTEGRAL),
    **dict.fromkeys(("sum", "prod", "coprod", "bigcup", "bigcap"), _SUM),
    **dict.fromkeys(("partial", "nabla", "prime"), _DERIVATIVE),
    **dict.fromkeys(("vec", "mathbf", "boldsymbol", "bm", "overrightarrow", "Vert"), _VECTOR),
    "lim": "Limits are not read: give the formula its values.",
    "pm": "Write two formulas, one with + and one with -; uncertainties belong into cas.propagate_uncertainty.",
    "mp": "Write two formulas, one with + and one with -.",
    **dict.fromkeys(("approx", "sim", "simeq", "propto", "equiv", "to", "in", "mapsto"), "Write a formula."),
    **dict.fromkeys(("langle", "rangle", "ket", "bra", "braket"), "Kets are read where a state is asked for."),
    **dict.fromkeys(("ldots", "dots", "cdots"), _SUM),
    "|": "Norms are not read: write the root of the sum of squares.",
}
DERIVATIVE_HINT = _DERIVATIVE

WORDS = frozenset(word for word in (*FUNCTIONS, *ALIASES, *CONSTANTS, *LETTERS) if len(word) > 1)
COMMANDS = sorted(
    {*GREEK_COMMANDS, *CONSTANT_COMMANDS, *FUNCTION_COMMANDS, *FRACTIONS, *ACCENTS, "sqrt", "binom", "cdot", "times",
     "div", "left", "right", "mathrm", "text", "operatorname", "lvert", "rvert", "overline", "le", "ge", "ne"}
)  # fmt: skip
