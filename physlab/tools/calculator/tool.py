"""`graphing_calculator`: 36 operations of a graphing calculator, under one name; each is a method of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from physlab.model import Visuals
from physlab.tools.calculator import (
    algebra,
    calculus,
    curves,
    distributions,
    finance,
    hypotheses,
    implicit,
    lists,
    matrices,
    programs,
    regression,
    roots,
    scatter,
    statistics,
    units,
)
from physlab.tools.calculator.plot_params import CurvePlotParams, sweep_extent
from physlab.tools.figures import IMPORTS
from physlab.tools.registry import Port, registry
from physlab.tools.types import Params

TOOL = "graphing_calculator"
SYMBOLIC: dict[str, Any] = {"libraries": ("sympy",), "imports": ("sympy",)}
NUMERIC: dict[str, Any] = {"libraries": ("numpy", "scipy"), "imports": ("scipy.stats",)}
FIGURE: dict[str, Any] = {
    "can": Visuals(static=True, series=True, animation=False),
    "visuals": Visuals(static=True, series=False, animation=False),
    "libraries": ("numpy", "scipy", "matplotlib", "sympy"),
    "imports": IMPORTS,
    "kind": "plot",
}
FILM: dict[str, Any] = {
    **FIGURE,
    "can": Visuals(static=True, series=True, animation=True),
    "libraries": ("numpy", "scipy", "matplotlib", "sympy", "imageio-ffmpeg"),
    "time_limit_s": 30.0,
    "caps": {"samples": "samples"},
    "extent": sweep_extent,
}

ROOTS: dict[str, Any] = {
    "libraries": ("sympy", "mpmath", "scipy"), "imports": ("sympy", "scipy.optimize"), "caps": {"samples": "samples"},
}  # fmt: skip
INTEGRALS: dict[str, Any] = {"libraries": ("sympy", "scipy"), "imports": ("sympy",)}
LISTS: dict[str, Any] = {"libraries": ("numpy", "sympy")}
TABLES: dict[str, Any] = {
    **LISTS, "can": lists.TABLE_CAN, "visuals": Visuals(static=False, series=False, animation=False),
}  # fmt: skip
UNITS: dict[str, Any] = {"libraries": ("pint",), "inline": True, "kind": "lookup"}
FINANCE: dict[str, Any] = {"libraries": ("numpy", "scipy", "sympy")}

registry.tool(
    TOOL,
    summary="A graphing calculator: algebra, calculus, plots, matrices, statistics, lists, programs, finance.",
    discriminator="operation",
    aliases={
        "diff": "derivative", "differentiate": "derivative", "integrate": "integral", "solve": "solve_equation",
        "plot": "plot_function", "scatter": "plot_data", "determinant": "matrix_determinant",
        "inverse": "matrix_inverse", "eigenvalues": "matrix_eigenvalues", "rref": "matrix_rref",
        "regression": "stats_regression", "taylor": "series", "roots": "find_roots",
    },
)  # fmt: skip

Row = tuple[Callable[..., dict[str, Any]], type[Params], tuple[Port, ...], dict[str, Any]]
OPERATIONS: dict[str, Row] = {
    "evaluate": (algebra.evaluate, algebra.ExpressionParams, algebra.EXPRESSION_PORTS, SYMBOLIC),
    "simplify": (algebra.simplify, algebra.ExpressionParams, algebra.EXPRESSION_PORTS, SYMBOLIC),
    "expand": (algebra.expand, algebra.ExpressionParams, algebra.EXPRESSION_PORTS, SYMBOLIC),
    "factor": (algebra.factor, algebra.ExpressionParams, algebra.FACTOR_PORTS, SYMBOLIC),
    "solve_equation": (algebra.solve_equation, algebra.SolveParams, algebra.SOLUTIONS, SYMBOLIC),
    "solve_system": (algebra.solve_system, algebra.SystemParams, algebra.SYSTEM, SYMBOLIC),
    "find_roots": (roots.find_roots, roots.RootsParams, roots.PORTS, ROOTS),
    "derivative": (calculus.derivative, calculus.DerivativeParams, calculus.DERIVATIVE, INTEGRALS),
    "integral": (calculus.integral, calculus.IntegralParams, calculus.INTEGRAL, INTEGRALS),
    "limit": (calculus.limit, calculus.LimitParams, calculus.LIMIT, INTEGRALS),
    "series": (calculus.series, calculus.SeriesParams, calculus.SERIES_PORTS, INTEGRALS),
    "plot_function": (curves.plot_function, CurvePlotParams, curves.PORTS, FILM),
    "plot_parametric": (curves.plot_parametric, CurvePlotParams, curves.PORTS, FILM),
    "plot_polar": (curves.plot_polar, CurvePlotParams, curves.PORTS, FILM),
    "plot_implicit": (implicit.plot_implicit, implicit.ImplicitParams, implicit.IMPLICIT_PORTS, FIGURE),
    "plot_inequality": (implicit.plot_inequality, implicit.InequalityParams, implicit.INEQUALITY_PORTS, FIGURE),
    "plot_data": (scatter.plot_data, scatter.DataPlotParams, scatter.PORTS, FIGURE),
    "matrix_add": (matrices.matrix_add, matrices.TwoMatricesParams, matrices.MATRIX, SYMBOLIC),
    "matrix_multiply": (matrices.matrix_multiply, matrices.TwoMatricesParams, matrices.MATRIX, SYMBOLIC),
    "matrix_determinant": (matrices.matrix_determinant, matrices.MatrixParams, algebra.EXPRESSION_PORTS, SYMBOLIC),
    "matrix_inverse": (matrices.matrix_inverse, matrices.MatrixParams, matrices.INVERSE, SYMBOLIC),
    "matrix_eigenvalues": (matrices.matrix_eigenvalues, matrices.MatrixParams, matrices.EIGEN, SYMBOLIC),
    "matrix_rref": (matrices.matrix_rref, matrices.MatrixParams, matrices.RREF, SYMBOLIC),
    "stats_descriptive": (statistics.descriptive, statistics.DescriptiveParams, statistics.PORTS, NUMERIC),
    "stats_regression": (regression.regression, regression.RegressionParams, regression.PORTS, NUMERIC),
    "stats_distribution": (distributions.distribution, distributions.DistributionParams, distributions.PORTS, NUMERIC),
    "stats_hypothesis_test": (hypotheses.hypothesis_test, hypotheses.TestParams, hypotheses.PORTS, NUMERIC),
    "create_list": (lists.create_list, lists.CreateListParams, lists.LIST, LISTS),
    "list_operations": (lists.list_operations, lists.ListParams, lists.OPERATION, LISTS),
    "table_values": (lists.table_values, lists.TableParams, lists.TABLE, TABLES),
    "store_variable": (programs.store_variable, programs.StoreParams, programs.STORE, SYMBOLIC),
    "recall_variable": (programs.recall_variable, programs.RecallParams, programs.RECALL, SYMBOLIC),
    "define_function": (programs.define_function, programs.DefineParams, programs.DEFINE, SYMBOLIC),
    "execute_program": (programs.execute_program, programs.ProgramParams, programs.PROGRAM, SYMBOLIC),
    "convert_units": (units.convert_units, units.ConvertParams, units.PORTS, UNITS),
    "financial_calc": (finance.financial_calc, finance.FinanceParams, finance.PORTS, FINANCE),
}  # fmt: skip
for _name, (_function, _params, _returns, _settings) in OPERATIONS.items():
    registry.method(TOOL, _name, params=_params, returns=_returns, **_settings)(_function)
