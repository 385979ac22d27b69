"""The search for formulas: genetic programming in Operon, whose trees become SymPy expressions.

B. Burlacu, G. Kronberger, M. Kommenda, "Operon C++: an efficient genetic programming framework for symbolic
regression", GECCO 2020 companion, 1562. Error and length are minimised together (NSGA-II), every candidate's constants
are improved by Levenberg-Marquardt. One thread and one seeded generator: a run repeats bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from physlab.tools.extras import require
from physlab.tools.types import Array

# Operation as formulas spell it → name of Operon's node.
OPERATIONS: dict[str, str] = {
    "+": "Add", "-": "Sub", "*": "Mul", "/": "Div", "pow": "Pow", "sqrt": "Sqrt", "cbrt": "Cbrt", "square": "Square",
    "exp": "Exp", "log": "Log", "log1p": "Log1p", "sin": "Sin", "cos": "Cos", "tan": "Tan", "asin": "Asin",
    "acos": "Acos", "atan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "tanh": "Tanh", "abs": "Abs",
}  # fmt: skip
LOCAL_STEPS = 5
UNLIMITED = 2**62


@dataclass(frozen=True)
class Search:
    """How formulas are searched.

    Attributes:
        ops: Keys of `OPERATIONS`.
        metric: `mse`, `mae` or `r2`.
        population: How many candidates live at once.
        generations: How many times they are replaced.
        max_depth: Deepest tree.
        max_length: Most nodes of a tree.
    """

    ops: tuple[str, ...]
    metric: str
    population: int
    generations: int
    max_depth: int
    max_length: int

    @property
    def scales(self) -> bool:
        """True when a candidate may get a factor and an offset of its own."""
        return {"+", "*"} <= set(self.ops)


def scale_of(values: Array) -> float:
    """Return the power of ten that brings a column near 1, or 1 when it is near already.

    Args:
        values: A column, (rows,).
    """
    sizes = np.abs(values[values != 0])
    if not sizes.size:
        return 1.0
    order = float(np.median(np.log10(sizes)))
    return 1.0 if abs(order) < 1.0 else float(10.0 ** round(order))


def find_formulas(x: Array, y: Array, symbols: Sequence[Any], search: Search, seed: int) -> list[Any]:
    """Return the formulas of the front of one run, shortest first.

    Args:
        x: Columns, (rows, features), finite.
        y: Target, (rows,), finite.
        symbols: SymPy symbol of each column.
        search: How to search.
        seed: Of the run.

    Returns:
        SymPy expressions of the columns in the units given; not yet refined, in single precision.

    Raises:
        MissingExtraError: Operon is not installed.
    """
    import sympy

    engine = require("pyoperon", "Symbolic regression")
    widths, height = [scale_of(column) for column in x.T], scale_of(y)
    data = np.column_stack((x / widths, y / height))
    dataset = engine.Dataset(np.asfortranarray(data))
    front = _run(engine, dataset, search, seed, len(data))
    scaled = [item / sympy.Float(width) if width != 1 else item for item, width in zip(symbols, widths, strict=True)]
    variables = sorted(dataset.Variables, key=lambda item: item.Index)
    names = {item.Hash: scaled[item.Index] for item in variables[:-1]}
    rows = engine.Range(0, len(data))
    found = []
    for tree in sorted(front, key=lambda item: item.Length):
        factor, offset = _line(engine, tree, dataset, rows, data[:, -1]) if search.scales else (1.0, 0.0)
        formula = height * (factor * to_sympy(tree, names) + offset)
        if formula.is_finite is not False and not formula.has(sympy.nan, sympy.zoo, sympy.oo, sympy.I):
            found.append(formula)
    return found


def _line(engine: Any, tree: Any, dataset: Any, rows: Any, target: Array) -> tuple[float, float]:
    """Return factor and offset that bring a tree closest to the target."""
    values = np.asarray(engine.Evaluate(tree, dataset, rows), dtype=np.float64)
    if not np.isfinite(values).all() or not np.ptp(values):
        return 1.0, 0.0
    slope, offset = np.polynomial.polynomial.polyfit(values, target, 1)[::-1]
    return float(slope), float(offset)


def _run(engine: Any, dataset: Any, search: Search, seed: int, rows: int) -> list[Any]:
    """Return the trees of the front after one run; the names keep alive what the engine holds by pointer only."""
    problem = engine.Problem(dataset)
    target = max(dataset.Variables, key=lambda item: item.Index)
    inputs = [item.Hash for item in sorted(dataset.Variables, key=lambda item: item.Index) if item.Hash != target.Hash]
    problem.TrainingRange, problem.TestRange = engine.Range(0, rows), engine.Range(rows - 1, rows)
    problem.Target, problem.InputHashes = target, inputs
    kinds = [getattr(engine.NodeType, OPERATIONS[name]) for name in search.ops]
    config = int(engine.NodeType.Constant) | int(engine.NodeType.Variable)
    for kind in kinds:
        config |= int(kind)
    problem.ConfigurePrimitiveSet(config)
    primitives = problem.PrimitiveSet
    creator = engine.BalancedTreeCreator(primitives, inputs, 0.0)
    constants = engine.NormalCoefficientInitializer()
    constants.ParameterizeDistribution(0, 1)
    table = engine.DispatchTable()
    optimizer = engine.LMOptimizer(table, problem, LOCAL_STEPS, 0)
    metric = {"mse": engine.MSE, "mae": engine.MAE, "r2": engine.R2}[search.metric]()
    parts = (engine.Evaluator(problem, table, metric, search.scales), engine.LengthEvaluator(problem))
    evaluator = engine.MultiEvaluator(problem)
    for part in parts:
        part.Budget = UNLIMITED
        evaluator.Add(part)
    evaluator.Budget = UNLIMITED
    comparison = engine.CrowdedComparison()
    selectors = [engine.TournamentSelector(comparison) for _ in range(2)]
    for selector in selectors:
        selector.TournamentSize = 5
    crossover = engine.SubtreeCrossover(0.9, search.max_depth, search.max_length)
    mutation, mutations = (
        engine.MultiMutation(),
        list(_mutations(engine, primitives, creator, constants, inputs, search)),
    )
    for item in mutations:
        mutation.Add(item, 1.0)
    local = engine.CoefficientOptimizer(optimizer)
    generator = engine.BasicOffspringGenerator(evaluator, crossover, mutation, *selectors, local)
    trees = engine.UniformLengthTreeInitializer(creator)
    trees.ParameterizeDistribution(primitives.FunctionArityLimits()[0] + 1, min(10, search.max_length))
    trees.MinDepth, trees.MaxDepth = 1, search.max_depth
    plan = engine.GeneticAlgorithmConfig(
        generations=search.generations, max_evaluations=UNLIMITED, local_iterations=LOCAL_STEPS,
        population_size=search.population, pool_size=search.population, p_crossover=1.0, p_mutation=0.25,
        p_local=1.0, p_lamarck=1.0, epsilon=1e-6, seed=seed, max_time=UNLIMITED,
    )  # fmt: skip
    sorter, keeper = engine.RankSorter(), engine.KeepBestReinserter(comparison)
    algorithm = engine.NSGA2Algorithm(plan, problem, trees, constants, generator, keeper, sorter)
    algorithm.Run(engine.RandomGenerator(np.uint64(seed)), None, 1, False)
    return [item.Genotype for item in algorithm.BestFront]


def _mutations(
    engine: Any, primitives: Any, creator: Any, constants: Any, inputs: list[int], search: Search
) -> Iterator[Any]:
    for kind in (engine.NormalOnePointMutation, engine.NormalMultiPointMutation):
        shift = kind()
        shift.ParameterizeDistribution(0, 1)
        yield shift
    yield engine.ChangeVariableMutation(inputs)
    yield engine.ChangeFunctionMutation(primitives)
    yield engine.ReplaceSubtreeMutation(creator, constants, search.max_depth, search.max_length)
    yield engine.InsertSubtreeMutation(creator, constants, search.max_depth, search.max_length)
    yield engine.RemoveSubtreeMutation(primitives)


def to_sympy(tree: Any, names: dict[int, Any]) -> Any:
    """Return a tree of the engine as a SymPy expression.

    Args:
        tree: In postfix order; the first operand of a node stands right before it.
        names: SymPy expression of each variable, by its hash.
    """
    import sympy

    nodes = tree.Nodes

    def read(place: int) -> Any:
        node = nodes[place]
        if node.IsVariable:
            return _number(node.Value) * names[node.HashValue]
        if node.IsConstant:
            return _number(node.Value)
        operands, child = [], place - 1
        for _ in range(node.Arity):
            operands.append(read(child))
            child -= nodes[child].Length + 1
        return _apply(sympy, str(node.Type).rpartition(".")[2], operands)

    return read(len(nodes) - 1)


def _number(value: float) -> Any:
    import sympy

    return sympy.Integer(int(value)) if value in (-1.0, 0.0, 1.0) else sympy.Float(float(value))


def _apply(sympy: Any, kind: str, operands: list[Any]) -> Any:
    first = operands[0]
    special = {
        "Add": lambda: sympy.Add(*operands),
        "Mul": lambda: sympy.Mul(*operands),
        "Sub": lambda: first - sympy.Add(*operands[1:]) if operands[1:] else -first,
        "Div": lambda: first / sympy.Mul(*operands[1:]) if operands[1:] else 1 / first,
        "Pow": lambda: first ** operands[1],
        "Square": lambda: first**2,
        "Cbrt": lambda: sympy.sign(first) * sympy.Abs(first) ** sympy.Rational(1, 3),
        "Log1p": lambda: sympy.log(1 + first),
    }
    return special[kind]() if kind in special else getattr(sympy, kind.lower() if kind != "Abs" else kind)(first)
