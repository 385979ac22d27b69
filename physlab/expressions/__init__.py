"""The one parser of formulas: a whitelist over Python's syntax tree, read for numbers or for SymPy.

Nothing is ever evaluated as code: a formula becomes a small tree of numbers, names and known operations, and both
readings walk that tree.
"""

from physlab.expressions.functions import CONSTANTS, FUNCTIONS
from physlab.expressions.latex import from_latex
from physlab.expressions.latex_tokens import is_latex
from physlab.expressions.names import normal_name
from physlab.expressions.reader import combine, is_condition, parse
from physlab.expressions.spelling import GREEK
from physlab.expressions.tree import ASSUMPTIONS, Apply, Constant, Expression, Name, Number, Truth, symbol

__all__ = [
    "ASSUMPTIONS",
    "CONSTANTS",
    "FUNCTIONS",
    "GREEK",
    "Apply",
    "Constant",
    "Expression",
    "Name",
    "Number",
    "Truth",
    "combine",
    "from_latex",
    "is_condition",
    "is_latex",
    "normal_name",
    "parse",
    "symbol",
]
